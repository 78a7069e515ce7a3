"""The simple street: a ring road between houses, with parked and driving cars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from simple_scene.boxes import Boxes

RADIUS = 200.0
"""Radius of the centre line in metres; the traffic of our lane drives it counter-clockwise."""

CENTRE = np.array([260.0, 260.0])
"""Middle of the ring in the map frame, so that all coordinates are positive as in nuScenes."""

LANE_WIDTH = 3.5
PARKING_EDGE = 5.8
FACADE = 9.0
"""Distances of the lane's, the parking strip's and the pavement's outer edge to the centre line."""

EGO_SPEED = 10.0


class Material(IntEnum):
    """What a box looks like."""

    HOUSE = 0
    CAR_BODY = 1
    CAR_CABIN = 2
    TYRE = 3
    METAL = 4
    HEDGE = 5


HOUSE_COLOURS = np.array(
    [[0.42, 0.20, 0.14], [0.55, 0.47, 0.36], [0.38, 0.36, 0.34], [0.60, 0.52, 0.42],
     [0.34, 0.17, 0.12], [0.50, 0.50, 0.48], [0.30, 0.34, 0.38]]
)  # fmt: skip
CAR_COLOURS = np.array(
    [[0.55, 0.03, 0.03], [0.03, 0.10, 0.40], [0.70, 0.70, 0.70], [0.03, 0.03, 0.04],
     [0.30, 0.32, 0.34], [0.75, 0.75, 0.72], [0.05, 0.22, 0.12], [0.70, 0.40, 0.02]]
)  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """A pose on the ground: position (3,) in metres and yaw in radians in the map frame, and the
    velocity (2,) in m/s and yaw rate in rad/s with which it changes.
    """

    position: np.ndarray
    yaw: float
    velocity: np.ndarray
    yaw_rate: float


def ego_pose(time: float) -> Pose:
    """Where the vehicle's base_link is: it follows the right lane at constant speed."""
    along = EGO_SPEED * time
    position, yaw = place(np.array(along), np.array(-LANE_WIDTH / 2))
    speed = EGO_SPEED * (RADIUS + LANE_WIDTH / 2) / RADIUS
    velocity = speed * np.array([np.cos(yaw), np.sin(yaw)])
    return Pose(np.append(position, 0.0), float(yaw), velocity, EGO_SPEED / RADIUS)


def place(along: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Street coordinates to the map.

    Args:
        along: metres along the centre line.
        left: metres to the left of it.

    Returns:
        position (..., 2) in metres and the street's yaw (...) there.
    """
    yaw = along / RADIUS
    radius = RADIUS - left
    return CENTRE + np.stack([radius * np.sin(yaw), -radius * np.cos(yaw)], axis=-1), yaw


def street_coordinates(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map to metres along the centre line (from -pi * RADIUS) and to its left."""
    x, y = x - x.dtype.type(CENTRE[0]), y - y.dtype.type(CENTRE[1])
    return RADIUS * np.arctan2(x, -y), RADIUS - np.hypot(x, y)


class Street:
    """A street grown from a seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._standing = Boxes.concatenate(
            [_houses(rng, side) for side in (-1, 1)]
            + [_parked_cars(rng, side) for side in (-1, 1)]
            + [_lamp_posts(side) for side in (-1, 1)]
        )
        self._colours = rng.permutation(CAR_COLOURS)

    def boxes(self, time: float) -> Boxes:
        """All boxes at a time in seconds."""
        lane = LANE_WIDTH / 2
        starts = np.array([24.0, 62.0, 70.0, 130.0])
        speeds = np.array([10.8, 11.5, -9.0, -9.0])
        sides = np.where(speeds > 0, -lane, lane)
        moving = _cars(starts + speeds * time, sides, speeds, self._colours[: len(starts)])
        boxes = Boxes.concatenate([self._standing, moving])
        return replace(boxes, number=np.arange(len(boxes)))


def _boxes(
    along: np.ndarray,
    left: np.ndarray,
    bottom: np.ndarray | float,
    size: np.ndarray,
    material: Material,
    colour: np.ndarray,
    rcs: float,
    speed: np.ndarray | float = 0.0,
) -> Boxes:
    """Boxes by street coordinates of their middle; (N, 3) sizes; speed along the street, m/s.

    Those on the left face backwards, as traffic on the right of the road has it.
    """
    count = len(along)
    position, yaw = place(along, left)
    size = np.broadcast_to(size, (count, 3))
    heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    speeds = np.broadcast_to(speed, count) * (RADIUS - left) / RADIUS
    return Boxes(
        centre=np.column_stack([position, bottom + size[:, 2] / 2]),
        half=size / 2,
        yaw=np.where(left > 0, yaw + np.pi, yaw),
        velocity=heading * speeds[:, None],
        material=np.full(count, material),
        colour=np.broadcast_to(colour, (count, 3)),
        rcs=np.full(count, rcs),
        number=np.zeros(count),
    )


def _houses(rng: np.random.Generator, side: int) -> Boxes:
    """Rows of houses with hedges in the gaps, and towers behind."""
    circumference = 2 * np.pi * (RADIUS - side * FACADE)
    width = rng.uniform(10, 22, int(circumference / 10))
    gap = np.where(rng.random(len(width)) < 0.25, rng.uniform(4, 9, len(width)), 0.0)
    end = np.cumsum(width + gap)
    fits = end < circumference
    width, gap, end = width[fits], gap[fits], end[fits]
    # Widths are taken at the facade, `along` at the centre line.
    stretch = RADIUS / (RADIUS - side * FACADE)
    depth = 12.0
    count = len(width)
    height = np.round(rng.uniform(2.6, 6.4, count)) * 3.2 + 1.0
    houses = _boxes(
        (end - gap - width / 2) * stretch,
        np.full(count, side * (FACADE + depth / 2)),
        0.0,
        np.column_stack([width, np.full(count, depth), height]),
        Material.HOUSE,
        HOUSE_COLOURS[rng.integers(len(HOUSE_COLOURS), size=count)],
        8.0,
    )
    open_side = gap > 0
    hedges = _boxes(
        (end - gap / 2)[open_side] * stretch,
        np.full(open_side.sum(), side * (FACADE + 1.0)),
        0.0,
        np.column_stack(
            [gap[open_side], np.full(open_side.sum(), 0.8), np.full(open_side.sum(), 1.4)]
        ),
        Material.HEDGE,
        np.array([0.06, 0.13, 0.03]),
        -2.0,
    )
    along = np.arange(0, 2 * np.pi * RADIUS, 70.0)
    towers = _boxes(
        along + rng.uniform(-20, 20, len(along)),
        np.full(len(along), side * 45.0),
        0.0,
        np.column_stack([rng.uniform(16, 26, (len(along), 2)), rng.uniform(30, 48, len(along))]),
        Material.HOUSE,
        HOUSE_COLOURS[rng.integers(len(HOUSE_COLOURS), size=len(along))] * 0.9,
        8.0,
    )
    return Boxes.concatenate([houses, hedges, towers])


def _parked_cars(rng: np.random.Generator, side: int) -> Boxes:
    """Cars in somewhat more than half of the parking bays, which are 6 m long."""
    bays = np.arange(int(2 * np.pi * RADIUS / 6.0))
    bays = bays[rng.random(len(bays)) < 0.55]
    along = bays * 6.0 + rng.uniform(2.7, 3.3, len(bays))
    left = side * rng.uniform(4.6, 4.8, len(bays))
    colours = CAR_COLOURS[rng.integers(len(CAR_COLOURS), size=len(bays))]
    return _cars(along, left, np.zeros(len(bays)), colours)


def _cars(along: np.ndarray, left: np.ndarray, speed: np.ndarray, colour: np.ndarray) -> Boxes:
    """Cars of 4.3 x 1.8 x 1.5 m: a body, a cabin and four tyres each."""
    forward = np.where(left > 0, -1.0, 1.0) * RADIUS / (RADIUS - left)

    def part(
        x: float,
        y: float,
        bottom: float,
        size: tuple[float, float, float],
        material: Material,
        paint: np.ndarray,
    ) -> Boxes:
        return _boxes(
            along + x * forward, left + y, bottom, np.array(size), material, paint, 10.0, speed
        )

    black = np.array([0.02, 0.02, 0.02])
    tyres = [
        part(x, y, 0.0, (0.62, 0.2, 0.62), Material.TYRE, black)
        for x in (-1.3, 1.35)
        for y in (-0.79, 0.79)
    ]
    body = part(0.0, 0.0, 0.28, (4.3, 1.8, 0.66), Material.CAR_BODY, colour)
    cabin = part(-0.25, 0.0, 0.94, (2.3, 1.56, 0.54), Material.CAR_CABIN, colour)
    return Boxes.concatenate([body, cabin, *tyres])


def _lamp_posts(side: int) -> Boxes:
    """Posts at the kerb, 30 m apart, opposite ones between each other."""
    along = np.arange(7.5 if side < 0 else 22.5, 2 * np.pi * RADIUS, 30.0)
    edge = np.full(len(along), side * (PARKING_EDGE + 0.4))
    grey = np.array([0.16, 0.17, 0.17])
    post = _boxes(along, edge, 0.0, np.array([0.16, 0.16, 6.5]), Material.METAL, grey, -4.0)
    arm = _boxes(
        along, edge - side * 0.8, 6.4, np.array([0.25, 1.9, 0.12]), Material.METAL, grey, -4.0
    )
    return Boxes.concatenate([post, arm])
