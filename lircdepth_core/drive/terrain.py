"""The lie of the land: a smooth height for every place, and poses that stand on it."""

from __future__ import annotations

import math

import numpy as np

CENTRE = np.array([1000.0, 1000.0])
"""Middle of the scene in the world frame, so that all coordinates are positive as in nuScenes."""


class Terrain:
    """Waves of 180 to 500 m; the steepest slope of each scene is drawn with them.

    Args:
        rng: what the waves are drawn from.
        slope: the typical steepest slope, metres per metre.
        extent: metres from the centre, along x or y, beyond which the land is level.
    """

    def __init__(self, rng: np.random.Generator, slope: float, extent: float) -> None:
        self.extent = extent
        count = 5
        length = rng.uniform(180, 500, count)
        heading = rng.uniform(0, 2 * np.pi, count)
        self._wave = np.stack([np.cos(heading), np.sin(heading)], -1) * 2 * np.pi / length[:, None]
        self._phase = rng.uniform(0, 2 * np.pi, count)
        share = rng.uniform(0.3, 1.0, count)
        self._height = slope * share / np.linalg.norm(share) * length / (2 * np.pi)

    def height(self, xy: np.ndarray) -> np.ndarray:
        """Heights (...) in metres of the carriageways' level at places (..., 2)."""
        xy = np.asarray(xy, dtype=np.float64)
        waves = np.sin(xy @ self._wave.T + self._phase) @ self._height
        edge = np.abs(xy - CENTRE).max(axis=-1) / self.extent
        fade = np.clip((1 - edge) / 0.35, 0, 1)
        return waves * fade**2 * (3 - 2 * fade)

    def pose(self, place: np.ndarray, yaw: float, lift: float = 0.0) -> np.ndarray:
        """(4, 4) world_from_object standing at a place (2,), tilted with the ground."""
        step = 0.5
        places = place + step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        z, *around = self.height(places)
        normal = np.array([around[1] - around[0], around[3] - around[2], 2 * step])
        return pose_on_slope(np.append(place, z + lift), yaw, normal)


def pose_on_slope(position: np.ndarray, yaw: float, normal: np.ndarray) -> np.ndarray:
    """(4, 4) world_from_object at a position (3,), heading yaw, its z axis along `normal` (3,)."""
    # Written out: of numbers this few, np.cross takes several times as long, and every thing of the
    # world is placed anew for every measurement.
    length = math.hypot(*normal)
    ux, uy, uz = (float(value) / length for value in normal)
    lx, ly, lz = -uz * math.sin(yaw), uz * math.cos(yaw), ux * math.sin(yaw) - uy * math.cos(yaw)
    length = math.hypot(lx, ly, lz)
    lx, ly, lz = lx / length, ly / length, lz / length
    x, y, z = position
    return np.array(
        [
            [ly * uz - lz * uy, lx, ux, x],
            [lz * ux - lx * uz, ly, uy, y],
            [lx * uy - ly * ux, lz, uz, z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def pose_upright(position: np.ndarray, yaw: float) -> np.ndarray:
    """(4, 4) world_from_object at a position (3,), heading yaw, upright."""
    return pose_on_slope(position, yaw, np.array([0.0, 0.0, 1.0]))
