"""Radar poses from a calibration file and odometry, for machines without tf2_ros."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lircdepth_core.errors import InputError
from lircdepth_core.input_file import read_input_file
from lircdepth_core.plain_yaml import parse_plain_yaml
from lircdepth_core.poses import inverse_pose
from lircdepth_ros.stamps import JUMP_BACK_NANOSECONDS, jumped_back, stamp_nanoseconds
from lircdepth_ros.transforms import (
    DEFAULT_SILENCE,
    PoseMayComeError,
    PoseUnavailableError,
    RadarPose,
    pose_matrix,
    slerp,
)

if TYPE_CHECKING:
    from nav_msgs.msg import Odometry

_MAX_CALIBRATION_BYTES = 1_000_000
_ODOMETRY_KEPT = 2000
_FARTHEST = 1e9
"""Metres from the origin, and more than a quaternion's numbers: the earth's radius is 6e6."""
_MAX_GAP_NANOSECONDS = 1_000_000_000
"""Between poses further apart, as with a stamp of zero before the others, nothing is known."""


class CalibrationPoses:
    """Poses from a calibration file, ego motion from nav_msgs/Odometry.

    Args:
        path: YAML with `base_frame` and `frames: {name: {translation: [x, y, z] in metres,
            rotation: quaternion [x, y, z, w]}}`, each the sensor's pose in the base frame.
        silence: odometry that did not come for longer is not waited for, seconds.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, path: str | Path, silence: float = DEFAULT_SILENCE) -> None:
        self._path = Path(path)
        self._base_frame, self._base_from_sensor = read_calibration(self._path)
        self._silence = silence
        self._lock = threading.Lock()  # odometry arrives while the worker asks
        self._last_received: float | None = None  # steady clock, seconds
        self._stamps: list[int] = []
        self._poses: list[np.ndarray] = []  # x y z, then quaternion x y z w

    def add_odometry(self, odometry: Odometry) -> bool:
        """Store a pose of the base frame.

        Returns:
            Whether its stamp jumped back and older poses were forgotten.

        Raises:
            InputError: the message is of another frame, not finite, or beyond all that drives.
        """
        child_frame = odometry.child_frame_id.lstrip("/")
        if child_frame not in ("", self._base_frame):
            raise InputError(
                f"odometry: child_frame_id is {child_frame!r:.40}; "
                f"{self._path} knows {self._base_frame!r}"
            )
        position, rotation = odometry.pose.pose.position, odometry.pose.pose.orientation
        pose = np.array(
            [position.x, position.y, position.z, rotation.x, rotation.y, rotation.z, rotation.w]
        )
        length = np.linalg.norm(pose[3:])
        if not (np.abs(pose) < _FARTHEST).all() or not 0.5 < length < 2:
            raise InputError(
                f"odometry: the position is not finite or beyond {_FARTHEST:g} m, or the "
                "quaternion not of length 1"
            )
        pose[3:] /= length
        stamp = stamp_nanoseconds(odometry.header.stamp)
        with self._lock:
            self._last_received = time.monotonic()
            jumped = jumped_back(stamp, self._stamps[-1] if self._stamps else None)
            if jumped:
                self._stamps, self._poses = [], []
            index = bisect_left(self._stamps, stamp)
            if index < len(self._stamps) and self._stamps[index] == stamp:
                self._poses[index] = pose
                return jumped
            self._stamps.insert(index, stamp)
            self._poses.insert(index, pose)
            if len(self._stamps) > 2 * _ODOMETRY_KEPT:
                del self._stamps[:_ODOMETRY_KEPT], self._poses[:_ODOMETRY_KEPT]
        return jumped

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
        camera_from_base = inverse_pose(self._extrinsics(camera_frame))
        base_from_radar = self._extrinsics(radar_frame)
        with self._lock:
            reason = self._motion_gap(image_stamp, radar_stamp, final)
            if reason is not None:
                return RadarPose(camera_from_base @ base_from_radar, reason)
            motion = inverse_pose(self._base_pose(image_stamp)) @ self._base_pose(radar_stamp)
        return RadarPose(camera_from_base @ motion @ base_from_radar)

    def begin(self) -> None:
        """See PoseSource; while the node was inactive, nobody listened to odometry."""
        with self._lock:
            self._last_received = None

    def forget_after(self, stamp: int) -> None:
        """See PoseSource; odometry of the new time may be here already, and stays."""
        with self._lock:
            # Where it has jumped already, what is of the old time was forgotten then.
            if self._stamps and self._stamps[-1] > stamp + JUMP_BACK_NANOSECONDS:
                self._stamps, self._poses = [], []

    def close(self) -> None:
        """See PoseSource."""

    def _motion_gap(self, image_stamp: int, radar_stamp: int, final: bool) -> str | None:
        """Why odometry does not span the two stamps; None if it does."""
        now = time.monotonic()
        if self._last_received is None:
            self._last_received = now  # the first image may be there before the first odometry
        silent = now - self._last_received > self._silence
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
        if max(map(self._gap_around, (image_stamp, radar_stamp))) > _MAX_GAP_NANOSECONDS:
            return "odometry has a gap at the stamps"
        return None

    def _gap_around(self, stamp: int) -> int:
        """Nanoseconds between the poses before and after a stamp; 0 if there is one of it."""
        after = bisect_left(self._stamps, stamp)
        return 0 if self._stamps[after] == stamp else self._stamps[after] - self._stamps[after - 1]

    def _extrinsics(self, frame: str) -> np.ndarray:
        try:
            return self._base_from_sensor[frame]
        except KeyError:
            raise PoseUnavailableError(
                f"{self._path} has no frame {frame!r}; it has {sorted(self._base_from_sensor)}"
            ) from None

    def _base_pose(self, stamp: int) -> np.ndarray:
        """World_from_base between the stored poses around a stamp."""
        after = max(1, bisect_left(self._stamps, stamp)) if len(self._stamps) > 1 else 0
        if after == 0:
            return pose_matrix(self._poses[0][:3], self._poses[0][3:])
        before_stamp, after_stamp = self._stamps[after - 1], self._stamps[after]
        share = (stamp - before_stamp) / (after_stamp - before_stamp)
        before, then = self._poses[after - 1], self._poses[after]
        position = before[:3] + share * (then[:3] - before[:3])
        return pose_matrix(position, slerp(before[3:], then[3:], share))


def read_calibration(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Read a calibration file: the base frame, and base_from_sensor (4, 4) by frame name.

    Raises:
        InputError: the file is missing or not of the described form.
    """
    try:
        text = read_input_file(path, _MAX_CALIBRATION_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; check calibration_file") from error
    try:
        content = parse_plain_yaml(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
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
    """The (4, 4) pose of one of `frames`."""
    where = f"{path}: frames.{' '.join(str(name).split())[:60]}"
    try:
        translation = np.array(entry["translation"], dtype=np.float64).reshape(3)
        rotation = np.array(entry["rotation"], dtype=np.float64).reshape(4)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: give translation [x, y, z] and rotation [x, y, z, w]") from None
    length = np.linalg.norm(rotation)
    if not np.isfinite(translation).all() or not 0.99 < length < 1.01:
        raise InputError(f"{where}: not finite, or the quaternion's length is not 1")
    return pose_matrix(translation, rotation / length)
