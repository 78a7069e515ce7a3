"""Radar-camera depth: geometry, networks, data, training and inference. Never imports rclpy."""
