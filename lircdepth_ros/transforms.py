"""Where a radar was, seen from the camera: the question, its answers and their arithmetic.

Poses are (4, 4) float64 matrices named target_from_source, in metres; stamps are integer
nanoseconds. `tf_poses` and `calibration_poses` answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

DEFAULT_SILENCE = 1.0
"""Motion data that did not come for this long, in seconds, is not waited for."""


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

    def begin(self) -> None:
        """Images come from now on: the first motion data is waited for once more."""

    def forget_after(self, stamp: int) -> None:
        """Stamps jumped back to `stamp`: forget motion of the old time, which lies after it."""

    def close(self) -> None:
        """Stop listening."""


def pose_matrix(translation: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
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


def slerp(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Unit quaternion between two, `share` of the way (Shoemake 1985)."""
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    if cosine > 0.9995:
        mixed = first + share * (second - first)
        return mixed / np.linalg.norm(mixed)
    angle = np.arccos(cosine)
    return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
