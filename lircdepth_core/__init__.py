"""Radar-camera depth: geometry, networks, data, training and inference. Never imports rclpy."""

import os
import sys

# From 1.29, ONNX Runtime's own builds for Linux report to Microsoft how they are used, and keep a
# number of the machine in ~/.cache, unless this is set before they are loaded. 0 asks for it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# OpenVINO would report each import to Google Analytics, from a fork of this process. Without this
# package it takes a stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
