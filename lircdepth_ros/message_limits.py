"""Parts of messages that only the broken or hostile make long: cut or refused, not kept."""

from __future__ import annotations

import struct
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from lircdepth_core.errors import InputError, first_line

MAX_TEXT = 1000
"""Characters of a frame's, a field's or an encoding's name."""

MAX_CLOUD_FIELDS = 256
"""nuScenes' radars have 18."""

MAX_DISTORTION = 100
"""Numbers; ROS's longest distortion model has 14."""


_CDR_BYTE_ORDER = {b"\0\0": ">", b"\0\1": "<", b"\0\6": ">", b"\0\7": "<"}
"""By its encapsulation, XCDR 1 and 2 (OMG DDS-XTypes 1.3, table 60), which place all that comes
before the fields alike."""

_UNSIGNED, _STAMP_BYTES = 4, 8


def read_cloud(data: bytes) -> PointCloud2:
    """Deserialise a cloud that has no absurd number of fields.

    Each field becomes a Python object: 500,000 of them, in 10 MB, take 1.7 s.

    Args:
        data: as DDS carries it, CDR with its encapsulation header (OMG DDSI-RTPS 2.5, 10.2).

    Raises:
        InputError: it has more than `MAX_CLOUD_FIELDS` fields, or is no PointCloud2.
    """
    try:
        if (fields := _count_fields(data)) > MAX_CLOUD_FIELDS:
            raise InputError(f"radar cloud: {fields} fields; give up to {MAX_CLOUD_FIELDS}")
        cloud: PointCloud2 = deserialize_message(data, PointCloud2)
    except (struct.error, KeyError) as error:
        raise InputError(f"radar cloud: {len(data)} bytes are no PointCloud2") from error
    except RuntimeError as error:  # rclpy's
        raise InputError(f"radar cloud: {first_line(error)}") from error
    return cloud


def _count_fields(data: bytes) -> int:
    order, message = _CDR_BYTE_ORDER[data[:2]], memoryview(data)[_UNSIGNED:]
    (frame_bytes,) = struct.unpack_from(f"{order}I", message, _STAMP_BYTES)
    height = _STAMP_BYTES + _UNSIGNED + frame_bytes
    height += -height % _UNSIGNED
    (fields,) = struct.unpack_from(f"{order}I", message, height + 2 * _UNSIGNED)
    return int(fields)


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
