"""All that is annotated: traffic, parked vehicles, people, road works; and the ego vehicle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from lircdepth_core.drive.mesh_builder import merged
from lircdepth_core.drive.passers_by import make_walking
from lircdepth_core.drive.road_surface import KERB
from lircdepth_core.drive.roads import CROSSING_WIDTH, RoadNetwork
from lircdepth_core.drive.standing_things import place_standing_things
from lircdepth_core.drive.terrain import Terrain, pose_upright
from lircdepth_core.drive.traffic import (
    LEAD_IN,
    Mover,
    Route,
    Signals,
    lane_route,
    route_along,
    simulate,
    turning_route,
)
from lircdepth_core.drive.vehicles import Model, make_vehicle
from lircdepth_core.drive.world import Thing

EGO_SIZE = (1.73, 4.08, 1.56)
"""Width, length and height of the ego vehicle, a Renault Zoe as nuScenes' own."""

EGO_MIDDLE = 1.35
"""Metres from the rear axle forward to the ego vehicle's middle."""

_NEAR = 110.0

Pose = Callable[[float], np.ndarray]
Maker = Callable[[np.random.Generator, Mover, Terrain], list[Thing]]
"""Makes the things that follow a mover."""


@dataclass(frozen=True, eq=False)
class Cast:
    """Who is in a scene, where the ego vehicle goes, and the traffic lights that they heed."""

    things: tuple[Thing, ...]
    ego_pose: Pose
    signals: Signals


def cast_road_users(
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    duration: float,
    busy: float,
) -> Cast:
    """Fill the streets.

    Args:
        rng: what all is drawn from.
        network: the streets.
        terrain: what all stand on.
        duration: seconds.
        busy: 0 (quiet) to 1 (crowded).
    """
    route, start = _ego_route(rng, network, duration)
    signals = _signals(rng, network, route, start)
    near = shapely.LineString(
        route.at(np.arange(start, min(start + 14 * duration, route.length), 4.0))[0]
    )
    ego = Mover(route, start, float(rng.uniform(8, 14)), EGO_SIZE[1] + 0.4, EGO_SIZE[0] + 0.2)
    others = [
        *_traffic(rng, network, near, busy, ego),
        *_cyclists(rng, network, near, busy, ego),
        *_crossing_people(rng, network, near, busy, signals, duration),
        *_walkers(rng, network, near, busy),
    ]
    simulate([ego, *(mover for mover, _ in others)], signals, duration)
    moving = [thing for mover, make in others for thing in make(rng, mover, terrain)]
    standing = place_standing_things(rng, network, terrain, near, busy)
    ego_pose = _pose_on_road(ego, terrain)
    middle = np.eye(4)
    middle[0, 3] = EGO_MIDDLE
    ego_thing = Thing(
        None,
        EGO_SIZE,
        merged([]),
        lambda t: ego_pose(t) @ middle,
        _velocity(ego, ego_pose),
        lambda t: "",
        True,
    )
    kept = without_collisions(ego_thing, standing + moving, duration)
    return Cast(tuple(kept), ego_pose, signals)


def footprints(thing: Thing, times: np.ndarray) -> np.ndarray:
    """The outlines (T,) of a thing's box on the ground as shapely polygons."""
    width, length, _ = thing.size
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (length / 2, width / 2)
    poses = np.array([thing.pose(time) for time in (times if thing.moves else times[:1])])
    places = np.einsum("tij,cj->tci", poses[:, :2, :2], corners) + poses[:, None, :2, 3]
    return np.broadcast_to(shapely.polygons(places), len(times))


def without_collisions(ego: Thing, things: Iterable[Thing], duration: float) -> list[Thing]:
    """The things, those left out that run into the ego vehicle or one of those before them."""
    kept: list[Thing] = []
    times = np.arange(-0.5, duration + 0.75, 0.4)
    taken = [shapely.buffer(footprints(ego, times), 0.4, join_style="mitre")]
    bounds = [shapely.total_bounds(taken[0])]
    for thing in things:
        mine = footprints(thing, times)
        low_x, low_y, high_x, high_y = shapely.total_bounds(mine)
        clash = any(
            low_x < b[2] and high_x > b[0] and low_y < b[3] and high_y > b[1]
            and shapely.intersects(mine, theirs).any()
            for theirs, b in zip(taken, bounds, strict=True)
        )  # fmt: skip
        if not clash:
            kept.append(thing)
            taken.append(mine)
            bounds.append(np.array([low_x, low_y, high_x, high_y]))
    return kept


def _ego_route(
    rng: np.random.Generator, network: RoadNetwork, duration: float
) -> tuple[Route, float]:
    """The ego vehicle's way and where it starts on it: along the main street, or off it."""
    street = network.streets[0]
    start = 130.0
    goal = float(rng.choice([0, 1, -1], p=[0.35, 0.35, 0.3]))
    ahead = [
        junction
        for junction in network.junctions_of(0)
        if start + 30 < junction.along_street(0) < start + 30 + 6 * duration
        and street.length - junction.along_street(0) > 30
    ]
    if goal and ahead and duration <= 30:
        junction = ahead[rng.integers(len(ahead))]
        other = junction.streets[1]
        cross = network.streets[other]
        at = junction.along_street(other)
        # Streets cross the main one from its right to its left.
        direction = int(goal)
        if (cross.length - at if direction > 0 else at) > 60:
            lanes = (street.lanes - 1, cross.lanes - 1) if goal < 0 else (0, 0)
            return turning_route(network, junction, (0, other), (1, direction), lanes), start
    return lane_route(network, 0, 1, int(rng.integers(street.lanes))), start


def _signals(rng: np.random.Generator, network: RoadNetwork, route: Route, start: float) -> Signals:
    """Traffic lights; most of those on the ego vehicle's way are green when it comes."""
    signals = Signals(rng.uniform(0, 44, len(network.junctions)))
    for stop, junction, group in route.stops:
        if stop > start and group == 0 and rng.random() < 0.7:
            arrival = (stop - start) / 9.0 - LEAD_IN
            signals.offset[junction] = arrival - rng.uniform(1, 17)
    return signals


def _traffic(
    rng: np.random.Generator,
    network: RoadNetwork,
    near: shapely.LineString,
    busy: float,
    ego: Mover,
) -> list[tuple[Mover, Maker]]:
    """Vehicles in the lanes near the ego vehicle's way."""
    found = []
    ego_place = ego.route.at(np.array(ego.start))[0]
    share = {
        "car": 0.58, "van": 0.11, "pickup": 0.06, "lorry": 0.07, "tractor": 0.04, "bus": 0.08,
        "bendy bus": 0.015, "motorcycle": 0.05, "police": 0.01, "ambulance": 0.005,
    }  # fmt: skip
    kinds, odds = list(share), np.array(list(share.values()))
    for number, street in enumerate(network.streets):
        for direction in (-1, 1):
            for lane in range(street.lanes):
                route = lane_route(network, number, direction, lane)
                along = rng.uniform(4, 30)
                while along < route.length - 25:
                    start, along = along, along + 10 + rng.exponential(95 - 70 * busy)
                    place = route.at(np.array(start))[0]
                    clear = all(abs(stop + 12 - start) > 14 for stop, _, _ in route.stops)
                    apart = float(np.linalg.norm(place - ego_place))
                    if not clear or apart < 12 or near.distance(shapely.Point(place)) > _NEAR:
                        continue
                    kind = str(rng.choice(kinds, p=odds / odds.sum()))
                    models = [make_vehicle(rng, kind), *_pulled(rng, kind)]
                    length = sum(model.size[1] for model in models) + 0.9 * (len(models) - 1)
                    along += length
                    if apart > 10 + length / 2:
                        speed = float(rng.uniform(7.5, 14.5) * (0.85 if len(models) > 1 else 1.0))
                        mover = Mover(route, start, speed, length, models[0].size[0])
                        found.append((mover, _vehicle_maker(models)))
    return found


def _pulled(rng: np.random.Generator, kind: str) -> list[Model]:
    """What a vehicle pulls."""
    if kind == "tractor":
        return [make_vehicle(rng, "trailer")]
    return [make_vehicle(rng, "bendy bus")] if kind == "bendy bus" else []


def _vehicle_maker(models: list[Model]) -> Maker:
    """Makes the things of a vehicle and what it pulls from its mover."""

    def make(_: np.random.Generator, mover: Mover, terrain: Terrain) -> list[Thing]:
        things, front = [], mover.length / 2
        for model in models:
            length = model.size[1]
            pose = _pose_on_road(mover, terrain, front - length / 2)
            front -= length + (0.9 if model.category == "vehicle.truck" else 0.35)
            things.append(_moving(model, mover, pose, "vehicle.moving", "vehicle.stopped"))
        return things

    return make


def _cyclists(
    rng: np.random.Generator,
    network: RoadNetwork,
    near: shapely.LineString,
    busy: float,
    ego: Mover,
) -> list[tuple[Mover, Maker]]:
    """Cyclists near the kerb; seldom ahead of the ego vehicle, which does not overtake."""
    found: list[tuple[Mover, Maker]] = []
    for number, street in enumerate(network.streets):
        for direction in (-1, 1):
            lane = street.lanes - 1
            route = lane_route(network, number, direction, lane, street.lane_width / 2 - 0.55)
            along = rng.exponential(60)
            while along < route.length - 30:
                place = route.at(np.array(along))[0]
                ahead = number == 0 and direction > 0 and along > ego.start
                alone = not ahead or rng.random() < 0.03
                if alone and near.distance(shapely.Point(place)) < 70:
                    model = make_vehicle(rng, "bicycle")
                    mover = Mover(
                        route, along, float(rng.uniform(4.0, 7.0)), model.size[1], model.size[0]
                    )
                    found.append((mover, _vehicle_maker([model])))
                along += 15 + rng.exponential(160 - 100 * busy)
    return found


def _crossing_people(
    rng: np.random.Generator,
    network: RoadNetwork,
    near: shapely.LineString,
    busy: float,
    signals: Signals,
    duration: float,
) -> list[tuple[Mover, Maker]]:
    """People who cross streets on the crossings while the traffic there has red."""
    found: list[tuple[Mover, Maker]] = []
    for number, junction in enumerate(network.junctions):
        if near.distance(shapely.Point(junction.place)) > 60:
            continue
        for group, street_number in enumerate(junction.streets):
            street = network.streets[street_number]
            for side in (-1, 1):
                gap = network.clearance(junction, street_number) + CROSSING_WIDTH / 2
                along = junction.along_street(street_number) + side * gap
                if not 3 < along < street.length - 3:
                    continue
                for _ in range(rng.poisson(0.5 + 1.5 * busy)):
                    speed = float(rng.uniform(1.0, 1.7))
                    begins = [
                        time
                        for time in np.arange(-2.0, duration, 0.5)
                        if all(
                            signals.state(number, group, time + later) == "red"
                            for later in (-1.5, 0.0, (2 * street.half_width + 1.5) / speed)
                        )
                    ]
                    if not begins:
                        continue
                    reach = (street.half_width + 6.0) * (1 if rng.random() < 0.5 else -1)
                    across, _ = street.at(
                        np.full(2, along + rng.uniform(-1.2, 1.2)), np.array([-reach, reach])
                    )
                    points = _from_kerb_to_kerb(across, network.carriageways)
                    departs = float(rng.choice(begins))
                    mover = Mover(
                        route_along(points), 0.1, speed, 0.6, 0.6, walks=True, departs=departs
                    )
                    found.append((mover, _walker_maker(network)))
    return found


def _from_kerb_to_kerb(across: np.ndarray, carriageways: shapely.Geometry) -> np.ndarray:
    """A way (N, 2) across a street from pavement to pavement.

    Args:
        across: (2, 2) a line that crosses the street in its middle.
        carriageways: between the kerbs.
    """
    line = shapely.LineString(across)
    pieces = shapely.get_parts(line.intersection(carriageways))
    middle = line.interpolate(0.5, normalized=True)
    piece = pieces[np.argmin(shapely.distance(pieces, middle))]
    begin, end = sorted(line.project(shapely.Point(place)) for place in piece.coords)
    steps = np.arange(begin - 0.9, end + 0.9, 0.5)
    return shapely.get_coordinates(shapely.line_interpolate_point(line, steps))


def _walkers(
    rng: np.random.Generator, network: RoadNetwork, near: shapely.LineString, busy: float
) -> list[tuple[Mover, Maker]]:
    """People on the pavements."""
    found: list[tuple[Mover, Maker]] = []
    for number, street in enumerate(network.streets):
        for begin, end in network.free_stretches(number, -1.0):
            for side in (-1, 1):
                for _ in range(rng.poisson((end - begin) / (130 - 100 * busy))):
                    at, way = rng.uniform(begin, end), (1 if rng.random() < 0.5 else -1)
                    left = side * (street.half_width + rng.uniform(1.25, street.pavement - 0.45))
                    place, _ = street.at(np.array(at), np.array(left))
                    if near.distance(shapely.Point(place)) > 60:
                        continue
                    along = np.arange(at, end if way > 0 else begin, way * 0.5)
                    if len(along) < 20:
                        continue
                    route = route_along(street.at(along, np.full(len(along), left))[0])
                    mover = Mover(route, 0.0, float(rng.uniform(0.8, 1.8)), 0.6, 0.6, walks=True)
                    found.append((mover, _walker_maker(network)))
    return found


def _walker_maker(network: RoadNetwork) -> Maker:
    """Makes a walking person from a mover."""

    def make(rng: np.random.Generator, mover: Mover, terrain: Terrain) -> list[Thing]:
        model = make_walking(rng)
        steps = np.arange(0.0, mover.route.length, 0.1)
        places, _ = mover.route.at(steps)
        lifts = np.where(shapely.contains_xy(network.carriageways, places), 0.0, KERB)

        def pose(time: float) -> np.ndarray:
            along, _ = mover.state(time)
            lift = float(np.interp(along, steps, lifts))
            place, yaw = mover.route.at(np.array(along))
            return pose_upright(np.append(place, terrain.height(place) + lift), float(yaw))

        moving, still = "pedestrian.moving", "pedestrian.standing"
        return [_moving(model, mover, pose, moving, still)]

    return make


def _moving(model: Model, mover: Mover, pose: Pose, moving: str, still: str) -> Thing:
    """A thing that follows a mover."""
    cycle = model.category in ("vehicle.bicycle", "vehicle.motorcycle")

    def attribute(time: float) -> str:
        if cycle:
            return "cycle.with_rider"
        if model.category in ("animal", "human.pedestrian.stroller"):
            return ""
        return moving if mover.state(time)[1] > 0.2 else still

    return Thing(
        model.category, model.size, model.mesh, pose, _velocity(mover, pose), attribute, True
    )


def _pose_on_road(mover: Mover, terrain: Terrain, shift: float = 0.0) -> Pose:
    """Where the point `shift` metres ahead of a mover's middle is, tilted with the road."""

    def pose(time: float) -> np.ndarray:
        along, _ = mover.state(time)
        place, yaw = mover.route.at(np.array(along + shift))
        return terrain.pose(place, float(yaw))

    return pose


def _velocity(mover: Mover, pose: Pose) -> Callable[[float], np.ndarray]:
    def velocity(time: float) -> np.ndarray:
        return pose(time)[:3, 0] * mover.state(time)[1]

    return velocity
