"""What stands along the streets of a scene and is not annotated: buildings, trees, lamps, signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from lircdepth_core.drive import street_furniture as furniture
from lircdepth_core.drive.buildings import add_building, draw_style
from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.road_surface import KERB
from lircdepth_core.drive.roads import CROSSING_WIDTH, RoadNetwork, Street
from lircdepth_core.drive.terrain import CENTRE, Terrain, pose_upright
from lircdepth_core.drive.traffic import Signals
from lircdepth_core.drive.vegetation import make_bush, make_conifer, make_hedge, make_tree
from lircdepth_core.drive.world import Lamp, Mesh

_DETAIL = 75.0
_LAMP_PITCH = 27.0
_FINE_TREES = 38.0


@dataclass(frozen=True, eq=False)
class Scenery:
    """The scenery: one mesh in the world frame, and its street lamps."""

    mesh: Mesh
    lamps: tuple[Lamp, ...]


@dataclass(frozen=True)
class Character:
    """What a town is like.

    Attributes:
        downtown: 0 (village) to 1 (city).
        green: 0 (bare) to 1 (trees along all streets).
    """

    downtown: float
    green: float


def build_scenery(
    rng: np.random.Generator,
    network: RoadNetwork,
    terrain: Terrain,
    way: shapely.LineString,
    character: Character,
    signals: Signals,
) -> Scenery:
    """Line the streets.

    Args:
        rng: what all is drawn from.
        network: the streets.
        terrain: what all stand on.
        way: where the ego vehicle drives; what is near it has more detail.
        character: what kind of town it is.
        signals: the traffic lights; as meshes they show one state for the whole scene.
    """
    site = _Site(rng, network, terrain, way, character)
    lamps: list[Lamp] = []
    for street in network.streets:
        for side in (-1, 1):
            _frontage(site, street, side)
    for number in range(len(network.streets)):
        for side in (-1, 1):
            lamps += _kerbside(site, number, side)
    _signals(site, signals)
    _woods(site)
    _backdrop(site)
    return Scenery(site.builder.mesh(), tuple(lamps))


class _Site:
    """What is being built: the mesh, the ground that is taken, and the trees to choose from."""

    def __init__(
        self,
        rng: np.random.Generator,
        network: RoadNetwork,
        terrain: Terrain,
        way: shapely.LineString,
        character: Character,
    ) -> None:
        self.rng, self.network, self.terrain = rng, network, terrain
        self.character = character
        self.builder = MeshBuilder()
        self._way = way
        self._streets = network.paved.buffer(0.3)
        shapely.prepare(self._streets)
        self._taken: list[shapely.Polygon] = []
        heights = rng.uniform(6.0, 11.0, 5)
        seeds = rng.integers(2**31, size=len(heights))
        self._trees = [
            [make_tree(np.random.default_rng(seed), height, leaves) for leaves in (1300, 260)]
            for seed, height in zip(seeds, heights, strict=True)
        ]
        self._conifers = [make_conifer(rng, height) for height in (8.0, 11.0)]

    def away(self, place: np.ndarray) -> float:
        """Metres from the ego vehicle's way."""
        return float(self._way.distance(shapely.Point(place)))

    def take(self, outline: shapely.Geometry) -> bool:
        """Take a piece of land if it is free."""
        if self._streets.intersects(outline) or any(
            shapely.intersects(np.array(self._taken, dtype=object), outline)
        ):
            return False
        self._taken.append(outline)
        return True

    def put(self, mesh: Mesh, place: np.ndarray, yaw: float, scale: float = 1.0) -> None:
        """Stand a mesh upright on the land or a pavement."""
        matrix = pose_upright(np.append(place, self.terrain.height(place) + KERB), yaw)
        matrix[:3, :3] *= scale
        self.builder.add_mesh(mesh, matrix)

    def plant(self, place: np.ndarray, scale: float, conifers: float = 0.0) -> None:
        """Plant a tree, finer near the ego vehicle's way; `conifers` is their share."""
        if self.rng.random() < conifers:
            self.put(self._conifers[self.rng.integers(2)], place, 0.0, scale)
            return
        kind = self._trees[self.rng.integers(len(self._trees))]
        mesh = kind[0] if self.away(place) < _FINE_TREES else kind[1]
        self.put(mesh, place, self.rng.uniform(0, 2 * np.pi), scale)

    def border(self, mesh: Mesh, middle: np.ndarray, along: np.ndarray, length: float) -> None:
        """Put a fence or hedge, made along x, unless it would stand in a street."""
        ends = np.stack([middle - along * length / 2, middle + along * length / 2])
        if not self._streets.intersects(shapely.LineString(ends)):
            self.put(mesh, middle, float(np.arctan2(along[1], along[0])))


def _frontage(site: _Site, street: Street, side: int) -> None:
    """Plots along one side of a street: buildings, gardens, gaps."""
    rng, downtown = site.rng, site.character.downtown
    odds = np.array([0.2 + downtown, 0.3, 0.62 - 0.6 * downtown, 0.52 - 0.5 * downtown])
    setback = float(rng.choice([0.3, 1.0, 3.5, 5.5], p=odds / odds.sum()))
    front = street.half_width + street.pavement
    along = rng.uniform(0, 6)
    while along < street.length - 8:
        style = draw_style(rng, downtown)
        width = rng.uniform(9, 15) + (rng.uniform(4, 14) if style.storeys > 4 else 0)
        depth = rng.uniform(9, 13) + (4 if style.storeys > 4 else 0)
        middle = along + width / 2
        row = rng.random() < 0.3 + 0.5 * downtown
        along += width + (rng.uniform(0.0, 0.4) if row else rng.uniform(2.5, 9))
        place, yaw = street.at(np.array(middle), np.array(side * (front + setback)))
        near = site.away(place)
        if near > 170:
            continue
        outward = float(yaw) + side * np.pi / 2
        # x along the front, y into the plot.
        axes = np.array([[np.sin(outward), np.cos(outward)], [-np.cos(outward), np.sin(outward)]])
        corners = np.array([[-1, 0], [1, 0], [1, 2], [-1, 2]]) * (width / 2, depth / 2)
        outline = shapely.Polygon(corners @ axes.T + place)
        if rng.random() < 0.1 + 0.3 * site.character.green * (1 - downtown):
            _green_plot(site, place, axes, width, near)
        elif site.take(outline):
            matrix = np.eye(4)
            matrix[:2, :2], matrix[:2, 3] = axes, place
            # Level with the ground at the front; foundations reach below the slope.
            matrix[2, 3] = site.terrain.height(place) + KERB
            house = MeshBuilder()
            add_building(house, rng, style, width, depth, near < _DETAIL)
            site.builder.add_mesh(house.mesh(), matrix)
            if setback > 3 and near < _DETAIL:
                _front_garden(site, place, axes, width, setback)


def _front_garden(
    site: _Site, place: np.ndarray, axes: np.ndarray, width: float, setback: float
) -> None:
    """A hedge or fence along the pavement and bushes behind it, with a gap at the door."""
    rng = site.rng
    kind = rng.integers(3)
    half = width / 2 - 1.1
    for side in (-1, 1):
        middle = place + axes @ (side * (1.1 + half / 2), -setback + 0.55)
        if kind == 0:
            site.border(make_hedge(rng, half, rng.uniform(0.8, 1.5)), middle, axes[:, 0], half)
        elif kind == 1:
            site.border(furniture.make_fence(rng, half), middle, axes[:, 0], half)
    for _ in range(int(rng.integers(0, 4))):
        spot = place + axes @ rng.uniform((-width / 2 + 1, -setback + 1.5), (width / 2 - 1, -0.9))
        site.put(make_bush(rng, rng.uniform(0.4, 0.8)), spot, rng.uniform(0, 6))


def _green_plot(
    site: _Site, place: np.ndarray, axes: np.ndarray, width: float, near: float
) -> None:
    """A plot with trees behind a fence, a hedge or nothing."""
    rng = site.rng
    for _ in range(int(rng.integers(1, 4)) if near < 120 else 1):
        spot = place + axes @ (rng.uniform(-0.4, 0.4) * width, rng.uniform(3.5, 9))
        if site.take(shapely.Point(spot).buffer(1.5)):
            site.plant(spot, rng.uniform(0.7, 1.25), conifers=0.2)
    if near < _DETAIL and rng.random() < 0.7:
        fence = rng.random() < 0.5
        mesh = furniture.make_fence(rng, width) if fence else make_hedge(rng, width, 1.3)
        site.border(mesh, place + axes @ (0.0, 0.7), axes[:, 0], width)


def _kerbside(site: _Site, number: int, side: int) -> list[Lamp]:
    """Lamps, trees, signs and the like along one kerb."""
    rng, street = site.rng, site.network.streets[number]
    lamps = []
    with_trees = rng.random() < site.character.green and street.pavement > 2.3
    lamp = furniture.make_street_lamp()
    light = (1.0, 0.72, 0.42) if rng.random() < 0.5 else (1.0, 0.92, 0.8)
    for begin, end in site.network.free_stretches(number, 0.5):
        first = begin + (1.0 if side > 0 else 1.0 + _LAMP_PITCH / 2)
        for slot, along in enumerate(np.arange(first, end, _LAMP_PITCH / 3)):
            place, yaw = street.at(np.array(along), np.array(side * (street.half_width + 0.55)))
            inner, _ = street.at(np.array(along), np.array(side * (street.half_width + 0.85)))
            near = site.away(place)
            inward = float(yaw) - side * np.pi / 2
            facing = float(yaw) + (0 if side < 0 else np.pi)
            kind = rng.random()
            if near > 150:
                continue
            if slot % 3 == 0:
                site.put(lamp, place, inward)
                head = place + furniture.LAMP_REACH * np.array([np.cos(inward), np.sin(inward)])
                height = site.terrain.height(place) + KERB + furniture.LAMP_HEIGHT
                lamps.append(Lamp(np.append(head, height), light, 24.0))
            elif with_trees:
                site.plant(inner, rng.uniform(0.65, 1.0))
            elif kind < 0.2:
                site.put(furniture.make_sign(rng), place, facing)
            elif kind < 0.28:
                site.put(furniture.make_bin(rng), place, inward)
            elif kind < 0.33 and street.pavement > 3:
                site.put(furniture.make_bench(), inner, inward)
            elif kind < 0.36 and street.pavement > 3.2:
                back, _ = street.at(np.array(along), np.array(side * (street.half_width + 1.3)))
                site.put(furniture.make_bus_stop(), back, inward)
    return lamps


def _signals(site: _Site, signals: Signals) -> None:
    """Traffic lights at the stop lines of the junctions."""
    network = site.network
    for number, junction in enumerate(network.junctions):
        if site.away(np.array(junction.place)) > 120:
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
                site.put(mesh, place, float(yaw) + (0 if direction > 0 else np.pi))


def _woods(site: _Site) -> None:
    """Trees on free land between and behind the buildings."""
    rng = site.rng
    for place in rng.uniform(-0.8, 0.8, (260, 2)) * site.terrain.extent + CENTRE:
        if site.away(place) < 190 and site.take(shapely.Point(place).buffer(2.2)):
            site.plant(place, rng.uniform(0.8, 1.5), conifers=0.3)


def _backdrop(site: _Site) -> None:
    """Far blocks, woods and hills that close the view."""
    rng, extent, builder = site.rng, site.terrain.extent, site.builder

    def somewhere(near: float, far: float) -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi)
        return CENTRE + rng.uniform(near, far) * np.array([np.cos(angle), np.sin(angle)])

    for _ in range(70):
        place = somewhere(1.26 * extent, 2.6 * extent)
        size = rng.uniform((14, 14, 8), (45, 30, 34))
        if np.abs(place - CENTRE).max() > extent:
            tint = rng.uniform(0.2, 0.45) * rng.uniform((0.9, 1, 0.85), (1.15, 1, 1.05))
            middle = (*place, size[2] / 2 - 1)
            builder.box(middle, size, "plaster", tint, rng.uniform(0, 3))
    for _ in range(90):
        place = somewhere(1.27 * extent, 1.95 * extent)
        tint = np.array([0.05, 0.085, 0.03]) * rng.uniform(0.7, 1.3)
        builder.ball((*place, 2.0), rng.uniform((8, 8, 7), (22, 22, 13)), "leaves", tint, 10)
    for _ in range(int(rng.integers(6, 14))):
        radii = rng.uniform((300, 300, 25), (600, 600, 110))
        place = somewhere(1100, 2200)
        builder.ball((*place, -5.0), radii, "grass", (0.55, 0.65, 0.6), 24)
