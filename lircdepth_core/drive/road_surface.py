"""The ground of a scene as a mesh: carriageways, kerbs, pavements, land and road markings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import mapbox_earcut
import numpy as np
import shapely
from shapely import Polygon

from lircdepth_core.drive.mesh_builder import MeshBuilder
from lircdepth_core.drive.roads import CROSSING_WIDTH, PARKING_WIDTH, RoadNetwork, Street
from lircdepth_core.drive.terrain import CENTRE, Terrain
from lircdepth_core.drive.world import Mesh

KERB = 0.14
"""How much higher pavements and land are than carriageways, metres."""

_CELL = 5.0
_MARKING_LIFT = 0.012
_HORIZON = 3000.0


def ground_mesh(network: RoadNetwork, terrain: Terrain, land: str) -> Mesh:
    """The ground out to the horizon; `land` is the material beyond the pavements."""
    builder = MeshBuilder()
    near = terrain.extent
    steps = np.arange(-near, near, _CELL)
    x, y = (grid.ravel() for grid in np.meshgrid(CENTRE[0] + steps, CENTRE[1] + steps))
    cells = shapely.box(x, y, x + _CELL, y + _CELL)
    pavements = network.paved.difference(network.carriageways)
    whole = shapely.box(*(CENTRE - near), *(CENTRE + near))
    for area, material, lift in (
        (network.carriageways.intersection(whole), "asphalt", 0.0),
        (pavements.intersection(whole), "paving", KERB),
        (whole.difference(network.paved), land, KERB),
    ):
        _drape(builder, area, cells, terrain, material, lift)
    _kerbs(builder, network, cells, terrain)
    for turn in range(4):
        frame = np.array([[near, -near], [_HORIZON, -_HORIZON], [_HORIZON, _HORIZON], [near, near]])
        for _ in range(turn):
            frame = frame @ np.array([[0, 1], [-1, 0]])
        builder.quads(np.column_stack([frame + CENTRE, np.full(4, KERB)]), land)
    for number in range(len(network.streets)):
        _markings(builder, network, number, terrain)
    return builder.mesh()


def _drape(
    builder: MeshBuilder,
    area: shapely.Geometry,
    cells: np.ndarray,
    terrain: Terrain,
    material: str,
    lift: float,
) -> None:
    """Lay an area on the terrain, cut into cells so that it follows the slopes."""
    shapely.prepare(area)
    inside = shapely.contains_properly(area, cells)
    corners = shapely.get_coordinates(cells[inside]).reshape(-1, 5, 2)[:, :4]
    builder.quads(_raised(corners, terrain, lift), material)
    edge = cells[shapely.intersects(area, cells) & ~inside]
    for polygon in _polygons(shapely.intersection(area, edge)):
        vertices, faces = triangulate(polygon)
        builder.add(_raised(vertices, terrain, lift), faces, material, (1, 1, 1))


def triangulate(polygon: Polygon) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 2) and anticlockwise faces (F, 3) of a polygon that may have holes."""
    rings = [np.asarray(ring.coords)[:-1, :2] for ring in (polygon.exterior, *polygon.interiors)]
    vertices = np.concatenate(rings)
    ends = np.cumsum([len(ring) for ring in rings]).astype(np.uint32)
    faces = mapbox_earcut.triangulate_float64(vertices, ends).reshape(-1, 3)
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    (abx, aby), (acx, acy) = (b - a).T, (c - a).T
    turned = abx * acy - aby * acx < 0
    faces[turned] = faces[turned][:, ::-1]
    return vertices, faces


def _polygons(geometries: np.ndarray) -> Iterator[Polygon]:
    """All polygons in the results of an intersection that are larger than a speck."""
    parts = shapely.get_parts(shapely.get_parts(geometries))
    yield from parts[shapely.area(parts) > 1e-6]


def _raised(corners: np.ndarray, terrain: Terrain, lift: float) -> np.ndarray:
    """Places (..., 2) with their height above the terrain (..., 3)."""
    return np.concatenate([corners, (terrain.height(corners) + lift)[..., None]], axis=-1)


def _kerbs(builder: MeshBuilder, network: RoadNetwork, cells: np.ndarray, terrain: Terrain) -> None:
    """Upright faces along the carriageways' edges, turned to the carriageway."""
    polygons = shapely.get_parts(network.carriageways)
    rings = [
        ring
        for polygon in polygons
        for oriented in [shapely.geometry.polygon.orient(polygon)]
        for ring in (oriented.exterior, *oriented.interiors)
    ]
    quads = []
    for ring in rings:
        pieces = shapely.get_coordinates(shapely.segmentize(ring, 2.0))
        begin, end = pieces[:-1], pieces[1:]
        low_a, low_b = _raised(begin, terrain, -0.02), _raised(end, terrain, -0.02)
        high_a, high_b = _raised(begin, terrain, KERB), _raised(end, terrain, KERB)
        quads.append(np.stack([low_b, low_a, high_a, high_b], axis=1))
        # A stone's breadth of kerb lies on the pavement.
        along = end - begin
        length = np.linalg.norm(along, axis=1, keepdims=True)
        outward = np.stack([along[:, 1], -along[:, 0]], axis=-1) / np.maximum(length, 1e-9) * 0.16
        flat_a, flat_b = (_raised(place, terrain, KERB + 0.008) for place in (begin, end))
        back_a, back_b = (_raised(p + outward, terrain, KERB + 0.008) for p in (begin, end))
        quads.append(np.stack([flat_b, flat_a, back_a, back_b], axis=1))
    builder.quads(np.concatenate(quads), "kerb")


def _markings(builder: MeshBuilder, network: RoadNetwork, number: int, terrain: Terrain) -> None:
    """Lane lines between the junctions; zebra crossings and stop lines at them."""
    street = network.streets[number]
    stripes: list[np.ndarray] = []
    for begin, end in network.free_stretches(number, 2.0):
        centre = [(0.0, 3.0, 6.0)] if street.lanes == 1 else [(-0.12, 1, 1), (0.12, 1, 1)]
        for left, dash, period in centre:
            stripes += _line(street, begin, end, left, 0.12, dash, period)
        for lane in range(1, street.lanes):
            for side in (-1, 1):
                stripes += _line(street, begin, end, side * lane * street.lane_width, 0.12, 3, 9)
        edge = street.half_width - (PARKING_WIDTH if street.parking else 0.3)
        if street.parking or street.lanes > 1:
            for side in (-1, 1):
                stripes += _line(street, begin, end, side * edge, 0.12, 1, 1)
    for junction in network.junctions_of(number):
        at, clear = junction.along_street(number), network.clearance(junction, number)
        for side in (-1, 1):
            begin, end = sorted((at + side * clear, at + side * (clear + CROSSING_WIDTH)))
            if begin < 1 or end > street.length - 1:
                continue
            for left in np.arange(-street.half_width + 0.5, street.half_width - 0.4, 1.0):
                stripes += _line(street, begin, end, left, 0.5, 1, 1)
            stop = at + side * (clear + CROSSING_WIDTH + 1.0)
            half = street.lanes * street.lane_width / 2
            stripes += _line(street, stop - 0.2, stop + 0.2, side * half, 2 * half - 0.3, 1, 1)
    if stripes:
        builder.quads(_raised(np.stack(stripes), terrain, _MARKING_LIFT), "marking")


def _line(
    street: Street,
    begin: float,
    end: float,
    left: float,
    width: float,
    dash: float,
    period: float,
) -> list[np.ndarray]:
    """A painted line as quadrilaterals (4, 2) of at most 2 m, dashed where dash < period."""
    quads = []
    step = dash if dash < period else 2.0
    for start in np.arange(begin, end, period if dash < period else 2.0):
        stop = min(start + step, end)
        pieces = np.linspace(start, stop, max(1, int(np.ceil((stop - start) / 2))) + 1)
        for a, b in pairwise(pieces):
            along = np.array([a, b, b, a])
            across = left + np.array([-width, -width, width, width]) / 2
            quads.append(street.at(along, across)[0])
    return quads
