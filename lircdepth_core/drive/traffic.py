"""How everything that moves moves: routes, signals, and a simulation in which drivers keep off
each other (intelligent driver model, Treiber et al. 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lircdepth_core.drive.roads import CROSSING_WIDTH, Junction, RoadNetwork

STEP = 0.2
LEAD_IN = 3.0
"""Seconds simulated before the scene's start and after its end, which sensors may reach into."""

_AHEAD = np.arange(0.25, 32.0, 0.75)
_ACCELERATION, _BRAKING, _HEADWAY, _GAP = 1.8, 2.6, 1.2, 2.2
_LATERAL = 2.2


@dataclass(frozen=True, eq=False)
class Route:
    """A way through the streets.

    Attributes:
        points: (N, 2) in the world frame, `spacing` apart.
        spacing: metres.
        stops: (metres along, junction number, signal group) of each stop line.
    """

    points: np.ndarray
    spacing: float
    stops: tuple[tuple[float, int, int], ...] = ()
    yaw: np.ndarray = field(init=False)
    limit: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        along = np.gradient(self.points, self.spacing, axis=0)
        yaw = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
        curvature = np.abs(np.gradient(yaw, self.spacing))
        limit = np.sqrt(_LATERAL / np.maximum(curvature, 1e-3))
        for index in range(len(limit) - 2, -1, -1):
            limit[index] = min(limit[index], np.sqrt(limit[index + 1] ** 2 + 3.0 * self.spacing))
        object.__setattr__(self, "yaw", yaw)
        object.__setattr__(self, "limit", limit)

    @property
    def length(self) -> float:
        """Metres."""
        return (len(self.points) - 1) * self.spacing

    def at(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (..., 2) and headings (...) at metres along it."""
        index = np.asarray(along) / self.spacing
        steps = np.arange(len(self.points))
        place = np.stack([np.interp(index, steps, self.points[:, k]) for k in (0, 1)], axis=-1)
        return place, np.interp(index, steps, self.yaw)


def route_along(points: np.ndarray, stops: Sequence[tuple[float, int, int]] = ()) -> Route:
    """A route of points (N, 2) any distance apart, resampled evenly and with smooth headings."""
    steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    spacing = 0.5
    metres = np.arange(0, steps[-1], spacing)
    even = np.stack([np.interp(metres, steps, points[:, k]) for k in (0, 1)], axis=-1)
    if len(even) > 12:
        kernel = np.ones(7) / 7
        padded = np.concatenate([2 * even[:1] - even[3:0:-1], even, 2 * even[-1:] - even[-2:-5:-1]])
        even = np.stack([np.convolve(padded[:, k], kernel, "valid") for k in (0, 1)], axis=-1)
    return Route(even, spacing, tuple(stops))


def lane_route(
    network: RoadNetwork,
    street: int,
    direction: int,
    lane: int,
    shift: float = 0.0,
) -> Route:
    """Straight on in a lane of a street; `shift` metres to the right of the lane's middle."""
    road = network.streets[street]
    along = np.arange(0.0, road.length)[::direction]
    left = road.lane_left(direction, lane) - direction * shift
    points, _ = road.at(along, np.full(len(along), left))
    return route_along(points, _stops(network, street, direction, points))


def turning_route(
    network: RoadNetwork,
    junction: Junction,
    streets: tuple[int, int],
    directions: tuple[int, int],
    lanes: tuple[int, int],
) -> Route:
    """From a lane of the first street into a lane of the second at a junction."""
    first, second = (network.streets[number] for number in streets)
    at = [junction.along_street(number) for number in streets]
    gap = [network.streets[streets[1 - k]].half_width + 1.5 for k in (0, 1)]
    before = np.arange(0.0, first.length)[:: directions[0]]
    before = before[(before - at[0]) * directions[0] < -gap[0]]
    after = np.arange(0.0, second.length)[:: directions[1]]
    after = after[(after - at[1]) * directions[1] > gap[1]]
    come, _ = first.at(before, np.full(len(before), first.lane_left(directions[0], lanes[0])))
    leave, _ = second.at(after, np.full(len(after), second.lane_left(directions[1], lanes[1])))
    reach = np.linalg.norm(leave[0] - come[-1])
    pull = 0.39 * reach
    ahead = (come[-1] - come[-2]) / np.linalg.norm(come[-1] - come[-2])
    away = (leave[1] - leave[0]) / np.linalg.norm(leave[1] - leave[0])
    t = np.linspace(0, 1, 24)[1:-1, None]
    bend = (
        (1 - t) ** 3 * come[-1]
        + 3 * (1 - t) ** 2 * t * (come[-1] + pull * ahead)
        + 3 * (1 - t) * t**2 * (leave[0] - pull * away)
        + t**3 * leave[0]
    )
    turned = len(come) + len(bend) / 2
    stops = [
        stop for stop in _stops(network, streets[0], directions[0], come) if stop[0] < turned + 5
    ]
    return route_along(np.concatenate([come, bend, leave]), stops)


def _stops(
    network: RoadNetwork, street: int, direction: int, points: np.ndarray
) -> list[tuple[float, int, int]]:
    """The stop lines on a route whose points begin with those along a street."""
    stops = []
    for number, junction in enumerate(network.junctions):
        if street not in junction.streets:
            continue
        clear = network.clearance(junction, street) + CROSSING_WIDTH + 1.4
        place, _ = network.streets[street].at(
            np.array(junction.along_street(street) - direction * clear), np.array(0.0)
        )
        gaps = np.linalg.norm(points - place, axis=1)
        nearest = int(np.argmin(gaps))
        if 2 < nearest < len(points) - 1 and gaps[nearest] < 12:
            steps = np.linalg.norm(np.diff(points[: nearest + 1], axis=0), axis=1)
            stops.append((float(steps.sum()), number, int(junction.streets[1] == street)))
    return stops


@dataclass(frozen=True, eq=False)
class Signals:
    """Traffic lights: group 0 is the through street of a junction, group 1 the crossing one.

    Attributes:
        offset: (J,) seconds at which each junction's cycle starts.
    """

    offset: np.ndarray
    period: float = 44.0

    def state(self, junction: int, group: int, time: float) -> str:
        """`green`, `amber` or `red`."""
        phase = (time - self.offset[junction]) % self.period
        begin, end = ((0, 22), (27, 39))[group]
        if begin <= phase < end:
            return "green"
        return "amber" if end <= phase < end + 3 else "red"


@dataclass(eq=False)
class Mover:
    """A road user in the simulation.

    Attributes:
        route: its way.
        start: metres along the route at the beginning.
        speed: what it would like, m/s.
        length, width: metres.
        walks: pedestrians keep their speed, and others keep off them.
        departs: seconds before which it stands still.
    """

    route: Route
    start: float
    speed: float
    length: float
    width: float
    walks: bool = False
    departs: float = -np.inf
    along: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rate: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def state(self, time: float) -> tuple[float, float]:
        """Metres along the route and m/s at a time: cubic between the simulation's steps."""
        place = np.clip((time + LEAD_IN) / STEP, 0, len(self.along) - 1.001)
        i = int(place)
        t = place - i
        p, q = self.along[i], self.along[i + 1]
        u, w = self.rate[i] * STEP, self.rate[i + 1] * STEP
        along = p + t * (u + t * (3 * (q - p) - 2 * u - w + t * (2 * (p - q) + u + w)))
        rate = u + t * (2 * (3 * (q - p) - 2 * u - w) + t * 3 * (2 * (p - q) + u + w))
        return float(along), float(max(rate, 0.0) / STEP)


def simulate(movers: list[Mover], signals: Signals, duration: float) -> None:
    """Fill in every mover's `along` and `rate` from -LEAD_IN to duration + LEAD_IN.

    Args:
        movers: the road users.
        signals: the traffic lights.
        duration: seconds.
    """
    count = round((duration + 2 * LEAD_IN) / STEP) + 2
    walking = np.array([mover.walks for mover in movers])
    length = np.array([mover.length for mover in movers])
    width = np.array([mover.width for mover in movers])
    wish = np.array([mover.speed for mover in movers])
    along = np.array([mover.start for mover in movers])
    ends = np.array([mover.route.length for mover in movers])
    rate = np.array(
        [min(m.speed, m.route.limit[min(int(m.start / m.route.spacing), len(m.route.limit) - 1)])
         for m in movers]
    )  # fmt: skip
    owner = np.arange(len(movers)).repeat(3)
    offsets = (length[:, None] / 2 - width[:, None] / 2).clip(0) * np.array([-1.0, 0.0, 1.0])
    history = np.empty((2, count, len(movers)))
    for step in range(count):
        time = step * STEP - LEAD_IN
        resting = np.array([time < mover.departs for mover in movers])
        history[0, step], history[1, step] = along, np.where(resting, 0.0, rate)
        place, yaw = (
            np.array(parts)
            for parts in zip(
                *(m.route.at(np.array(s)) for m, s in zip(movers, along, strict=True)), strict=True
            )
        )
        heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        discs = (place[:, None] + offsets[..., None] * heading[:, None]).reshape(-1, 2)
        radii = width.repeat(3) / 2
        speeds = (heading * history[1, step][:, None]).repeat(3, axis=0)
        for i, mover in enumerate(movers):
            if walking[i]:
                room = max(ends[i] - 0.5 - along[i], 0.0)
                rate[i] = min(wish[i], 1.5 * room)
                if not resting[i]:
                    along[i] += rate[i] * STEP
                continue
            front = along[i] + length[i] / 2
            index = int(min(along[i] / mover.route.spacing, len(mover.route.limit) - 1))
            goal = min(wish[i], mover.route.limit[index])
            gaps = [(max(ends[i] - 3 - front, 0.05), 0.0)]
            for stop, junction, group in mover.route.stops:
                ahead = stop - front
                can_stop = max(rate[i] ** 2 / 9, 0.0) < ahead < 60
                if can_stop and signals.state(junction, group, time) != "green":
                    gaps.append((ahead + _GAP - 1.0, 0.0))
            near = np.linalg.norm(discs - place[i], axis=1) < 50
            near &= owner != i
            corridor, _ = mover.route.at(front + _AHEAD)
            others = np.flatnonzero(near)
            if len(others):
                gaps += _blocked(
                    corridor, discs[others], radii[others] + width[i] / 2 + 0.35,
                    speeds[others] @ heading[i],
                )  # fmt: skip
            brake = max(
                (_GAP + max(0.0, rate[i] * _HEADWAY
                 + rate[i] * (rate[i] - other) / (2 * np.sqrt(_ACCELERATION * _BRAKING))))
                / max(gap, 0.05)
                for gap, other in gaps
            )  # fmt: skip
            change = _ACCELERATION * (1 - (rate[i] / max(goal, 0.1)) ** 4 - brake**2)
            new = max(0.0, rate[i] + np.clip(change, -8.0, _ACCELERATION) * STEP)
            along[i] += (rate[i] + new) / 2 * STEP
            rate[i] = new
    for i, mover in enumerate(movers):
        mover.along, mover.rate = history[0, :, i], history[1, :, i]


def _blocked(
    corridor: np.ndarray, discs: np.ndarray, reach: np.ndarray, speeds: np.ndarray
) -> list[tuple[float, float]]:
    """Free metres ahead and speed of the nearest disc in the way of a corridor; [] if none."""
    hit = np.linalg.norm(corridor[:, None] - discs, axis=-1) < reach
    if not hit.any():
        return []
    first = int(np.argmax(hit.any(axis=1)))
    return [(float(_AHEAD[first]), float(max(speeds[hit[first]].min(), 0.0)))]
