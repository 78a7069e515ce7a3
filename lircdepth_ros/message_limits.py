"""Parts of messages that only the broken or hostile make long, cut before they are kept."""

from __future__ import annotations

from typing import Any

MAX_TEXT = 1000
"""Characters of a frame's, a field's or an encoding's name."""

MAX_CLOUD_FIELDS = 256
"""nuScenes' radars have 18."""

MAX_DISTORTION = 100
"""Numbers; ROS's longest distortion model has 14."""


def cut_long_parts(message: Any) -> None:
    """Cut names, a cloud's fields and a camera_info's distortion to a little more than is allowed.

    Messages wait for others, many of them, and these parts are counted nowhere. Where what was cut
    is used, it is refused or unknown: a frame that nobody knows, too many fields, an encoding that
    there is not.

    Args:
        message: Image, CompressedImage, CameraInfo, PointCloud2 or Odometry; changed in place.
    """
    _cut(message.header, "frame_id", MAX_TEXT)
    for name in ("encoding", "format", "distortion_model", "child_frame_id"):
        _cut(message, name, MAX_TEXT)
    _cut(message, "d", MAX_DISTORTION)
    _cut(message, "fields", MAX_CLOUD_FIELDS)
    for field in getattr(message, "fields", ()):
        _cut(field, "name", MAX_TEXT)


def _cut(owner: Any, name: str, longest: int) -> None:
    value = getattr(owner, name, ())
    if len(value) > longest:
        setattr(owner, name, value[: longest + 1])
