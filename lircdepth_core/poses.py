"""Arithmetic of poses: (4, 4) matrices target_from_source, a rotation and metres."""

from __future__ import annotations

import numpy as np


def inverse_pose(pose: np.ndarray) -> np.ndarray:
    """source_from_target of a (4, 4) target_from_source.

    `np.linalg.inv` would do, but it wakes the threads of NumPy's OpenBLAS for 16 numbers, which
    then wait for more work in a loop: a tenth of a second of a processor for each call.
    """
    rotation = pose[:3, :3].T
    inverse = np.eye(4)
    inverse[:3, :3] = rotation
    inverse[:3, 3] = -(rotation @ pose[:3, 3])
    return inverse
