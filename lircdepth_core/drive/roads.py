"""The street plan of a scene: a main street, streets that cross it and two that run along it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from shapely import LineString, MultiPolygon, Polygon, prepare, union_all

from lircdepth_core.drive.terrain import CENTRE

CORNER_RADIUS = 5.0
CROSSING_WIDTH = 3.2
PARKING_WIDTH = 2.3


@dataclass(frozen=True, eq=False)
class Street:
    """A street with as many lanes in both directions; traffic keeps right.

    Attributes:
        line: (N, 2) its centre line in the world frame, a point every metre.
        lanes: in each direction.
        lane_width: metres.
        parking: whether there are parking strips on both sides.
        pavement: width of the pavements in metres.
    """

    line: np.ndarray
    lanes: int
    lane_width: float
    parking: bool
    pavement: float

    @property
    def half_width(self) -> float:
        """From the centre line to the kerb, metres."""
        return self.lanes * self.lane_width + (PARKING_WIDTH if self.parking else 0.3)

    @property
    def length(self) -> float:
        """Metres, nearly."""
        return float(len(self.line) - 1)

    @cached_property
    def normals(self) -> np.ndarray:
        """(N, 2) unit vectors to the left."""
        along = np.gradient(self.line, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        return np.stack([-along[:, 1], along[:, 0]], axis=-1)

    def at(self, along: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (..., 2) and headings (...) at metres along the street and left of its middle."""
        along = np.asarray(along, dtype=np.float64)
        steps = np.arange(len(self.line))
        place = np.stack([np.interp(along, steps, self.line[:, k]) for k in (0, 1)], axis=-1)
        normal = np.stack([np.interp(along, steps, self.normals[:, k]) for k in (0, 1)], axis=-1)
        yaw = np.arctan2(-normal[..., 0], normal[..., 1])
        return place + normal * np.asarray(left)[..., None], yaw

    def lane_left(self, direction: int, lane: int) -> float:
        """How far left of the street's middle a lane's middle is; lane 0 is the inner one."""
        return -direction * (lane + 0.5) * self.lane_width


@dataclass(frozen=True)
class Junction:
    """Where two streets cross: their numbers, and metres along each."""

    streets: tuple[int, int]
    along: tuple[float, float]
    place: tuple[float, float]

    def along_street(self, street: int) -> float:
        """Metres along one of the two streets."""
        return self.along[self.streets.index(street)]


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """The plan. Street 0 is the main street.

    Attributes:
        streets: all streets.
        junctions: where they cross.
    """

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]

    @cached_property
    def carriageways(self) -> Polygon | MultiPolygon:
        """Between the kerbs, corners rounded."""
        whole = union_all(
            [LineString(s.line).buffer(s.half_width, cap_style="flat") for s in self.streets]
        )
        rounded = whole.buffer(CORNER_RADIUS, quad_segs=6).buffer(-CORNER_RADIUS, quad_segs=6)
        prepare(rounded)
        return rounded

    @cached_property
    def paved(self) -> Polygon | MultiPolygon:
        """Carriageways and pavements."""
        whole = union_all(
            [
                LineString(s.line).buffer(s.half_width + s.pavement, cap_style="flat")
                for s in self.streets
            ]
        )
        return whole.buffer(2.0, quad_segs=4).buffer(-2.0, quad_segs=4).union(self.carriageways)

    def clearance(self, junction: Junction, street: int) -> float:
        """Metres along a street from the junction's middle to the near edge of its crossing."""
        one, other = junction.streets
        across = self.streets[other if street == one else one]
        return across.half_width + CORNER_RADIUS * 0.8

    def junctions_of(self, street: int) -> list[Junction]:
        """A street's junctions in their order along it."""
        own = [junction for junction in self.junctions if street in junction.streets]
        return sorted(own, key=lambda junction: junction.along_street(street))

    def free_stretches(self, street: int, margin: float) -> list[tuple[float, float]]:
        """Begin and end in metres of the stretches between junctions, `margin` off crossings."""
        edges = [0.0]
        for junction in self.junctions_of(street):
            at, gap = junction.along_street(street), self.clearance(junction, street)
            edges += [at - gap - CROSSING_WIDTH - margin, at + gap + CROSSING_WIDTH + margin]
        edges.append(self.streets[street].length)
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def plan_roads(rng: np.random.Generator, length: float, downtown: float) -> RoadNetwork:
    """Draw a street plan.

    Args:
        rng: what it is drawn from.
        length: of the main street in metres; the scene's centre is its middle.
        downtown: 0 (village) to 1 (city): wider streets.
    """
    turn = rng.uniform(0, 2 * np.pi)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def street(points: np.ndarray, lanes: int, parking: bool) -> Street:
        steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        metres = np.arange(0, steps[-1])
        line = np.stack([np.interp(metres, steps, points[:, k]) for k in (0, 1)], axis=-1)
        lane_width = 3.5 if lanes > 1 else rng.uniform(3.1, 3.6)
        pavement = rng.uniform(2.2, 2.8) + 1.6 * downtown
        return Street(line @ axes.T + CENTRE, lanes, lane_width, parking, pavement)

    half = length / 2
    main_lanes = 2 if rng.random() < 0.2 + 0.5 * downtown else 1
    x = np.arange(-half, half, 0.25)
    main_y = _meander(rng, x, 22.0, 220.0)
    streets = [street(np.stack([x, main_y], -1), main_lanes, bool(rng.random() < 0.6))]
    side = rng.uniform(85, 130, 2)
    for sign, distance in zip((-1, 1), side, strict=True):
        y = sign * distance + _meander(rng, x, 8.0, 260.0)
        streets.append(street(np.stack([x, y], -1), 1, bool(rng.random() < 0.5)))
    at = -half + rng.uniform(30, 60)
    y = np.arange(-side[0] - 45, side[1] + 45, 0.25)
    while at < half - 20:
        lanes = 2 if rng.random() < 0.25 * downtown else 1
        points = np.stack([at + _meander(rng, y, 7.0, 160.0) + rng.normal(0, 0.06) * y, y], -1)
        streets.append(street(points, lanes, bool(rng.random() < 0.5)))
        at += rng.uniform(75, 125)
    return RoadNetwork(tuple(streets), tuple(_junctions(streets)))


def _junctions(streets: list[Street]) -> list[Junction]:
    """All crossings of the first three streets with the others."""
    lines = [LineString(s.line) for s in streets]
    found = []
    for one in range(3):
        for other in range(3, len(streets)):
            place = lines[one].intersection(lines[other])
            if place.geom_type == "Point":
                along = (lines[one].project(place), lines[other].project(place))
                found.append(Junction((one, other), along, (place.x, place.y)))
    return found


def _meander(
    rng: np.random.Generator, along: np.ndarray, height: float, length: float
) -> np.ndarray:
    """A gentle winding with bends of a radius of about length² / (40 height) and more."""
    waves = length * rng.uniform(1.0, 2.0, 2)
    heights = height * rng.uniform(0.2, 1.0, 2) * (waves / length) ** 2 / 2
    phases = rng.uniform(0, 2 * np.pi, 2)
    return sum(
        h * np.sin(2 * np.pi * along / w + p)
        for h, w, p in zip(heights, waves, phases, strict=True)
    )
