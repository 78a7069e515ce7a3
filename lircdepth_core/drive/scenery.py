"""What stands along the streets of a scene and is not annotated: buildings, trees, lamps, signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from lircdepth_core.drive import street_furniture as furniture
from lircdepth_core.drive.buildings import add_building, draw_style
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.road_surface import KERB
from lircdepth_core.drive.roads import CROSSING_WIDTH, RoadNetwork
from lircdepth_core.drive.terrain import CENTRE, Terrain, pose_upright
from lircdepth_core.drive.traffic import Signals
from lircdepth_core.drive.vegetation import make_bush, make_hedge, make_tree
from lircdepth_core.drive.world import Lamp, Mesh

_DETAIL = 75.0
_LAMP_PITCH = 27.0


@dataclass(frozen=True, eq=False)
class Scenery:
    """The scenery: one mesh in the world frame, and its street lamps."""

    mesh: Mesh
    lamps: tuple[Lamp, ...]


def build_scenery(
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    way: shapely.LineString,
    *,
    downtown: float,
    green: float,
    signals: Signals,
) -> Scenery:
    """Line the streets.

    Args:
        rng: what all is drawn from.
        network: the streets.
        terrain: what all stand on.
        way: where the ego vehicle drives; what is near it has more detail.
        downtown: 0 (village) to 1 (city).
        green: share of streets with trees, and of plots left to trees.
        signals: the traffic lights; as meshes they show one state for the whole scene.
    """
    builder = MeshBuilder()
    trees = [make_tree(rng, height) for height in rng.uniform(6.0, 11.0, 6)]
    plots = _Plots(network)
    lamps: list[Lamp] = []
    for number in range(len(network.streets)):
        for side in (-1, 1):
            _frontage(
                builder, rng, network, terrain, number, side, way, downtown, green, plots, trees
            )
            lamps += _kerbside(builder, rng, network, terrain, number, side, way, green, trees)
    _signals(builder, rng, network, terrain, way, signals)
    _woods(builder, rng, terrain, way, plots, trees)
    _backdrop(builder, rng, terrain)
    return Scenery(builder.mesh(), tuple(lamps))


class _Plots:
    """Which ground is taken."""

    def __init__(self, network: RoadNetwork) -> None:
        self._streets = network.paved.buffer(0.3)
        shapely.prepare(self._streets)
        self._taken: list[shapely.Polygon] = []

    def take(self, outline: shapely.Polygon) -> bool:
        """Take an outline if it is free."""
        if self._streets.intersects(outline) or any(
            shapely.intersects(np.array(self._taken, dtype=object), outline)
        ):
            return False
        self._taken.append(outline)
        return True


def _frontage(
    builder: MeshBuilder,
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    number: int,
    side: int,
    way: shapely.LineString,
    downtown: float,
    green: float,
    plots: _Plots,
    trees: list[Mesh],
) -> None:
    """Plots along one side of a street: buildings, gardens, gaps."""
    street = network.streets[number]
    setback = float(rng.choice([0.3, 1.0, 3.5, 5.5], p=_setback_odds(downtown)))
    along = rng.uniform(0, 6)
    front = street.half_width + street.pavement
    while along < street.length - 8:
        style = draw_style(rng, downtown)
        width = rng.uniform(9, 15) + (rng.uniform(4, 14) if style.storeys > 4 else 0)
        depth = rng.uniform(9, 13) + (4 if style.storeys > 4 else 0)
        middle = along + width / 2
        along += width + (
            rng.uniform(0.0, 0.4) if rng.random() < 0.3 + 0.5 * downtown else rng.uniform(2.5, 9)
        )
        place, yaw = street.at(np.array(middle), np.array(side * (front + setback)))
        near = way.distance(shapely.Point(place))
        if near > 170:
            continue
        outward = float(yaw) + side * np.pi / 2
        axes = np.array([[np.sin(outward), np.cos(outward)], [-np.cos(outward), np.sin(outward)]])
        corners = np.array([[-1, 0], [1, 0], [1, 2], [-1, 2]]) * (width / 2, depth / 2)
        outline = shapely.Polygon(corners @ axes.T + place)
        if rng.random() < 0.12 + 0.35 * green * (1 - downtown):
            _green_plot(builder, rng, terrain, place, axes, width, trees, near)
            continue
        if not plots.take(outline):
            continue
        matrix = np.eye(4)
        matrix[:2, :2] = axes
        matrix[:2, 3] = place
        # Level with the ground at the front; foundations reach below the slope.
        matrix[2, 3] = terrain.height(place) + KERB
        house = MeshBuilder()
        add_building(house, rng, style, width, depth, near < _DETAIL)
        builder.add_mesh(house.mesh(), matrix)
        if setback > 3 and near < _DETAIL:
            _front_garden(builder, rng, terrain, place, axes, width, setback)


def _setback_odds(downtown: float) -> np.ndarray:
    odds = np.array([0.2 + downtown, 0.3, 0.6 * (1 - downtown) + 0.02, 0.5 * (1 - downtown) + 0.02])
    return odds / odds.sum()


def _put(
    builder: MeshBuilder,
    mesh: Mesh,
    terrain: Terrain,
    place: np.ndarray,
    yaw: float,
    scale: float = 1.0,
) -> None:
    """Stand a mesh upright on the land or a pavement."""
    matrix = pose_upright(np.append(place, terrain.height(place) + KERB), yaw)
    matrix[:3, :3] *= scale
    builder.add_mesh(mesh, matrix)


def _front_garden(
    builder: MeshBuilder,
    rng: np.random.Generator,
    terrain: Terrain,
    place: np.ndarray,
    axes: np.ndarray,
    width: float,
    setback: float,
) -> None:
    """A hedge or fence along the pavement and bushes behind it, with a gap at the door."""
    yaw = float(np.arctan2(axes[1, 0], axes[0, 0]))
    kind = rng.integers(3)
    half = width / 2 - 1.1
    for side in (-1, 1):
        middle = place + axes @ (side * (1.1 + half / 2), -setback + 0.55)
        if kind == 0:
            _put(builder, make_hedge(rng, half, rng.uniform(0.8, 1.5)), terrain, middle, yaw)
        elif kind == 1:
            _put(builder, furniture.make_fence(rng, half), terrain, middle, yaw)
    for _ in range(int(rng.integers(0, 4))):
        spot = place + axes @ (
            rng.uniform(-width / 2 + 1, width / 2 - 1),
            rng.uniform(-setback + 1.5, -0.9),
        )
        _put(builder, make_bush(rng, rng.uniform(0.4, 0.8)), terrain, spot, rng.uniform(0, 6))


def _green_plot(
    builder: MeshBuilder,
    rng: np.random.Generator,
    terrain: Terrain,
    place: np.ndarray,
    axes: np.ndarray,
    width: float,
    trees: list[Mesh],
    near: float,
) -> None:
    """A plot with trees behind a fence, a hedge or nothing."""
    yaw = float(np.arctan2(axes[1, 0], axes[0, 0]))
    for _ in range(int(rng.integers(1, 4)) if near < 120 else 1):
        spot = place + axes @ (rng.uniform(-0.4, 0.4) * width, rng.uniform(3.5, 9))
        _put(
            builder,
            trees[rng.integers(len(trees))],
            terrain,
            spot,
            rng.uniform(0, 6),
            rng.uniform(0.7, 1.25),
        )
    if near < _DETAIL and rng.random() < 0.7:
        fence = (
            furniture.make_fence(rng, width) if rng.random() < 0.5 else make_hedge(rng, width, 1.3)
        )
        _put(builder, fence, terrain, place + axes @ (0.0, 0.7), yaw)


def _kerbside(
    builder: MeshBuilder,
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    number: int,
    side: int,
    way: shapely.LineString,
    green: float,
    trees: list[Mesh],
) -> list[Lamp]:
    """Lamps, trees, signs and the like along one kerb."""
    street = network.streets[number]
    lamps = []
    with_trees = rng.random() < green
    lamp = furniture.make_street_lamp()
    warm = (1.0, 0.72, 0.42) if rng.random() < 0.5 else (1.0, 0.92, 0.8)
    for begin, end in network.free_stretches(number, 0.5):
        slots = np.arange(
            begin + (1.0 if side > 0 else 1.0 + _LAMP_PITCH / 2), end, _LAMP_PITCH / 3
        )
        for slot, along in enumerate(slots):
            left = side * (street.half_width + 0.55)
            place, yaw = street.at(np.array(along), np.array(left))
            near = way.distance(shapely.Point(place))
            inward = float(yaw) - side * np.pi / 2
            if slot % 3 == 0:
                if near < 150:
                    _put(builder, lamp, terrain, place, inward)
                    head = place + furniture.LAMP_REACH * np.array([np.cos(inward), np.sin(inward)])
                    height = terrain.height(place) + KERB + furniture.LAMP_HEIGHT
                    lamps.append(Lamp(np.append(head, height), warm, 24.0))
                continue
            if near > 130:
                continue
            if with_trees and street.pavement > 2.3:
                spot, _ = street.at(np.array(along), np.array(left + side * 0.25))
                _put(
                    builder,
                    trees[rng.integers(len(trees))],
                    terrain,
                    spot,
                    rng.uniform(0, 6),
                    rng.uniform(0.65, 1.0),
                )
                continue
            kind = rng.random()
            facing = float(yaw) + (0 if side < 0 else np.pi)
            if kind < 0.2:
                _put(builder, furniture.make_sign(rng), terrain, place, facing)
            elif kind < 0.28:
                _put(builder, furniture.make_bin(rng), terrain, place, inward)
            elif kind < 0.33 and street.pavement > 3:
                spot, _ = street.at(np.array(along), np.array(left + side * 0.3))
                _put(builder, furniture.make_bench(), terrain, spot, inward)
            elif kind < 0.36 and street.pavement > 3.2:
                spot, _ = street.at(np.array(along), np.array(side * (street.half_width + 1.3)))
                _put(builder, furniture.make_bus_stop(), terrain, spot, inward)
    return lamps


def _signals(
    builder: MeshBuilder,
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    way: shapely.LineString,
    signals: Signals,
) -> None:
    """Traffic lights at the stop lines of the junctions."""
    for number, junction in enumerate(network.junctions):
        if way.distance(shapely.Point(junction.place)) > 120:
            continue
        for group, street_number in enumerate(junction.streets):
            street = network.streets[street_number]
            for direction in (-1, 1):
                gap = network.clearance(junction, street_number) + CROSSING_WIDTH + 0.4
                along = junction.along_street(street_number) - direction * gap
                if not 0 < along < street.length:
                    continue
                left = -direction * (street.half_width + 0.5)
                place, yaw = street.at(np.array(along), np.array(left))
                reach = street.half_width * 0.8 if street.lanes > 1 else 0.0
                mesh = furniture.make_signal(signals.state(number, group, 5.0), reach)
                _put(builder, mesh, terrain, place, float(yaw) + (0 if direction > 0 else np.pi))


def _woods(
    builder: MeshBuilder,
    rng: np.random.Generator,
    terrain: Terrain,
    way: shapely.LineString,
    plots: _Plots,
    trees: list[Mesh],
) -> None:
    """Trees on free land between and behind the buildings."""
    for place in rng.uniform(-0.8, 0.8, (260, 2)) * terrain.extent + CENTRE:
        if way.distance(shapely.Point(place)) < 190 and plots.take(
            shapely.Point(place).buffer(2.2)
        ):
            _put(
                builder,
                trees[rng.integers(len(trees))],
                terrain,
                place,
                rng.uniform(0, 6),
                rng.uniform(0.8, 1.5),
            )


def _backdrop(builder: MeshBuilder, rng: np.random.Generator, terrain: Terrain) -> None:
    """Far blocks, woods and hills that close the view."""
    for _ in range(70):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1.05, 2.2) * terrain.extent
        x, y = CENTRE + distance * np.array([np.cos(angle), np.sin(angle)]) * 1.2
        if max(abs(x - CENTRE[0]), abs(y - CENTRE[1])) < terrain.extent:
            continue
        size = rng.uniform((14, 14, 8), (45, 30, 34))
        grey = rng.uniform(0.2, 0.45)
        tint = (grey * rng.uniform(0.9, 1.15), grey, grey * rng.uniform(0.85, 1.05))
        builder.box((x, y, size[2] / 2 - 1), size, "plaster", tint, rng.uniform(0, 3))
    for _ in range(90):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.98, 1.5) * terrain.extent
        x, y = CENTRE + distance * np.array([np.cos(angle), np.sin(angle)]) * 1.3
        radii = rng.uniform((8, 8, 7), (22, 22, 13))
        green = np.array([0.05, 0.085, 0.03]) * rng.uniform(0.7, 1.3)
        builder.ball((x, y, 2.0), radii, "leaves", tuple(green), 10)
    for _ in range(int(rng.integers(6, 14))):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1100, 2200)
        x, y = CENTRE + distance * np.array([np.cos(angle), np.sin(angle)])
        radii = rng.uniform((300, 300, 25), (600, 600, 110))
        builder.ball((x, y, -5.0), radii, "grass", (0.55, 0.65, 0.6), 24)
