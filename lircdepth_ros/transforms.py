"""Where a radar was, seen from the camera: extrinsics and ego motion.

Two sources answer the same question: TF, or a calibration file with odometry for machines on
which tf2_ros is not installed. Poses are (4, 4) float64 matrices named target_from_source,
stamps integer nanoseconds.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import yaml

from lircdepth_core.errors import InputError
from lircdepth_ros.sensors import JUMP_BACK_NANOSECONDS

if TYPE_CHECKING:
    from nav_msgs.msg import Odometry
    from rclpy.node import Node

_FIXED_FRAMES = ("odom", "map")
_MAX_CALIBRATION_BYTES = 1_000_000
_SILENCE_SECONDS = 1.0
"""Data that did not come for this long is not waited for."""

_ODOMETRY_KEPT = 2000


@dataclass(frozen=True)
class RadarPose:
    """Pose of a radar at its stamp in the camera's optical frame at the image's stamp.

    Attributes:
        camera_from_radar: (4, 4), metres.
        uncompensated: why ego motion between the stamps is not included; None if it is.
    """

    camera_from_radar: np.ndarray
    uncompensated: str | None = None


class PoseUnavailableError(Exception):
    """No pose can be told; the message says why."""


class PoseMayComeError(PoseUnavailableError):
    """No pose can be told yet; data that is on its way may help."""


class PoseSource(Protocol):
    """Tells where a radar was."""

    def radar_pose(
        self,
        camera_frame: str,
        image_stamp: int,
        radar_frame: str,
        radar_stamp: int,
        *,
        final: bool,
    ) -> RadarPose:
        """The radar's pose.

        Raises:
            PoseMayComeError: motion data is still behind the stamps; not raised if `final`, then
                the pose without ego motion is returned, with the reason.
            PoseUnavailableError: the extrinsics are not known.
        """

    def clear(self) -> None:
        """Forget motion, because stamps jumped back."""

    def close(self) -> None:
        """Stop listening."""


def tf_is_installed() -> bool:
    """Whether tf2_ros can be imported."""
    return importlib.util.find_spec("tf2_ros") is not None


class TfPoses:
    """Poses from TF (REP 105 frames), through a fixed frame so that ego motion is included.

    Args:
        node: the node whose clock and subscriptions the TF buffer uses.
        fixed_frame: frame that stands still; empty: `odom` if TF knows it, else `map`.
    """

    def __init__(self, node: Node, fixed_frame: str = "") -> None:
        import tf2_ros
        from rclpy.time import Time

        self._tf2_ros = tf2_ros
        self._time = Time
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
        self._fixed_frame = fixed_frame
        self._first_asked: float | None = None

    def radar_pose(
        self,
        camera_frame: str,
        image_stamp: int,
        radar_frame: str,
        radar_stamp: int,
        *,
        final: bool,
    ) -> RadarPose:
        """See PoseSource."""
        now = time.monotonic()
        if self._first_asked is None:
            self._first_asked = now  # the first image may be there before the first TF
        early = not final and now - self._first_asked < _SILENCE_SECONDS
        fixed_frame = self._fixed_frame or self._find_fixed_frame(camera_frame)
        if fixed_frame is None:
            if early:
                raise PoseMayComeError("TF: not known yet")
            reason = f"TF knows none of {', '.join(_FIXED_FRAMES)}; set fixed_frame"
            return self._static_pose(camera_frame, radar_frame, reason)
        try:
            transform = self._buffer.lookup_transform_full(
                camera_frame,
                self._time(nanoseconds=image_stamp),
                radar_frame,
                self._time(nanoseconds=radar_stamp),
                fixed_frame,
            )
        except self._tf2_ros.ExtrapolationException as error:
            if not final and "future" in str(error):
                raise PoseMayComeError(f"TF: {error}") from error
            return self._static_pose(camera_frame, radar_frame, f"TF: {error}")
        except self._tf2_ros.TransformException as error:
            if early:
                raise PoseMayComeError(f"TF: {error}") from error
            return self._static_pose(camera_frame, radar_frame, f"TF: {error}")
        return RadarPose(_matrix_of_transform(transform.transform))

    def _static_pose(self, camera_frame: str, radar_frame: str, reason: str) -> RadarPose:
        try:
            transform = self._buffer.lookup_transform(camera_frame, radar_frame, self._time())
        except self._tf2_ros.TransformException as error:
            raise PoseUnavailableError(f"TF: {error}") from error
        return RadarPose(_matrix_of_transform(transform.transform), reason)

    def clear(self) -> None:
        """See PoseSource; static transforms stay."""
        self._buffer.clear()

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()

    def _find_fixed_frame(self, camera_frame: str) -> str | None:
        for frame in _FIXED_FRAMES:
            if self._buffer.can_transform(camera_frame, frame, self._time()):
                return frame
        return None


class CalibrationPoses:
    """Poses from a calibration file, ego motion from nav_msgs/Odometry.

    Args:
        path: YAML with `base_frame` and `frames: {name: {translation: [x, y, z] in metres,
            rotation: quaternion [x, y, z, w]}}`, each the sensor's pose in the base frame.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._base_frame, self._base_from_sensor = read_calibration(self._path)
        self._lock = threading.Lock()  # odometry arrives while the worker asks
        self._last_received: float | None = None  # steady clock, seconds
        self._stamps: list[int] = []
        self._poses: list[np.ndarray] = []  # x y z, then quaternion x y z w

    def add_odometry(self, odometry: Odometry) -> None:
        """Store a pose of the base frame.

        Raises:
            InputError: the message is of another frame or not finite.
        """
        if odometry.child_frame_id not in ("", self._base_frame):
            raise InputError(
                f"odometry: child_frame_id is {odometry.child_frame_id!r}; "
                f"{self._path} knows {self._base_frame!r}"
            )
        position, rotation = odometry.pose.pose.position, odometry.pose.pose.orientation
        pose = np.array(
            [position.x, position.y, position.z, rotation.x, rotation.y, rotation.z, rotation.w]
        )
        length = np.linalg.norm(pose[3:])
        if not np.isfinite(pose).all() or not 0.5 < length < 2:
            raise InputError("odometry: the pose is not finite or its quaternion not of length 1")
        pose[3:] /= length
        stamp = stamp_nanoseconds(odometry.header.stamp)
        with self._lock:
            self._last_received = time.monotonic()
            if self._stamps and stamp < self._stamps[-1] - JUMP_BACK_NANOSECONDS:
                self._stamps, self._poses = [], []
            index = bisect_left(self._stamps, stamp)
            if index < len(self._stamps) and self._stamps[index] == stamp:
                self._poses[index] = pose
                return
            self._stamps.insert(index, stamp)
            self._poses.insert(index, pose)
            if len(self._stamps) > 2 * _ODOMETRY_KEPT:
                del self._stamps[:_ODOMETRY_KEPT], self._poses[:_ODOMETRY_KEPT]

    def radar_pose(
        self,
        camera_frame: str,
        image_stamp: int,
        radar_frame: str,
        radar_stamp: int,
        *,
        final: bool,
    ) -> RadarPose:
        """See PoseSource."""
        camera_from_base = np.linalg.inv(self._extrinsics(camera_frame))
        base_from_radar = self._extrinsics(radar_frame)
        with self._lock:
            reason = self._motion_gap(image_stamp, radar_stamp, final)
            if reason is not None:
                return RadarPose(camera_from_base @ base_from_radar, reason)
            motion = np.linalg.inv(self._base_pose(image_stamp)) @ self._base_pose(radar_stamp)
        return RadarPose(camera_from_base @ motion @ base_from_radar)

    def clear(self) -> None:
        """See PoseSource."""
        with self._lock:
            self._stamps, self._poses = [], []

    def close(self) -> None:
        """See PoseSource."""

    def _motion_gap(self, image_stamp: int, radar_stamp: int, final: bool) -> str | None:
        """Why odometry does not span the two stamps; None if it does."""
        now = time.monotonic()
        if self._last_received is None:
            self._last_received = now  # the first image may be there before the first odometry
        silent = now - self._last_received > _SILENCE_SECONDS
        if not self._stamps:
            if not final and not silent:
                raise PoseMayComeError("no odometry yet")
            return "no odometry"
        if min(image_stamp, radar_stamp) < self._stamps[0]:
            return "odometry begins after the stamps"
        if max(image_stamp, radar_stamp) > self._stamps[-1]:
            if not final and not silent:
                raise PoseMayComeError("odometry is behind the stamps")
            return "odometry ended before the stamps"
        return None

    def _extrinsics(self, frame: str) -> np.ndarray:
        try:
            return self._base_from_sensor[frame]
        except KeyError:
            raise PoseUnavailableError(
                f"{self._path} has no frame {frame!r}; it has {sorted(self._base_from_sensor)}"
            ) from None

    def _base_pose(self, stamp: int) -> np.ndarray:
        after = max(1, bisect_left(self._stamps, stamp)) if len(self._stamps) > 1 else 0
        if after == 0:
            return _matrix(self._poses[0][:3], self._poses[0][3:])
        before_stamp, after_stamp = self._stamps[after - 1], self._stamps[after]
        share = (stamp - before_stamp) / (after_stamp - before_stamp)
        before, then = self._poses[after - 1], self._poses[after]
        position = before[:3] + share * (then[:3] - before[:3])
        return _matrix(position, _slerp(before[3:], then[3:], share))


def read_calibration(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Read a calibration file: the base frame, and base_from_sensor (4, 4) by frame name.

    Raises:
        InputError: the file is missing or not of the described form.
    """
    try:
        if path.stat().st_size > _MAX_CALIBRATION_BYTES:
            raise InputError(f"{path}: larger than a calibration file can be (1 MB)")
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; check calibration_file") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("frames"), dict):
        raise InputError(f"{path}: give base_frame and frames")
    base_frame = content.get("base_frame")
    if not isinstance(base_frame, str) or not base_frame:
        raise InputError(f"{path}: base_frame is {base_frame!r}; give a frame's name")
    poses = {base_frame: np.eye(4)}
    for name, entry in content["frames"].items():
        poses[str(name)] = _pose_of_entry(path, name, entry)
    return base_frame, poses


def _pose_of_entry(path: Path, name: Any, entry: Any) -> np.ndarray:
    try:
        translation = np.array(entry["translation"], dtype=np.float64).reshape(3)
        rotation = np.array(entry["rotation"], dtype=np.float64).reshape(4)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: frames.{name}: give translation [x, y, z] and rotation [x, y, z, w]"
        ) from None
    length = np.linalg.norm(rotation)
    if not np.isfinite(translation).all() or not 0.99 < length < 1.01:
        raise InputError(f"{path}: frames.{name}: not finite, or the quaternion's length is not 1")
    return _matrix(translation, rotation / length)


def stamp_nanoseconds(stamp: Any) -> int:
    """A builtin_interfaces/Time as integer nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def _matrix_of_transform(transform: Any) -> np.ndarray:
    """(4, 4) of a geometry_msgs/Transform."""
    t, q = transform.translation, transform.rotation
    return _matrix(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))


def _matrix(translation: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """(4, 4) of a translation and a unit quaternion x y z w."""
    x, y, z, w = quaternion
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = translation
    return pose


def _slerp(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Unit quaternion between two, `share` of the way (Shoemake 1985)."""
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    if cosine > 0.9995:
        mixed = first + share * (second - first)
        return mixed / np.linalg.norm(mixed)
    angle = np.arccos(cosine)
    return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
