"""Radar-camera depth: geometry, networks, data, training and inference. Never imports rclpy."""

import os

# From 1.29, ONNX Runtime's own builds for Linux report to Microsoft how they are used, and keep a
# number of the machine in ~/.cache, unless this is set before they are loaded. 0 asks for it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
