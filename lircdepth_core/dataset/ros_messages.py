"""ROS 2 messages made from nuScenes rows and files, with rosbags' message types (no ROS needed)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

NANOSECONDS = 1_000_000_000
MAP_FRAME = "map"
BASE_FRAME = "base_link"

_POINT_FIELD_TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
_TWIST_WINDOW = 50_000_000


class MessageFactory:
    """Makes messages of one rosbags type store.

    Stamps are nanoseconds since the epoch, lengths metres, nuScenes quaternions w x y z.
    """

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types

    def compressed_image(self, stamp: int, frame: str, jpeg: bytes) -> Any:
        """A sensor_msgs/CompressedImage with the JPEG file's own bytes."""
        return self._types["sensor_msgs/msg/CompressedImage"](
            self._header(stamp, frame), "jpeg", np.frombuffer(jpeg, np.uint8)
        )

    def camera_info(self, stamp: int, frame: str, K: np.ndarray, size: tuple[int, int]) -> Any:
        """The sensor_msgs/CameraInfo of an undistorted image.

        D is zero, R the identity and P = [K | 0], as sensor_msgs/CameraInfo defines for a
        rectified monocular image.

        Args:
            stamp: nanoseconds.
            frame: optical frame.
            K: (3, 3) pixels.
            size: width and height in pixels.
        """
        region = self._types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        P = np.hstack([K, np.zeros((3, 1))])
        return self._types["sensor_msgs/msg/CameraInfo"](
            self._header(stamp, frame),
            height=size[1],
            width=size[0],
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=np.ascontiguousarray(K, np.float64).reshape(9),
            r=np.eye(3).reshape(9),
            p=P.reshape(12),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def point_cloud(self, stamp: int, frame: str, points: np.ndarray) -> Any:
        """A sensor_msgs/PointCloud2 with the bytes of a little-endian structured array (N,)."""
        fields = [
            self._types["sensor_msgs/msg/PointField"](
                name, offset, _POINT_FIELD_TYPES[field_type.str[1:]], 1
            )
            for name, (field_type, offset) in (points.dtype.fields or {}).items()
        ]
        finite = all(np.isfinite(points[name]).all() for name in ("x", "y", "z"))
        return self._types["sensor_msgs/msg/PointCloud2"](
            self._header(stamp, frame),
            height=1,
            width=len(points),
            fields=fields,
            is_bigendian=False,
            point_step=points.dtype.itemsize,
            row_step=points.nbytes,
            data=np.frombuffer(points.tobytes(), np.uint8),
            is_dense=finite,
        )

    def transforms(self, stamp: int, parent: str, poses: dict[str, dict[str, Any]]) -> Any:
        """A tf2_msgs/TFMessage: the pose (a nuScenes row) of each child in the parent frame."""
        return self._types["tf2_msgs/msg/TFMessage"](
            [
                self._types["geometry_msgs/msg/TransformStamped"](
                    self._header(stamp, parent),
                    child,
                    self._types["geometry_msgs/msg/Transform"](
                        self._types["geometry_msgs/msg/Vector3"](*pose["translation"]),
                        self._quaternion(pose["rotation"]),
                    ),
                )
                for child, pose in poses.items()
            ]
        )

    def odometry(self, stamp: int, pose: dict[str, Any], twist: np.ndarray) -> Any:
        """A nav_msgs/Odometry: base_link's pose in map, and its twist in base_link.

        Args:
            stamp: nanoseconds.
            pose: ego_pose row.
            twist: (6,) velocity in m/s, then angular velocity in rad/s.
        """
        vector = self._types["geometry_msgs/msg/Vector3"]
        unknown = np.zeros(36)
        return self._types["nav_msgs/msg/Odometry"](
            self._header(stamp, MAP_FRAME),
            BASE_FRAME,
            self._types["geometry_msgs/msg/PoseWithCovariance"](
                self._types["geometry_msgs/msg/Pose"](
                    self._types["geometry_msgs/msg/Point"](*pose["translation"]),
                    self._quaternion(pose["rotation"]),
                ),
                unknown,
            ),
            self._types["geometry_msgs/msg/TwistWithCovariance"](
                self._types["geometry_msgs/msg/Twist"](vector(*twist[:3]), vector(*twist[3:])),
                unknown,
            ),
        )

    def _header(self, stamp: int, frame: str) -> Any:
        second, nanosecond = divmod(stamp, NANOSECONDS)
        time = self._types["builtin_interfaces/msg/Time"](second, nanosecond)
        return self._types["std_msgs/msg/Header"](time, frame)

    def _quaternion(self, wxyz: Sequence[float]) -> Any:
        w, x, y, z = wxyz
        return self._types["geometry_msgs/msg/Quaternion"](x, y, z, w)


def twists(stamps: np.ndarray, poses: list[dict[str, Any]]) -> np.ndarray:
    """Twist of the vehicle at each of its poses, from pose differences over ±50 ms.

    Sensors fire milliseconds apart, where the difference of two neighbouring poses is mostly
    rounding; hence the window. It is one-sided at both ends of the drive; a lone pose reads zero.

    Args:
        stamps: (N,) nanoseconds, ascending, each once.
        poses: N ego_pose rows.

    Returns:
        (N, 6): velocity in m/s and angular velocity in rad/s, both in base_link's axes.
    """
    first = np.searchsorted(stamps, stamps - _TWIST_WINDOW, side="right") - 1
    last = np.searchsorted(stamps, stamps + _TWIST_WINDOW, side="left")
    first, last = np.maximum(first, 0), np.minimum(last, len(stamps) - 1)
    position = np.array([pose["translation"] for pose in poses])
    rotation = Rotation.from_quat(np.array([pose["rotation"] for pose in poses])[:, [1, 2, 3, 0]])
    seconds = np.maximum(stamps[last] - stamps[first], 1)[:, None] / NANOSECONDS
    velocity = rotation.inv().apply((position[last] - position[first]) / seconds)
    turn = (rotation[first].inv() * rotation[last]).as_rotvec()
    return np.hstack([velocity, turn / seconds])
