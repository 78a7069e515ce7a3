"""Fuzzing needs ROS, and the extras `bag` and `train`."""

from __future__ import annotations

import pytest

for package in ("rclpy", "cv_bridge", "rosbags", "nuscenes", "webdataset"):
    pytest.importorskip(package, reason=f"{package} is not installed")
