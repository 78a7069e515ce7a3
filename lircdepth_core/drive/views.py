"""Matrices of the views that the renderer draws: along the sun's rays, from above; what is seen."""

from __future__ import annotations

import numpy as np

from lircdepth_core.camera import Camera


def sun_view(sun: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """(4, 4) clip_from_world of a view along the sun's rays."""
    aside = np.cross([0.0, 0.0, 1.0] if abs(sun[2]) < 0.999 else [0.0, 1.0, 0.0], sun)
    aside /= np.linalg.norm(aside)
    axes = np.stack([aside, np.cross(sun, aside), -sun])
    view = np.eye(4)
    view[:3, :3] = axes / np.array([[reach], [reach], [500.0]])
    view[:3, 3] = -view[:3, :3] @ centre
    return view


def top_view(centre: np.ndarray, reach: float) -> np.ndarray:
    """(4, 4) clip_from_world of a view straight down; all heights lie within it."""
    view = np.diag([1 / reach, 1 / reach, 0.0, 1.0])
    view[:2, 3] = -centre[:2] / reach
    return view


def frustum(camera: Camera, world_from_camera: np.ndarray) -> np.ndarray:
    """(5, 4) planes of what the camera sees, pointing inwards: front and the image's sides."""
    K, width, height = camera.K, camera.width, camera.height
    normals = np.array(
        [
            [0, 0, 1],
            [K[0, 0], 0, K[0, 2] + 0.5],
            [-K[0, 0], 0, width - 0.5 - K[0, 2]],
            [0, K[1, 1], K[1, 2] + 0.5],
            [0, -K[1, 1], height - 0.5 - K[1, 2]],
        ]
    )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    inward = normals @ world_from_camera[:3, :3].T
    return np.column_stack([inward, -inward @ world_from_camera[:3, 3]])


def packed(matrix: np.ndarray) -> bytes:
    """A matrix as GLSL takes it, column by column."""
    return np.ascontiguousarray(matrix.T, dtype=np.float32).tobytes()
