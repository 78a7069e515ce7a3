"""Meshes of trees, bushes and hedges, standing on z = 0."""

from __future__ import annotations

import numpy as np

from lircdepth_core.drive.mesh_builder import Colour, MeshBuilder
from lircdepth_core.drive.world import Mesh


def make_tree(rng: np.random.Generator, height: float, leaves: int) -> Mesh:
    """A broad-leaved tree; `leaves` is how many clusters of leaves it is made of."""
    builder = MeshBuilder()
    _broadleaf(builder, rng, height, leaves)
    return builder.mesh()


def make_conifer(rng: np.random.Generator, height: float) -> Mesh:
    """A fir or spruce."""
    builder = MeshBuilder()
    _conifer(builder, rng, height)
    return builder.mesh()


def make_bush(rng: np.random.Generator, radius: float) -> Mesh:
    """A round bush."""
    builder = MeshBuilder()
    tint = _green(rng)
    centre = np.array([0, 0, radius * 0.75])
    builder.ball(centre, np.full(3, radius * 0.8) * (1, 1, 0.9), "leaves", _dark(tint), 8)
    _cards(builder, rng, centre[None], np.full((1, 3), radius), 90, 0.3 * radius, tint)
    return builder.mesh()


def make_hedge(rng: np.random.Generator, length: float, height: float) -> Mesh:
    """A hedge along x."""
    builder = MeshBuilder()
    tint = _green(rng, autumn=0.0)
    builder.box((0, 0, height / 2 - 0.2), (length, 0.6, height + 0.3), "leaves", tint)
    places = rng.uniform(
        (-length / 2, -0.32, 0.1), (length / 2, 0.32, height), (int(length * 26), 3)
    )
    side = rng.integers(3, size=len(places))
    places[side == 0, 1], places[side == 1, 1] = -0.32, 0.32
    places[side == 2, 2] = height
    _quads(builder, rng, places, 0.16, tint)
    return builder.mesh()


def _broadleaf(builder: MeshBuilder, rng: np.random.Generator, h: float, leaves: int) -> None:
    """A trunk, some boughs, and clusters of leaves about their ends."""
    trunk = rng.uniform(0.24, 0.34) * h
    thick = 0.022 * h
    lean = rng.normal(0, 0.03, 2) * h
    fork = np.array([lean[0], lean[1], trunk])
    top = np.array([lean[0] * 1.6, lean[1] * 1.6, h * 0.8])
    path = np.stack([[0, 0, -0.5], [0, 0, 0.25], fork, top])
    builder.tube(path, (thick * 1.7, thick * 1.15, thick * 0.85, 0.03), "bark", sides=9)
    spread = rng.uniform(0.24, 0.36) * h
    count = int(rng.integers(5, 9))
    angle = np.arange(count) * 2 * np.pi / count + rng.uniform(0, 0.8, count)
    lift = rng.uniform(0.45, 0.8, count) * h
    reach = spread * rng.uniform(0.5, 0.85, count)
    ends = np.stack([fork[0] + np.cos(angle) * reach, fork[1] + np.sin(angle) * reach, lift], -1)
    for end in ends:
        middle = (fork + end) / 2 + (0, 0, 0.03 * h)
        builder.tube(
            np.stack([fork - (0, 0, 0.2), middle, end]),
            (thick * 0.6, thick * 0.4, 0.03),
            "bark",
            sides=6,
        )
    centres = np.concatenate([ends, [top]])
    radii = np.column_stack(
        [
            rng.uniform(0.5, 0.72, (len(centres), 2)) * spread,
            rng.uniform(0.11, 0.17, len(centres)) * h,
        ]
    )
    tint = _green(rng)
    # Fewer clusters are larger, so that they fill the crown alike.
    _cards(builder, rng, centres, radii, leaves, 0.62 * h / np.sqrt(leaves), tint)


def _conifer(builder: MeshBuilder, rng: np.random.Generator, h: float) -> None:
    """A trunk and tiers of drooping branches."""
    builder.tube(np.array([[0, 0, -0.5], [0, 0, h * 0.9]]), (0.02 * h, 0.008), "bark", sides=7)
    tint: Colour = tuple(np.array([0.03, 0.065, 0.03]) * rng.uniform(0.8, 1.4))
    tiers = 15
    wide = rng.uniform(0.15, 0.2) * h
    sides = 17
    for tier in range(tiers):
        low = h * (0.14 + 0.82 * tier / tiers)
        radius = wide * (1 - tier / tiers) ** 0.85 + 0.1
        angle = np.arange(sides) * 2 * np.pi / sides + rng.uniform(0, 6)
        ragged = radius * rng.uniform(0.6, 1.15, sides)
        base = np.stack(
            [np.cos(angle) * ragged, np.sin(angle) * ragged, np.full(sides, low) - 0.25 * ragged],
            -1,
        )
        tip = np.array([[0, 0, low + h * 0.14]])
        faces = [[i, (i + 1) % sides, sides] for i in range(sides)]
        under = [[(i + 1) % sides, i, sides + 1] for i in range(sides)]
        vertices = np.concatenate([base, tip, [[0, 0, low]]])
        shades = np.array(tint) * rng.uniform(0.75, 1.25, (2 * sides, 1))
        # Every face has vertices of its own: needles are not shaded smoothly.
        faces_all = np.array(faces + under)
        builder.add(
            vertices[faces_all].reshape(-1, 3),
            np.arange(6 * sides).reshape(-1, 3),
            "leaves",
            shades,
        )


def _cards(
    builder: MeshBuilder,
    rng: np.random.Generator,
    centres: np.ndarray,
    radii: np.ndarray,
    count: int,
    size: float,
    tint: Colour,
) -> None:
    """Clusters of leaves scattered over ellipsoids."""
    which = rng.integers(len(centres), size=count)
    way = rng.normal(size=(count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    places = centres[which] + way * radii[which] * rng.uniform(0.4, 1.08, (count, 1))
    _quads(builder, rng, places, size, tint, way)


def _quads(
    builder: MeshBuilder,
    rng: np.random.Generator,
    places: np.ndarray,
    size: float,
    tint: Colour,
    way: np.ndarray | None = None,
) -> None:
    """Small ragged quadrilaterals, facing roughly `way` (N, 3) or anywhere."""
    count = len(places)
    normal = rng.normal(size=(count, 3)) * (0.5 if way is not None else 1.0)
    normal += way if way is not None else (0, 0, 0.5)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    side = np.cross(normal, rng.normal(size=(count, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(normal, side)
    angle = np.array([0.0, 0.5, 1.0, 1.5]) * np.pi + rng.uniform(-0.35, 0.35, (count, 4))
    radius = size * rng.uniform(0.6, 1.4, (count, 4))
    corners = (
        places[:, None]
        + side[:, None] * (np.cos(angle) * radius)[..., None]
        + up[:, None] * (np.sin(angle) * radius)[..., None]
    )
    shades = (
        np.array(tint) * rng.uniform(0.65, 1.3, (count, 1)) * rng.uniform(0.92, 1.08, (count, 3))
    )
    builder.quads(corners, "leaves", shades)


def _green(rng: np.random.Generator, autumn: float = 0.12) -> Colour:
    """The colour of leaves: greens, now and then autumn."""
    if rng.random() < autumn:
        base = np.array([[0.20, 0.095, 0.02], [0.19, 0.14, 0.025], [0.14, 0.045, 0.02]])[
            rng.integers(3)
        ]
    else:
        green = rng.uniform(0.085, 0.15)
        base = green * np.array([rng.uniform(0.42, 0.75), 1.0, rng.uniform(0.16, 0.4)])
    return float(base[0]), float(base[1]), float(base[2])


def _dark(tint: Colour) -> Colour:
    return tint[0] * 0.25, tint[1] * 0.25, tint[2] * 0.25
