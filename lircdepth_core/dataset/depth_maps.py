"""Lidar in the image: a single scan, many sweeps accumulated, and interpolated to a dense map.

Source: the table "Training data as published" (CaFNet, arXiv 2407.00697). Depth is in metres along
the optical axis, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from lircdepth_core.camera import Camera
from lircdepth_core.radar import MIN_DEPTH

TIE_BREAK = 1e-3
"""Pixels; with less, qhull takes points for lying on one circle, and is several times slower."""


class Projected(NamedTuple):
    """Points that a camera sees.

    Attributes:
        pixel: (M,) indices into the flattened image, (u, v) rounded.
        depth: (M,) metres.
        number: (M,) which of the points these are.
    """

    pixel: np.ndarray
    depth: np.ndarray
    number: np.ndarray


def project(points: np.ndarray, camera_from_points: np.ndarray, camera: Camera) -> Projected:
    """Points that a camera sees.

    Kept is depth > 1 m and 1 < u < width - 1, 1 < v < height - 1, as with radar.

    Args:
        points: (3, N) metres.
        camera_from_points: (4, 4) from their frame to the camera's optical frame.
        camera: the camera.
    """
    x, y, depth = camera_from_points[:3, :3] @ points + camera_from_points[:3, 3:]
    front = np.flatnonzero(depth > MIN_DEPTH)
    depth = depth[front]
    u = x[front] / depth * camera.K[0, 0] + camera.K[0, 2]
    v = y[front] / depth * camera.K[1, 1] + camera.K[1, 2]
    seen = (u > 1) & (u < camera.width - 1) & (v > 1) & (v < camera.height - 1)
    column, row = np.rint(u[seen]).astype(np.int64), np.rint(v[seen]).astype(np.int64)
    return Projected(row * camera.width + column, depth[seen], front[seen])


def single_scan(points: np.ndarray, camera_from_points: np.ndarray, camera: Camera) -> np.ndarray:
    """(H, W) float64 depth of one lidar sweep; of several points on a pixel the nearest wins."""
    nearest = np.full(camera.height * camera.width, np.inf)
    seen = project(points, camera_from_points, camera)
    np.minimum.at(nearest, seen.pixel, seen.depth)
    return _zero_where_none(nearest, camera)


def accumulate(
    scan: np.ndarray,
    sweeps: Iterable[tuple[np.ndarray, np.ndarray]],
    blocked_from: np.ndarray,
    camera: Camera,
) -> np.ndarray:
    """Add sweeps of other times to a single scan: empty pixels are filled, nearer replaces.

    Args:
        scan: (H, W) the single scan, which stays as it is but where a sweep is nearer.
        sweeps: points (3, N) of each other sweep, without what moves, and camera_from_points.
        blocked_from: (H, W) metres; a sweep's point at or behind this depth is dropped, because
            something movable stands before it now. +Inf where nothing does.
        camera: the camera.

    Returns:
        (H, W) float64.
    """
    nearest = np.where(scan > 0, scan, np.inf).ravel()
    blocked = blocked_from.ravel()
    for points, camera_from_points in sweeps:
        seen = project(points, camera_from_points, camera)
        free = seen.depth < blocked[seen.pixel]
        np.minimum.at(nearest, seen.pixel[free], seen.depth[free])
    return _zero_where_none(nearest, camera)


def interpolate(sparse: np.ndarray) -> np.ndarray:
    """Linear interpolation over the Delaunay triangulation of the pixels that hold a depth.

    On a grid many pixels lie on one circle, and more than one triangulation is Delaunay's. Which
    is taken is settled by displacing each pixel by up to `TIE_BREAK` (`tie_breaks`).

    Args:
        sparse: (H, W).

    Returns:
        (H, W) float64, 0 outside the hull; the map itself if it has fewer than three pixels.
    """
    known = sparse > 0
    dense = sparse.copy()
    # A pixel between four known ones only has triangles with its neighbours, which hold no other
    # pixel; without it the triangles elsewhere are the same, and there is far less to do.
    needed = known.copy()
    needed[1:-1, 1:-1] &= ~(known[:-2, 1:-1] & known[2:, 1:-1] & known[1:-1, :-2] & known[1:-1, 2:])
    vertices = np.argwhere(needed) + tie_breaks(sparse.shape)[needed]
    try:
        surface = LinearNDInterpolator(vertices, sparse[needed], fill_value=0.0)
    except (QhullError, ValueError):  # fewer than three pixels
        return dense
    # At its own pixels the surface is what it was made of.
    dense[~known] = surface(np.argwhere(~known))
    return dense


def tie_breaks(shape: tuple[int, ...]) -> np.ndarray:
    """(H, W, 2) by how many rows and columns each pixel of a map is displaced."""
    return np.random.default_rng(0).uniform(-TIE_BREAK, TIE_BREAK, (*shape, 2))


def _zero_where_none(nearest: np.ndarray, camera: Camera) -> np.ndarray:
    return np.where(np.isinf(nearest), 0.0, nearest).reshape(camera.height, camera.width)
