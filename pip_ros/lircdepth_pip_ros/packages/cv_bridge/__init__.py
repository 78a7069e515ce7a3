"""Stand-in for ROS 2 Jazzy's Python `cv_bridge`: images from and to messages."""

from .bridge import CvBridge
from .encodings import CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]

__lircdepth_stand_in__ = True
