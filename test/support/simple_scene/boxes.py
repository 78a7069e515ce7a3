"""Upright boxes and the rays that hit them: all that the simple street is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

SKY, GROUND = -2, -1
"""What a ray hits that hits no box."""

Window = tuple[slice, Any]
"""Rows and columns of a grid of rays: a slice, and a slice or an array of column numbers."""

_NEAR = 0.05


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes standing upright in the map frame.

    Attributes:
        centre: (N, 3) metres.
        half: (N, 3) half length, width and height in metres.
        yaw: (N,) radians, of the length's axis.
        velocity: (N, 2) m/s in the map frame.
        material: (N,) what the box looks like (`street.Material`).
        colour: (N, 3) linear RGB, 0 to 1.
        rcs: (N,) mean radar cross-section in dBsm.
        number: (N,) the same at all times, so that a box keeps its looks.
    """

    centre: np.ndarray
    half: np.ndarray
    yaw: np.ndarray
    velocity: np.ndarray
    material: np.ndarray
    colour: np.ndarray
    rcs: np.ndarray
    number: np.ndarray

    def __len__(self) -> int:
        return len(self.centre)

    def __getitem__(self, which: np.ndarray) -> Boxes:
        return Boxes(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence[Boxes]) -> Boxes:
        """All boxes of the parts, in order."""
        return Boxes(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(Boxes)
            )
        )

    def near(self, position: np.ndarray, radius: float) -> Boxes:
        """The boxes whose middle is less than radius from a position (x, y, ...), in metres."""
        return self[np.linalg.norm(self.centre[:, :2] - position[:2], axis=1) < radius]

    def corners(self) -> np.ndarray:
        """(N, 8, 3) corners in the map frame."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        offset = self.half[:, None] * signs
        cos, sin = np.cos(self.yaw)[:, None], np.sin(self.yaw)[:, None]
        x, y, z = np.moveaxis(offset, -1, 0)
        return self.centre[:, None] + np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def cast(
    origin: np.ndarray, directions: np.ndarray, boxes: Boxes, windows: list[Window | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The first thing that each ray of a grid hits: a box, the ground z = 0 or the sky.

    Args:
        origin: (3,) where the rays start, in the map frame, outside all boxes.
        directions: (3, H, W) float32 in the map frame, of any length.
        boxes: the boxes.
        windows: for each box the part of the grid that can see it; None if no ray can.

    Returns:
        distance (H, W) float32 in lengths of the direction, +Inf at the sky, and what is hit
        (H, W) int32: the number of the box, `GROUND` or `SKY`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(directions[2] < 0, -np.float32(origin[2]) / directions[2], np.inf)
        distance = distance.astype(np.float32)
        hit = np.where(np.isfinite(distance), GROUND, SKY).astype(np.int32)
        # From front to back, so that what is hidden as a whole need not be looked at.
        longest = np.sqrt((directions**2).sum(axis=0).max())
        gap = np.linalg.norm(boxes.centre - origin, axis=1) - np.linalg.norm(boxes.half, axis=1)
        for index in np.argsort(gap):
            window = windows[index]
            if window is None:
                continue
            nearest = distance[window]
            if gap[index] > longest * nearest.max():
                continue
            towards = [axis[window] for axis in directions]
            enter, leave = pass_through(boxes, index, list(origin), towards)
            nearer = (enter < leave) & (enter > 0) & (enter < nearest)
            if nearer.any():
                distance[window] = np.where(nearer, enter, nearest)
                hit[window] = np.where(nearer, index, hit[window])
    return distance, hit


def pass_through(
    boxes: Boxes, index: int, origin: list[Any], directions: list[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave a box (slab method); a ray misses it if enter >= leave.

    Rays parallel to a face divide by zero, which is meant: callers silence NumPy's warning.

    Args:
        boxes: the boxes.
        index: the number of the one box.
        origin: x, y, z in the map frame, numbers or float32 arrays of one shape.
        directions: x, y, z likewise.
    """
    cos, sin = np.float32(np.cos(boxes.yaw[index])), np.float32(np.sin(boxes.yaw[index]))
    x, y, z = (
        np.asarray(value - centre, np.float32)
        for value, centre in zip(origin, boxes.centre[index], strict=True)
    )
    dx, dy, dz = directions
    starts = (cos * x + sin * y, cos * y - sin * x, z)
    steps = (cos * dx + sin * dy, cos * dy - sin * dx, dz)
    enter: Any = np.float32(-np.inf)
    leave: Any = np.float32(np.inf)
    for start, step, half in zip(starts, steps, boxes.half[index].astype(np.float32), strict=True):
        inverse = np.float32(1) / step
        one, other = (-half - start) * inverse, (half - start) * inverse
        enter = np.maximum(enter, np.minimum(one, other))
        leave = np.minimum(leave, np.maximum(one, other))
    return enter, leave


def image_windows(
    points: np.ndarray, K: np.ndarray, width: int, height: int
) -> list[Window | None]:
    """The bounding rectangles, in an image, of convex bodies.

    Args:
        points: (N, P, 3) points that span each body, in the optical frame, metres.
        K: (3, 3) pixels.
        width: of the image.
        height: of the image.

    Returns:
        For each body the rows and columns it can cover, or None where it is out of view.
    """
    first, second = np.triu_indices(points.shape[1], 1)
    a, b = points[:, first], points[:, second]
    crosses = (a[..., 2] > _NEAR) != (b[..., 2] > _NEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (_NEAR - a[..., 2:]) / (b[..., 2:] - a[..., 2:])
        cut = np.where(crosses[..., None], a + share * (b - a), np.nan)
    seen = np.where(points[..., 2:] > _NEAR, points, np.nan)
    spanning = np.concatenate([seen, cut], axis=1)
    with np.errstate(invalid="ignore"):
        uv = spanning[..., :2] / spanning[..., 2:] * K[[0, 1], [0, 1]] + K[:2, 2]
    low = np.fmin.reduce(uv, axis=1)
    high = np.fmax.reduce(uv, axis=1)
    with np.errstate(invalid="ignore"):
        visible = ((high >= 0) & (low <= (width - 1, height - 1))).all(axis=1)
    low = np.floor(np.clip(np.nan_to_num(low), 0, (width, height))).astype(int)
    high = np.ceil(np.clip(np.nan_to_num(high), 0, (width, height))).astype(int) + 1
    return [
        (slice(top, bottom), slice(left, right)) if shown else None
        for (left, top), (right, bottom), shown in zip(low, high, visible, strict=True)
    ]


def azimuth_windows(
    origin: np.ndarray, boxes: Boxes, heading: float, columns: int, field_of_view: float
) -> list[Window | None]:
    """The columns of a scan that can see each box.

    Args:
        origin: (3,) the scanner in the map frame, outside all boxes.
        boxes: the boxes.
        heading: azimuth of the scan's middle in the map frame, radians.
        columns: number of columns, evenly over the field of view, from right to left.
        field_of_view: radians, up to a full turn.
    """
    middle = boxes.centre[:, :2] - origin[:2]
    bearing = np.arctan2(middle[:, 1], middle[:, 0])
    spread = boxes.corners()[..., :2] - origin[:2]
    offset = _wrapped(np.arctan2(spread[..., 1], spread[..., 0]) - bearing[:, None])
    start = _wrapped(bearing - heading) + field_of_view / 2
    per_radian = columns / field_of_view
    low = np.floor((start + offset.min(axis=1)) * per_radian).astype(int) - 1
    high = np.ceil((start + offset.max(axis=1)) * per_radian).astype(int) + 1
    windows: list[Window | None] = []
    for first, last in zip(low, high, strict=True):
        column = np.arange(first, last + 1)
        if field_of_view >= 2 * np.pi:
            column = np.unique(column % columns)
        else:
            column = column[(column >= 0) & (column < columns)]
        windows.append((slice(None), column) if len(column) else None)
    return windows


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """Angles in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
