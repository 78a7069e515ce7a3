"""What is annotated and stands still: parked vehicles, road works, bystanders, racks, rubbish."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely

from lircdepth_core.drive import street_furniture
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.passers_by import make_officer, make_person, make_sitting, make_worker
from lircdepth_core.drive.road_surface import KERB
from lircdepth_core.drive.roads import PARKING_WIDTH, RoadNetwork
from lircdepth_core.drive.terrain import Terrain, pose_upright
from lircdepth_core.drive.vehicles import Model, make_vehicle, model_of
from lircdepth_core.drive.world import Thing


def place_standing_things(
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    near: shapely.LineString,
    busy: float,
) -> list[Thing]:
    """Everything near the ego vehicle's way that does not move.

    Args:
        rng: what all is drawn from.
        network: the streets.
        terrain: what all stand on.
        near: where the ego vehicle drives.
        busy: 0 (quiet) to 1 (crowded).
    """
    return [
        *_road_works(rng, network, terrain, near),
        *_parked(rng, network, terrain, near),
        *_bystanders(rng, network, terrain, near, busy),
    ]


def _parked(
    rng: np.random.Generator, network: RoadNetwork, terrain: Terrain, near: shapely.LineString
) -> list[Thing]:
    """Vehicles in the parking strips, bicycles at racks on the pavements."""
    things = []
    share = {
        "car": 0.76, "van": 0.11, "pickup": 0.05, "lorry": 0.025, "trailer": 0.012,
        "parked motorcycle": 0.04, "police": 0.003,
    }  # fmt: skip
    kinds, odds = list(share), np.array(list(share.values()))
    for number, street in enumerate(network.streets):
        full = rng.uniform(0.3, 0.9)
        for begin, end in network.free_stretches(number, 4.0):
            for side in (-1, 1):
                along = begin + rng.uniform(0.5, 4)
                while street.parking and along < end - 9:
                    left = side * (street.half_width - PARKING_WIDTH / 2 + rng.uniform(-0.1, 0.15))
                    place, _ = street.at(np.array(along + 2.5), np.array(left))
                    if rng.random() > full or near.distance(shapely.Point(place)) > 90:
                        along += 6.0
                        continue
                    model = make_vehicle(rng, str(rng.choice(kinds, p=odds / odds.sum())))
                    length = model.size[1]
                    place, yaw = street.at(np.array(along + length / 2), np.array(left))
                    along += length + rng.uniform(0.7, 1.6)
                    facing = float(yaw) + (0 if side < 0 else np.pi) + rng.normal(0, 0.02)
                    cycle = "motorcycle" in model.category
                    attribute = "cycle.without_rider" if cycle else "vehicle.parked"
                    things.append(_standing(model, terrain.pose(place, facing), attribute))
                if rng.random() < 0.25 and end - begin > 20:
                    things += _bicycle_rack(rng, terrain, street.at(
                        np.array(rng.uniform(begin + 5, end - 5)),
                        np.array(side * (street.half_width + 0.95)),
                    ), near)  # fmt: skip
    return things


def _bicycle_rack(
    rng: np.random.Generator,
    terrain: Terrain,
    at: tuple[np.ndarray, np.ndarray],
    near: shapely.LineString,
) -> list[Thing]:
    """Bicycles side by side along the kerb; the rack as a whole is annotated, as in nuScenes."""
    place, yaw = at
    if near.distance(shapely.Point(place)) > 60:
        return []
    builder = MeshBuilder()
    builder.add_mesh(street_furniture.make_bicycle_rack())
    for y in np.arange(-2, 3) * 0.8:
        if rng.random() < 0.7:
            matrix = pose_upright(np.array([0.0, y + 0.12, 0.0]), float(rng.choice([0, np.pi])))
            builder.add_mesh(make_vehicle(rng, "parked bicycle").mesh, matrix)
    model = model_of("static_object.bicycle_rack", builder.mesh())
    return [_standing(model, terrain.pose(place, float(yaw) + np.pi / 2, KERB), "")]


def _bystanders(
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    near: shapely.LineString,
    busy: float,
) -> list[Thing]:
    """People who stand or sit about, containers, rubbish."""
    things = []
    makers: dict[str, Callable[[], tuple[Model, str]]] = {
        "person": lambda: (make_person(rng, 0.0), "pedestrian.standing"),
        "sitting": lambda: (make_sitting(rng), "pedestrian.sitting_lying_down"),
        "police": lambda: (make_officer(rng), "pedestrian.standing"),
        "container": lambda: (
            model_of("movable_object.pushable_pullable", street_furniture.make_container(rng)),
            "",
        ),
        "debris": lambda: (
            model_of("movable_object.debris", street_furniture.make_debris(rng)),
            "",
        ),
    }
    for number, street in enumerate(network.streets):
        for begin, end in network.free_stretches(number, 0.0):
            for _ in range(rng.poisson((end - begin) / (60 - 30 * busy))):
                side = 1 if rng.random() < 0.5 else -1
                along = rng.uniform(begin, end)
                left = side * (street.half_width + rng.uniform(0.6, street.pavement - 0.3))
                place, yaw = street.at(np.array(along), np.array(left))
                kind = str(rng.choice(list(makers), p=[0.66, 0.06, 0.04, 0.16, 0.08]))
                if near.distance(shapely.Point(place)) > 60:
                    continue
                model, attribute = makers[kind]()
                facing = (
                    float(yaw)
                    - side * np.pi / 2
                    + (rng.normal(0, 1.2) if kind in ("person", "police") else 0)
                )
                position = np.append(place, terrain.height(place) + KERB)
                things.append(_standing(model, pose_upright(position, facing), attribute))
    return things


def _road_works(
    rng: np.random.Generator, network: RoadNetwork, terrain: Terrain, near: shapely.LineString
) -> list[Thing]:
    """An excavator behind cones and barriers at the kerb of a street, with workers."""
    things: list[Thing] = []
    for number, street in enumerate(network.streets):
        for begin, end in network.free_stretches(number, 3.0):
            if end - begin < 30 or rng.random() > 0.5:
                continue
            side = 1 if rng.random() < 0.5 else -1
            at = rng.uniform(begin + 4, end - 22)
            inner = street.half_width - (1.9 if street.parking else -0.4)
            place, _ = street.at(np.array(at + 9), np.array(side * inner))
            if near.distance(shapely.Point(place)) > 60:
                continue

            def put(
                model: Model, along: float, left: float, turn: float, attribute: str = ""
            ) -> None:
                place, yaw = street.at(np.array(at + along), np.array(side * left))  # noqa: B023
                lift = KERB if left > street.half_width else 0.0  # noqa: B023
                pose = terrain.pose(place, float(yaw) + turn, lift)
                things.append(_standing(model, pose, attribute))

            for along in np.arange(0, 18, 2.4):
                if rng.random() < 0.8:
                    put(
                        model_of("movable_object.trafficcone", street_furniture.make_cone()),
                        along,
                        inner + 0.25,
                        0.0,
                    )
            for along in (-1.2, 19.0):
                put(
                    model_of("movable_object.barrier", street_furniture.make_barrier(rng)),
                    along,
                    inner + 1.1,
                    rng.normal(0, 0.1),
                )
            for along in np.arange(2, 17, 2.3):
                put(
                    model_of("movable_object.barrier", street_furniture.make_barrier(rng)),
                    along,
                    street.half_width + street.pavement - 0.3,
                    np.pi / 2,
                )
            put(
                make_vehicle(rng, "excavator"),
                9.0,
                inner + 2.4,
                float(rng.choice([0, np.pi])),
                "vehicle.stopped",
            )
            for along in (4.0, 14.5):
                put(
                    make_worker(rng),
                    along + rng.uniform(-1, 1),
                    inner + rng.uniform(1, 2),
                    rng.uniform(0, 6),
                    "pedestrian.standing",
                )
    return things


def _standing(model: Model, pose: np.ndarray, attribute: str) -> Thing:
    """A thing that stands still."""
    still = np.zeros(3)
    return Thing(
        model.category,
        model.size,
        model.mesh,
        lambda t: pose,
        lambda t: still,
        lambda t: attribute,
        False,
    )
