"""Radar poses from TF."""

from __future__ import annotations

import importlib.util
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.time import Time

from lircdepth_ros.stamps import JUMP_BACK_NANOSECONDS, jumped_back, stamp_nanoseconds
from lircdepth_ros.transforms import (
    DEFAULT_SILENCE,
    PoseMayComeError,
    PoseUnavailableError,
    RadarPose,
    pose_matrix,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.node import Node

_FIXED_FRAMES = ("odom", "map")


def tf_is_installed() -> bool:
    """Whether tf2_ros can be imported."""
    return importlib.util.find_spec("tf2_ros") is not None


class TfPoses:
    """Poses from TF (REP 105 frames), through a fixed frame so that ego motion is included.

    Args:
        node: the node that subscribes to TF.
        fixed_frame: frame that stands still; empty: `odom` if TF knows it, else `map`.
        silence: how long TF is waited for, the first or the next after the last, seconds.
        on_jump: told the frame whose stamps jumped back, and whether two publishers of other clocks
            take turns, by the thread that runs callbacks.
    """

    def __init__(
        self,
        node: Node,
        fixed_frame: str = "",
        silence: float = DEFAULT_SILENCE,
        on_jump: Callable[[str, bool], None] = lambda frame, two_clocks: None,
    ) -> None:
        import tf2_ros

        self._tf2_ros = tf2_ros
        # Given the node it would also offer the service tf2_frames, which an enclave would have to
        # allow, and clear itself when /clock jumps back; here stamps that jump back do that.
        self._buffer = tf2_ros.Buffer()
        self._listener = _make_listener(self._buffer, node, self._begin_anew)
        self._on_jump = on_jump
        self._fixed_frame = fixed_frame
        self._silence = silence
        self._found_fixed_frame: str | None = None
        self._first_asked: float | None = None
        self._last_forgot = -math.inf  # on the monotonic clock

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
        first_asked = self._first_asked  # a jump back may unset it meanwhile
        if first_asked is None:
            # The first image may be there before the first TF.
            first_asked = self._first_asked = now
        early = not final and now - first_asked < self._silence
        heard = max(first_asked, self._listener.heard)
        comes = not final and now - heard < self._silence
        fixed_frame = self._fixed_frame or self._find_fixed_frame(camera_frame)
        if fixed_frame is None:
            if early:
                raise PoseMayComeError("TF: not known yet")
            reason = f"TF knows none of {', '.join(_FIXED_FRAMES)}; set fixed_frame"
            return self._static_pose(camera_frame, radar_frame, reason)
        try:
            transform = self._buffer.lookup_transform_full(
                camera_frame,
                Time(nanoseconds=image_stamp),
                radar_frame,
                Time(nanoseconds=radar_stamp),
                fixed_frame,
            )
        except self._tf2_ros.ExtrapolationException as error:
            if early or (comes and "future" in str(error)):
                raise PoseMayComeError(f"TF: {error}") from error
            return self._static_pose(camera_frame, radar_frame, f"TF: {error}")
        except self._tf2_ros.TransformException as error:
            if early:
                raise PoseMayComeError(f"TF: {error}") from error
            return self._static_pose(camera_frame, radar_frame, f"TF: {error}")
        return RadarPose(_matrix_of_transform(transform.transform))

    def begin(self) -> None:
        """See PoseSource."""
        self._first_asked = None

    def forget_after(self, stamp: int) -> None:
        """See PoseSource; static transforms stay."""
        if self._listener.newest > stamp + JUMP_BACK_NANOSECONDS:
            self._forget()

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
        self._buffer.jump_handle.unregister()

    def _begin_anew(self, frame: str, two_clocks: bool) -> None:
        self._on_jump(frame, two_clocks)
        if not two_clocks:
            self._forget()

    def _forget(self) -> None:
        self._buffer.clear()
        self._listener.restart()
        now = time.monotonic()
        # Two publishers of one frame may jump back and forth: each image would wait for a first TF.
        if now - self._last_forgot > self._silence:
            self._first_asked = None
        self._last_forgot = now

    def _static_pose(self, camera_frame: str, radar_frame: str, reason: str) -> RadarPose:
        try:
            transform = self._buffer.lookup_transform(camera_frame, radar_frame, Time())
        except self._tf2_ros.TransformException as error:
            raise PoseUnavailableError(f"TF: {error}") from error
        return RadarPose(_matrix_of_transform(transform.transform), reason)

    def _find_fixed_frame(self, camera_frame: str) -> str | None:
        for frame in _FIXED_FRAMES:
            if self._buffer.can_transform(camera_frame, frame, Time()):
                self._found_fixed_frame = frame
                break
        return self._found_fixed_frame


def _make_listener(buffer: Any, node: Node, begin_anew: Callable[[str, bool], None]) -> Any:
    """A tf2_ros.TransformListener that notices when a frame's stamps jump back.

    tf2 itself would take no transform that is older than its cache, for as long as the old time
    lasts. Where the stamps had leapt ahead before, two publishers of other clocks take turns: a
    new time that begins anew with each of them would leave no other frame any history.
    """
    import tf2_ros

    class Listener(tf2_ros.TransformListener):
        """Calls `begin_anew` with the frame before the first transform of a new time."""

        def __init__(self) -> None:
            self.restart()
            super().__init__(buffer, node, spin_thread=False)

        def restart(self) -> None:
            self.newest = 0  # nanoseconds
            self.heard = 0.0  # on the monotonic clock
            self._stamps: dict[str, int] = {}
            self._leapt: dict[str, tuple[int, float]] = {}

        def callback(self, data: Any) -> None:
            self.heard = time.monotonic()
            for transform in data.transforms:
                stamp = stamp_nanoseconds(transform.header.stamp)
                frame = transform.child_frame_id
                last = self._stamps.get(frame)
                if jumped_back(stamp, last):
                    begin_anew(frame, self._continues(frame, stamp))
                elif last is not None and jumped_back(last, stamp):
                    self._leapt[frame] = last, self.heard
                self._stamps[frame] = stamp
                self.newest = max(self.newest, stamp)
            super().callback(data)

        def _continues(self, frame: str, stamp: int) -> bool:
            """Whether a stamp that jumped back goes on where the frame's last leap ahead began."""
            if frame not in self._leapt:
                return False
            before, then = self._leapt.pop(frame)
            expected = before + round(1e9 * (self.heard - then))
            return abs(stamp - expected) < JUMP_BACK_NANOSECONDS

    return Listener()


def _matrix_of_transform(transform: Any) -> np.ndarray:
    """(4, 4) of a geometry_msgs/Transform."""
    t, q = transform.translation, transform.rotation
    return pose_matrix(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
