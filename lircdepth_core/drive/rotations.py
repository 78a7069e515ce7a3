"""Rotation matrices and nuScenes' quaternions w, x, y, z."""

from __future__ import annotations

import numpy as np

Quaternion = tuple[float, float, float, float]


def quaternion_of(matrix: np.ndarray) -> Quaternion:
    """The unit quaternion w, x, y, z of a rotation (3, 3), w not negative.

    It is the principal eigenvector of a symmetric matrix (Bar-Itzhack 2000), which holds for every
    angle and evens out rounding.
    """
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(matrix, dtype=np.float64)
    symmetric = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    w, x, y, z = np.linalg.eigh(symmetric)[1][:, -1].tolist()
    return (w, x, y, z) if w >= 0 else (-w, -x, -y, -z)


def matrix_of(quaternion: Quaternion) -> np.ndarray:
    """The rotation (3, 3) of a unit quaternion w, x, y, z."""
    w, x, y, z = quaternion
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def rotation_about_z(yaw: float) -> np.ndarray:
    """The rotation (3, 3) by `yaw` radians to the left."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
