"""Radar-camera depth estimation: geometry, networks, data, training and inference. Never imports rclpy."""
