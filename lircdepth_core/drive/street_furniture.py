"""Meshes of what stands along streets, on z = 0: lamps, signals, signs, fences, barriers, cones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lircdepth_core.drive.mesh_builder import Colour, MeshBuilder
from lircdepth_core.drive.world import Mesh

_GREY: Colour = (0.3, 0.31, 0.31)
_SIGNS: list[Colour] = [(0.5, 0.02, 0.02), (0.02, 0.08, 0.45), (0.7, 0.7, 0.7), (0.6, 0.45, 0.02)]

LAMP_HEIGHT = 7.6
LAMP_REACH = 1.9


def make_street_lamp() -> Mesh:
    """A lamp post whose arm reaches `LAMP_REACH` along +x at `LAMP_HEIGHT`."""
    builder = MeshBuilder()
    path = np.array(
        [[0, 0, -0.3], [0, 0, 0.9], [0, 0, 1.0], [0, 0, 7.4], [0.35, 0, 7.75], [1.5, 0, 7.85]]
    )
    builder.tube(path, (0.11, 0.11, 0.075, 0.06, 0.05, 0.04), "metal", sides=8)
    builder.box((LAMP_REACH - 0.15, 0, 7.83), (0.75, 0.28, 0.13), "painted metal", _GREY)
    builder.box((LAMP_REACH - 0.1, 0, 7.745), (0.55, 0.2, 0.05), "street lamp")
    return builder.mesh()


def make_signal(state: str, reach: float) -> Mesh:
    """Traffic lights facing -x, an arm of length `reach` along +y with a second head."""
    builder = MeshBuilder()
    builder.tube(np.array([[0, 0, -0.3], [0, 0, 3.6 if reach < 1 else 6.2]]), 0.08, "metal")
    heads = [(0.0, 2.9)]
    if reach >= 1:
        builder.tube(np.array([[0, 0, 6.0], [0, reach, 6.25]]), 0.06, "metal")
        heads.append((reach - 0.2, 6.1))
    lights: dict[str, Colour] = {
        "red": (0.9, 0.03, 0.02), "amber": (0.95, 0.45, 0.02), "green": (0.03, 0.75, 0.3)
    }  # fmt: skip
    for y, z in heads:
        builder.box((-0.12, y, z), (0.22, 0.34, 1.0), "plastic", (0.025, 0.03, 0.025))
        for offset, (name, colour) in zip((0.31, 0.0, -0.31), lights.items(), strict=True):
            disc = np.array([[-0.22, y, z + offset], [-0.255, y, z + offset]])
            if name == state:
                builder.tube(disc, 0.11, "signal light", colour, 10)
            else:
                builder.tube(disc, 0.11, "plastic", tuple(0.12 * c + 0.01 for c in colour), 10)
    return builder.mesh()


def make_sign(rng: np.random.Generator) -> Mesh:
    """A post with a sign facing -x."""
    builder = MeshBuilder()
    builder.tube(np.array([[0, 0, -0.3], [0, 0, 2.9]]), 0.035, "metal", sides=6)
    tint = _SIGNS[rng.integers(len(_SIGNS))]
    shape = rng.integers(3)
    if shape == 0:
        builder.box((-0.05, 0, 2.55), (0.03, 0.6, 0.6), "sign", tint)
        builder.box((-0.06, 0, 2.55), (0.03, 0.34, 0.34), "sign", (0.7, 0.7, 0.7))
    else:
        sides = 18 if shape == 1 else 3
        disc = np.array([[-0.045, 0, 2.5], [-0.07, 0, 2.5]])
        builder.tube(disc, 0.33, "sign", tint, sides)
        builder.tube(disc - (0.012, 0, 0), 0.24, "sign", (0.7, 0.7, 0.7), sides)
    return builder.mesh()


def make_fence(rng: np.random.Generator, length: float) -> Mesh:
    """A fence or wall along x."""
    builder = MeshBuilder()
    kind = rng.integers(3)
    if kind == 0:
        builder.box((0, 0, 0.2), (length, 0.24, 1.4), "brick", (0.24, 0.1, 0.07))
        builder.box((0, 0, 0.93), (length, 0.3, 0.08), "concrete", (0.4, 0.4, 0.38))
        return builder.mesh()
    wood = kind == 1
    tint: Colour = (0.26, 0.17, 0.09) if wood else (0.03, 0.035, 0.03)
    material = "wood" if wood else "painted metal"
    step, wide, thick, top = (0.16, 0.12, 0.025, 1.3) if wood else (0.14, 0.02, 0.02, 1.15)
    for x in np.arange(-length / 2, length / 2, step):
        builder.box((x, 0, top / 2 - 0.1), (wide, thick, top + 0.2), material, tint)
    for z in (0.25, top - 0.2):
        builder.box((0, 0.03, z), (length, 0.03, 0.07), material, tint)
    for x in np.linspace(-length / 2, length / 2, max(2, round(length / 2.5))):
        builder.box((x, 0.05, top / 2 - 0.1), (0.08, 0.08, top + 0.3), material, tint)
    return builder.mesh()


def make_bin(rng: np.random.Generator) -> Mesh:
    """A litter bin, a post box or a distribution cabinet."""
    builder = MeshBuilder()
    kind = rng.integers(3)
    if kind == 0:
        builder.tube(
            np.array([[0, 0, 0.0], [0, 0, 0.95]]), 0.24, "painted metal", (0.05, 0.09, 0.05), 10
        )
    elif kind == 1:
        builder.box((0, 0, 0.6), (0.5, 0.45, 1.25), "painted metal", (0.45, 0.03, 0.02))
    else:
        builder.box((0, 0, 0.55), (0.4, 1.1, 1.3), "painted metal", (0.3, 0.32, 0.29))
    return builder.mesh()


def make_bench() -> Mesh:
    """A bench facing +x."""
    builder = MeshBuilder()
    for x in (-0.15, 0.0, 0.15):
        builder.box((x, 0, 0.45), (0.12, 1.7, 0.04), "wood", (0.3, 0.19, 0.1))
    for z in (0.62, 0.78):
        builder.box((-0.25, 0, z), (0.04, 1.7, 0.12), "wood", (0.3, 0.19, 0.1))
    for y in (-0.7, 0.7):
        builder.box((-0.03, y, 0.21), (0.4, 0.06, 0.44), "metal")
        builder.box((-0.27, y, 0.62), (0.04, 0.06, 0.5), "metal")
    return builder.mesh()


def make_bus_stop() -> Mesh:
    """A shelter open towards +x."""
    builder = MeshBuilder()
    builder.box((0, 0, 2.45), (1.5, 3.6, 0.1), "painted metal", (0.2, 0.21, 0.22))
    for y in (-1.7, 0, 1.7):
        builder.box((-0.65, y, 1.1), (0.07, 0.07, 2.7), "metal")
    builder.box((-0.66, 0, 1.3), (0.03, 3.4, 1.9), "car glass")
    builder.box((-0.35, 0, 0.45), (0.35, 2.4, 0.06), "wood", (0.25, 0.16, 0.09))
    builder.box((0.55, 1.75, 1.2), (0.08, 0.1, 2.5), "metal")
    builder.box((0.0, 1.76, 1.25), (1.1, 0.12, 1.7), "lit window", (0.8, 0.85, 1.0))
    return builder.mesh()


def make_barrier(rng: np.random.Generator) -> Mesh:
    """A barrier across x: a striped board on feet, or a concrete or plastic wall."""
    builder = MeshBuilder()
    kind = rng.integers(3)
    if kind == 0:
        for index in range(8):
            tint: Colour = (0.55, 0.03, 0.02) if index % 2 else (0.75, 0.75, 0.75)
            builder.box(
                (0, -0.88 + 0.25 * index, 0.85), (0.04, 0.25, 0.25), "warning stripes", tint
            )
        for y in (-0.8, 0.8):
            builder.box((0, y, 0.4), (0.06, 0.06, 0.8), "metal")
            builder.box((0, y, 0.05), (0.6, 0.2, 0.1), "rubber")
    else:
        tint = (0.42, 0.41, 0.39) if kind == 1 else (0.55, 0.08, 0.02)
        material = "concrete" if kind == 1 else "plastic"
        rings = np.array(
            [
                [0.3, 0.0],
                [0.3, 0.12],
                [0.12, 0.42],
                [0.09, 0.95],
                [-0.09, 0.95],
                [-0.12, 0.42],
                [-0.3, 0.12],
                [-0.3, 0.0],
            ]
        )
        ends = [
            np.column_stack([rings[:, 0], np.full(8, y), rings[:, 1]])[::-1] for y in (-1.0, 1.0)
        ]
        # Separate sides, so that the edges stay sharp.
        quads = [
            [ends[0][i], ends[0][(i + 1) % 8], ends[1][(i + 1) % 8], ends[1][i]] for i in range(8)
        ]
        builder.quads(np.array(quads)[:, ::-1], material, tint)
        fan = np.array([[0, k, k + 1] for k in range(1, 7)])
        builder.add(ends[1], fan[:, ::-1], material, tint)
        builder.add(ends[0], fan, material, tint)
    return builder.mesh()


def make_cone() -> Mesh:
    """A traffic cone."""
    builder = MeshBuilder()
    builder.box((0, 0, 0.02), (0.4, 0.4, 0.04), "rubber")
    orange: Colour = (0.75, 0.14, 0.01)
    levels = [
        (0.04, 0.15, orange),
        (0.28, 0.11, (0.8, 0.8, 0.8)),
        (0.46, 0.08, orange),
        (0.74, 0.03, orange),
    ]
    for (z0, r0, tint), (z1, r1, _) in pairwise(levels):
        builder.tube(np.array([[0, 0, z0], [0, 0, z1]]), (r0, r1), "warning stripes", tint, 10)
    return builder.mesh()


def make_bicycle_rack() -> Mesh:
    """Five hoops in a row along y."""
    builder = MeshBuilder()
    for y in np.arange(-2, 3) * 0.8:
        hoop = np.array(
            [
                [-0.35, y, 0],
                [-0.35, y, 0.7],
                [-0.25, y, 0.82],
                [0.25, y, 0.82],
                [0.35, y, 0.7],
                [0.35, y, 0],
            ]
        )
        builder.tube(hoop, 0.03, "metal", sides=6)
    return builder.mesh()


def make_container(rng: np.random.Generator) -> Mesh:
    """A wheeled rubbish container."""
    builder = MeshBuilder()
    tint: Colour = tuple(rng.choice([[0.03, 0.12, 0.04], [0.1, 0.1, 0.1], [0.25, 0.2, 0.02]]))
    builder.box((0, 0, 0.65), (0.75, 1.2, 1.0), "plastic", tint)
    builder.box((0, 0, 1.18), (0.8, 1.25, 0.08), "plastic", tint)
    for x in (-0.3, 0.3):
        for y in (-0.5, 0.5):
            builder.box((x, y, 0.08), (0.14, 0.06, 0.16), "rubber")
    return builder.mesh()


def make_debris(rng: np.random.Generator) -> Mesh:
    """Rubbish sacks or cardboard boxes."""
    builder = MeshBuilder()
    if rng.random() < 0.5:
        for _ in range(3):
            x, y = rng.uniform(-0.4, 0.4, 2)
            builder.ball((x, y, 0.24), (0.3, 0.28, 0.28), "plastic", (0.02, 0.02, 0.022), 8)
    else:
        for _ in range(2):
            x, y = rng.uniform(-0.35, 0.35, 2)
            builder.box(
                (x, y, 0.2),
                rng.uniform(0.3, 0.5, 3) * (1, 1, 0) + (0, 0, 0.4),
                "wood",
                (0.35, 0.24, 0.13),
                rng.uniform(0, 3),
            )
    return builder.mesh()
