"""Meshes of vehicles in the object frame: x forward, origin on the ground below the middle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from lircdepth_core.drive.mesh_builder import Colour, MeshBuilder
from lircdepth_core.drive.people import add_rider
from lircdepth_core.drive.world import Mesh

DARK: Colour = (0.02, 0.02, 0.022)


@dataclass(frozen=True, eq=False)
class Model:
    """A thing before it has a place.

    Attributes:
        category: nuScenes category.
        size: width, length, height in metres, the bounds of the mesh.
        mesh: in the object frame.
    """

    category: str
    size: tuple[float, float, float]
    mesh: Mesh


def make_vehicle(rng: np.random.Generator, kind: str) -> Model:
    """One vehicle of a kind (`KINDS`), with colour and proportions of its own."""
    category, make = KINDS[kind]
    builder = MeshBuilder()
    make(builder, rng)
    return model_of(category, builder.mesh())


def model_of(category: str, mesh: Mesh) -> Model:
    """A model of a mesh, moved so that its box's middle is the origin and it stands on z = 0."""
    used = mesh.vertices[mesh.faces.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    shift = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], dtype=np.float32)
    length, width, height = (float(value) for value in high - low)
    moved = Mesh(mesh.vertices - shift, mesh.faces, mesh.materials, mesh.tints)
    return Model(category, (width, length, height), moved)


def _paint(rng: np.random.Generator) -> Colour:
    """A car colour, as often as it is seen."""
    shades: list[tuple[float, Colour]] = [
        (0.24, (0.72, 0.72, 0.70)), (0.18, (0.025, 0.025, 0.028)), (0.17, (0.14, 0.145, 0.15)),
        (0.14, (0.38, 0.39, 0.40)), (0.09, (0.02, 0.05, 0.22)), (0.09, (0.34, 0.012, 0.015)),
        (0.03, (0.02, 0.10, 0.05)), (0.03, (0.28, 0.22, 0.15)), (0.02, (0.55, 0.35, 0.02)),
        (0.01, (0.55, 0.14, 0.01)),
    ]  # fmt: skip
    share = np.array([weight for weight, _ in shades])
    colour = np.array(shades[rng.choice(len(shades), p=share / share.sum())][1])
    red, green, blue = (float(c) for c in colour * rng.uniform(0.8, 1.2))
    return red, green, blue


def _body(
    builder: MeshBuilder,
    sections: list[tuple[float, float, float, float]],
    material: str,
    tint: Colour,
    round_off: float = 4.0,
) -> None:
    """A smooth hull through sections (x, half width, bottom, top) from rear to front.

    The sections are superellipses; a larger `round_off` makes their corners sharper.
    """
    angle = (np.arange(20) + 0.5) * 2 * np.pi / 20
    cos, sin = np.cos(angle), np.sin(angle)
    y = np.sign(cos) * np.abs(cos) ** (2 / round_off)
    z = np.sign(sin) * np.abs(sin) ** (2 / round_off)
    rings = [
        np.stack(
            [
                np.full(20, x),
                half * y * np.where(z > 0, 1 - 0.05 * z, 1 + 0.04 * z),
                (low + high) / 2 + (high - low) / 2 * z,
            ],
            axis=-1,
        )
        for x, half, low, high in sections
    ]
    builder.loft(np.stack(rings), material, tint)


def _cabin(
    builder: MeshBuilder,
    x: tuple[float, float, float, float],
    z: tuple[float, float],
    half: tuple[float, float],
    tint: Colour,
    panes: int,
    material: str = "car paint",
) -> None:
    """A glazed cabin: x of the rear window's foot and head and the windscreen's head and foot,
    z and half width at foot and head, `panes` side windows.
    """
    (rear_foot, rear_head, front_head, front_foot), (low, high) = x, z
    foot, head = half
    ring = np.array([[0, -1], [1, -1], [1, 1], [0, 1]])
    bottom = np.array([[(rear_foot, front_foot)[i], j * foot, low] for i, j in ring])
    top = np.array([[(rear_head, front_head)[i], j * head, high - 0.04] for i, j in ring])
    crown = top * (0.9, 0.86, 1) + np.array([(rear_head + front_head) * 0.05, 0, 0.04])
    sides = [[bottom[i], bottom[(i + 1) % 4], top[(i + 1) % 4], top[i]] for i in range(4)]
    builder.quads(np.array(sides), material, tint)
    builder.quads(
        np.array([[top[i], top[(i + 1) % 4], crown[(i + 1) % 4], crown[i]] for i in range(4)]),
        material,
        tint,
    )
    builder.quads(crown[None], material, tint)
    for i, (a, b, c, d) in enumerate(sides):
        count = panes if i in (0, 2) else 1
        outward = np.cross(b - a, d - a)
        outward *= 0.008 / np.linalg.norm(outward)
        for pane in range(count):
            u0, u1 = (pane + 0.07 * count) / count, (pane + 1 - 0.05 * count) / count
            if count == 1:
                u0, u1 = 0.06, 0.94
            elif count > 3:
                u0, u1 = (pane + 0.06) / count, (pane + 0.94) / count
            glass = [
                (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
                for u, v in ((u0, 0.1), (u1, 0.1), (u1, 0.9), (u0, 0.9))
            ]
            builder.quads(np.array(glass)[None] + outward, "car glass")


def _wheels(
    builder: MeshBuilder, x: list[float], half: float, radius: float, width: float = 0.2
) -> None:
    """A pair of wheels at each x, their outer faces `half` off the middle, in dark arches."""
    for place in x:
        for side in (-1, 1):
            matrix = np.eye(4)
            matrix[:3, 3] = place, side * half, 0
            builder.add_mesh(_wheel(radius, side * width), matrix)


@cache
def _wheel(radius: float, width: float) -> Mesh:
    """A wheel in its arch; the outer face at y = 0, the inner one at y = -width."""
    builder = MeshBuilder()
    side = np.sign(width)

    def disc(inner: float, outer: float) -> np.ndarray:
        return np.array([[0, inner, radius], [0, outer, radius]])

    builder.tube(disc(-width, -side * 0.035), radius * 1.17, "plastic", DARK, sides=16)
    builder.tube(disc(-width, 0), radius, "rubber", sides=16)
    builder.tube(disc(-side * 0.02, side * 0.008), radius * 0.64, "rim", sides=12)
    builder.tube(disc(0, side * 0.012), radius * 0.2, "plastic", DARK, sides=6)
    return builder.mesh()


def _lamps(
    builder: MeshBuilder,
    front: float,
    rear: float,
    half: float,
    z: tuple[float, float],
    size: tuple[float, float] = (0.34, 0.13),
    inset: float = 0.07,
) -> None:
    """Head and tail lamps and number plates; z of head and tail lamps."""
    for side in (-1, 1):
        y = side * (half - size[0] / 2 - 0.08)
        builder.box((front - inset, y * 0.96, z[0]), (0.16, size[0], size[1]), "head lamp")
        builder.box((rear + 0.06, y, z[1]), (0.14, size[0] * 0.8, size[1] * 1.2), "tail lamp")
    builder.box((front - 0.01, 0, z[0] - 0.22), (0.05, 0.5, 0.11), "number plate")
    builder.box((rear + 0.01, 0, z[1] - 0.16), (0.05, 0.5, 0.11), "number plate")


def _mirrors(builder: MeshBuilder, x: float, half: float, z: float, tint: Colour) -> None:
    for side in (-1, 1):
        builder.box((x, side * (half + 0.03), z), (0.1, 0.16, 0.13), "car paint", tint)


def _seams(builder: MeshBuilder, x: list[float], half: float, z: tuple[float, float]) -> None:
    """Dark door gaps and handles on both sides."""
    for side in (-1, 1):
        for place in x:
            builder.box(
                (place, side * (half - 0.008), sum(z) / 2), (0.008, 0.022, z[1] - z[0]),
                "plastic", DARK,
            )  # fmt: skip
        for place in x[1:]:
            builder.box(
                (place + 0.16, side * half, z[1] - 0.1), (0.16, 0.04, 0.03), "plastic", DARK
            )


def _passenger_car(
    builder: MeshBuilder, rng: np.random.Generator, tint: Colour | None = None
) -> float:
    """A saloon, hatchback, estate or SUV; returns the roof's height."""
    tint = tint or _paint(rng)
    shape = rng.choice(4, p=[0.35, 0.25, 0.12, 0.28])
    length = (4.65, 4.05, 4.75, 4.6)[shape] + rng.uniform(-0.15, 0.2)
    half = (0.9, 0.87, 0.9, 0.94)[shape] + rng.uniform(-0.02, 0.03)
    height = (1.45, 1.5, 1.48, 1.7)[shape] + rng.uniform(-0.04, 0.06)
    radius = (0.32, 0.31, 0.32, 0.36)[shape]
    belt = height * 0.63
    low, end = (0.17 if shape < 3 else 0.22), length / 2
    hood = belt - 0.04
    boot = (belt - 0.01, belt, belt, belt)[shape]
    _body(
        builder,
        [
            (-end, half * 0.86, low + 0.16, boot - 0.16),
            (-end + 0.06, half * 0.95, low + 0.08, boot - 0.05),
            (-end + 0.4, half * 0.995, low, boot), (-end * 0.4, half, low, belt),
            (end * 0.3, half, low, belt), (end * 0.55, half * 0.99, low, hood),
            (end - 0.45, half * 0.97, low, hood - 0.1),
            (end - 0.1, half * 0.9, low + 0.05, hood - 0.2),
            (end, half * 0.78, low + 0.13, hood - 0.3),
        ],
        "car paint", tint, 5.0,
    )  # fmt: skip
    rear_foot = (-end + 0.55, -end + 0.05, -end + 0.06, -end + 0.06)[shape]
    rear_head = (-end + 1.15, -end + 0.5, -end + 0.45, -end + 0.4)[shape]
    _cabin(
        builder,
        (rear_foot, rear_head, end * 0.12, end * 0.5),
        (belt - 0.05, height),
        (half * 0.95, half * 0.74),
        tint,
        (2, 2, 3, 3)[shape],
    )
    axle = length * 0.29
    _wheels(builder, [-axle, axle + 0.03], half + 0.005, radius)
    _lamps(builder, end, -end, half, (hood - 0.28, belt - 0.17), (0.3, 0.12), 0.15)
    builder.box((end - 0.03, 0, low + 0.16), (0.08, half * 1.3, 0.14), "plastic", DARK)
    builder.box((end - 0.05, 0, hood - 0.31), (0.1, half * 0.85, 0.1), "plastic", DARK)
    builder.box((-end + 0.04, 0, low + 0.12), (0.1, half * 1.5, 0.13), "plastic", DARK)
    _mirrors(builder, end * 0.36, half, belt + 0.02, tint)
    _seams(builder, [end * 0.38, -end * 0.08, -end * 0.48], half, (low + 0.12, belt - 0.06))
    return height


def _car(builder: MeshBuilder, rng: np.random.Generator) -> None:
    height = _passenger_car(builder, rng)
    if rng.random() < 0.06:
        builder.box((-0.2, 0, height + 0.05), (0.14, 0.5, 0.14), "sign", (0.8, 0.5, 0.05))


def _police(builder: MeshBuilder, rng: np.random.Generator) -> None:
    height = _passenger_car(builder, rng, (0.7, 0.7, 0.7))
    builder.box((-0.2, 0.3, height + 0.04), (0.25, 0.5, 0.11), "signal light", (0.05, 0.1, 0.9))
    builder.box((-0.2, -0.3, height + 0.04), (0.25, 0.5, 0.11), "signal light", (0.9, 0.05, 0.05))
    for side in (-1, 1):
        builder.box((0, side * 0.93, 0.62), (2.4, 0.03, 0.22), "sign", (0.03, 0.08, 0.45))


def _van(builder: MeshBuilder, rng: np.random.Generator, tint: Colour | None = None) -> None:
    tint = tint or (_paint(rng) if rng.random() < 0.5 else (0.72, 0.72, 0.7))
    end, half, height = rng.uniform(2.45, 2.95), rng.uniform(0.96, 1.02), rng.uniform(1.95, 2.55)
    _body(
        builder,
        [
            (-end, half * 0.94, 0.42, height - 0.08), (-end + 0.08, half, 0.28, height),
            (end - 1.9, half, 0.25, height), (end - 1.45, half, 0.25, height - 0.05),
        ],
        "car paint", tint, 9.0,
    )  # fmt: skip
    _body(
        builder,
        [
            (end - 1.7, half * 0.99, 0.25, 1.2), (end - 0.7, half * 0.98, 0.25, 1.15),
            (end - 0.15, half * 0.93, 0.28, 0.98), (end, half * 0.84, 0.36, 0.8),
        ],
        "car paint", tint, 5.0,
    )  # fmt: skip
    _cabin(
        builder, (end - 1.9, end - 1.9, end - 1.35, end - 0.55), (1.1, height - 0.03),
        (half * 0.985, half * 0.9), tint, 1,
    )  # fmt: skip
    _wheels(builder, [-end + 0.95, end - 0.85], half + 0.005, 0.35)
    _lamps(builder, end, -end, half, (0.78, 1.0), (0.3, 0.16), 0.15)
    for side in (-1, 1):
        builder.box((-end, side * half * 0.46, height * 0.68), (0.03, half * 0.7, 0.5), "car glass")
        builder.box((end - 1.35, side * (half + 0.01), 1.15), (0.06, 0.3, 0.22), "plastic", DARK)
    builder.box((end - 0.03, 0, 0.42), (0.1, half * 1.7, 0.2), "plastic", DARK)
    builder.box((-end - 0.02, 0, 0.38), (0.1, half * 1.9, 0.16), "plastic", DARK)
    _seams(builder, [end - 0.95, end - 1.8, -0.4], half, (0.45, 1.35))


def _ambulance(builder: MeshBuilder, rng: np.random.Generator) -> None:
    _van(builder, rng, (0.75, 0.7, 0.1))
    builder.box((0.7, 0, 2.35), (0.3, 1.5, 0.4), "signal light", (0.05, 0.1, 0.9))


def _lorry_cab(builder: MeshBuilder, front: float, height: float, tint: Colour) -> None:
    half = 1.22
    _body(
        builder,
        [(front - 1.9, half, 0.55, height), (front - 0.12, half, 0.5, height - 0.05),
         (front, half * 0.95, 0.6, height - 0.3)],
        "car paint", tint, 9.0,
    )  # fmt: skip
    screen = np.array([[-1, 1.5], [1, 1.5], [1, height - 0.4], [-1, height - 0.4]])
    glass = np.column_stack([np.full(4, front + 0.012), screen[:, 0] * 1.05, screen[:, 1]])
    builder.quads(glass[None], "car glass")
    for side in (-1, 1):
        builder.box(
            (front - 0.75, side * 1.225, (height + 1.2) / 2), (0.8, 0.03, 0.75), "car glass"
        )
        builder.box((front - 0.1, side * 1.33, height - 0.7), (0.12, 0.2, 0.6), "plastic", DARK)
    builder.box((front, 0, 0.95), (0.06, 1.7, 0.5), "plastic", DARK)
    builder.box((front + 0.02, 0, 0.5), (0.14, 2.4, 0.3), "plastic", (0.2, 0.2, 0.2))
    for side in (-1, 1):
        builder.box((front + 0.06, side * 0.95, 0.62), (0.1, 0.36, 0.16), "head lamp")


def _cargo(builder: MeshBuilder, rear: float, front: float, rng: np.random.Generator) -> None:
    """A box body with frame and rear lamps."""
    tint: Colour = tuple(rng.choice([[0.7, 0.7, 0.7], [0.6, 0.6, 0.58], [0.05, 0.12, 0.35],
                                     [0.4, 0.05, 0.04], [0.55, 0.42, 0.1]]))  # fmt: skip
    top = rng.uniform(3.1, 3.7)
    builder.box(
        ((rear + front) / 2, 0, (1.0 + top) / 2),
        (front - rear, 2.5, top - 1.0),
        "painted metal",
        tint,
    )
    builder.box(((rear + front) / 2, 0, 0.85), (front - rear - 0.1, 1.1, 0.3), "plastic", DARK)
    for side in (-1, 1):
        if rng.random() < 0.6:
            stripe: Colour = tuple(rng.uniform(0.03, 0.6, 3))
            builder.box(
                ((rear + front) / 2, side * 1.25, 2.1),
                ((front - rear) * 0.7, 0.03, 0.7),
                "painted metal",
                stripe,
            )
        builder.box(
            ((rear + front) / 2, side * 1.12, 0.72),
            ((front - rear) * 0.35, 0.05, 0.4),
            "plastic",
            (0.25, 0.25, 0.25),
        )
        builder.box((rear - 0.02, side * 1.02, 0.92), (0.08, 0.34, 0.16), "tail lamp")
    builder.box((rear - 0.02, 0, 2.05), (0.05, 0.03, top - 1.1), "plastic", DARK)
    builder.box((rear - 0.03, 0, 0.55), (0.1, 2.3, 0.12), "warning stripes", (0.6, 0.1, 0.05))
    builder.box((rear - 0.03, 0, 0.78), (0.05, 0.5, 0.12), "number plate")


def _lorry(builder: MeshBuilder, rng: np.random.Generator) -> None:
    front = rng.uniform(3.4, 4.6)
    _lorry_cab(builder, front, 2.9, _paint(rng))
    _cargo(builder, -front, front - 2.05, rng)
    _wheels(builder, [-front + 1.7, front - 1.3], 1.2, 0.5, 0.3)


def _tractor(builder: MeshBuilder, rng: np.random.Generator) -> None:
    _lorry_cab(builder, 3.0, 3.5, _paint(rng))
    builder.box((-0.9, 0, 0.85), (4.2, 1.0, 0.35), "plastic", DARK)
    builder.box((0.9, 0, 2.0), (0.1, 2.3, 2.8), "plastic", (0.15, 0.15, 0.15))
    _wheels(builder, [-2.2, 1.7], 1.2, 0.5, 0.35)
    for side in (-1, 1):
        builder.box((-3.0, side * 0.95, 0.85), (0.08, 0.3, 0.15), "tail lamp")


def _trailer(builder: MeshBuilder, rng: np.random.Generator) -> None:
    half = rng.uniform(4.2, 5.8)
    _cargo(builder, -half, half, rng)
    _wheels(builder, [-half + 1.2, -half + 2.5], 1.2, 0.5, 0.35)
    builder.box((half - 2.2, 0.7, 0.5), (0.12, 0.12, 1.0), "metal")
    builder.box((half - 2.2, -0.7, 0.5), (0.12, 0.12, 1.0), "metal")


def _bus(builder: MeshBuilder, rng: np.random.Generator, half: float = 0.0) -> None:
    half = half or rng.uniform(5.4, 6.1)
    tint: Colour = tuple(rng.choice([[0.45, 0.03, 0.03], [0.03, 0.12, 0.4], [0.65, 0.65, 0.6],
                                     [0.6, 0.4, 0.03], [0.04, 0.3, 0.12]]))  # fmt: skip
    builder.box((0, 0, 0.83), (2 * half, 2.5, 1.06), "car paint", tint)
    _cabin(
        builder, (-half, -half + 0.05, half - 0.1, half), (1.3, 3.15), (1.25, 1.2), tint,
        int(half * 1.2),
    )  # fmt: skip
    _wheels(builder, [-half + 2.9, half - 2.6], 1.25, 0.48, 0.3)
    builder.box((0.3, 0, 3.2), (2.6, 1.6, 0.3), "painted metal", (0.5, 0.5, 0.5))
    builder.box((half - 0.02, 0, 2.88), (0.1, 1.6, 0.24), "lit window", (0.9, 0.45, 0.1))
    for x in (half - 0.9, -0.2):
        builder.box((x, -1.25, 1.55), (1.1, 0.04, 2.3), "car glass")
    _lamps(builder, half + 0.04, -half - 0.04, 1.25, (0.62, 0.95), (0.4, 0.16))


def _excavator(builder: MeshBuilder, rng: np.random.Generator) -> None:
    tint: Colour = (0.62, 0.36, 0.02)
    for side in (-1, 1):
        builder.box((0, side * 0.95, 0.4), (3.4, 0.5, 0.78), "rubber", taper=0.88)
    builder.box((-0.3, 0, 1.25), (2.7, 2.2, 0.95), "painted metal", tint)
    builder.box((-1.2, 0, 1.9), (0.9, 2.1, 0.4), "painted metal", tint)
    _cabin(builder, (-0.5, -0.45, 0.7, 0.95), (1.6, 2.95), (0.55, 0.5), tint, 1)
    reach = rng.uniform(0.8, 1.2)
    boom = np.array([[0.9, -0.75, 1.5], [2.3, -0.75, 3.4], [3.3, -0.75, 3.2]])
    builder.tube(boom, (0.28, 0.24, 0.18), "painted metal", tint, 6)
    stick = np.array([[3.2, -0.75, 3.3], [3.7 * reach, -0.75, 1.6], [3.5 * reach, -0.75, 0.9]])
    builder.tube(stick, (0.18, 0.14, 0.1), "painted metal", tint, 6)
    builder.box((3.4 * reach, -0.75, 0.55), (0.9, 0.9, 0.75), "metal", taper=0.7)


def _two_wheels(builder: MeshBuilder, base: float, radius: float, thick: float) -> None:
    angle = np.arange(20) * 2 * np.pi / 20
    for x in (-base / 2, base / 2):
        for width, scale, material in ((thick, 1.0, "rubber"), (thick * 0.6, 0.75, "rim")):
            if material == "rim" and thick < 0.06:
                width = 0.015
            ring = np.stack(
                [x + np.cos(angle) * radius * scale, np.sin(angle) * radius * scale + radius]
            )
            sides = [
                np.stack([ring[0], np.full(20, y), ring[1]], -1)[::-1]
                for y in (-width / 2, width / 2)
            ]
            builder.loft(np.stack(sides), material)


def _motorcycle(builder: MeshBuilder, rng: np.random.Generator, rider: bool = True) -> None:
    tint = _paint(rng)
    _two_wheels(builder, 1.4, 0.31, 0.14)
    _body(
        builder,
        [(-0.85, 0.1, 0.72, 0.86), (-0.4, 0.16, 0.5, 0.84), (0.05, 0.2, 0.38, 0.95),
         (0.4, 0.2, 0.45, 0.98), (0.62, 0.1, 0.7, 0.9)],
        "car paint", tint, 3.0,
    )  # fmt: skip
    builder.tube(np.array([[0.7, 0, 0.31], [0.45, 0, 1.05]]), 0.05, "metal")
    builder.tube(
        np.array([[0.42, -0.36, 1.08], [0.48, 0, 1.04], [0.42, 0.36, 1.08]]), 0.022, "plastic", DARK
    )
    builder.ball((0.66, 0, 0.88), (0.09, 0.1, 0.1), "head lamp")
    builder.box((-0.9, 0, 0.74), (0.06, 0.18, 0.09), "tail lamp")
    builder.tube(np.array([[-0.75, -0.16, 0.3], [0.0, -0.14, 0.32]]), 0.05, "rim")
    if rider:
        add_rider(builder, rng, hip=(-0.25, 0.86), hands=(0.4, 1.1), feet=(0.0, 0.32), helmet=True)


def _bicycle(builder: MeshBuilder, rng: np.random.Generator, rider: bool = True) -> None:
    tint = tuple(rng.uniform(0.02, 0.5, 3))
    _two_wheels(builder, 1.05, 0.34, 0.04)
    crank, head, seat = [-0.08, 0, 0.3], [0.38, 0, 0.85], [-0.25, 0, 0.85]
    for a, b in (
        (crank, head), (crank, seat), (seat, head), ([-0.525, 0, 0.34], seat),
        ([-0.525, 0, 0.34], crank), ([0.525, 0, 0.34], [0.36, 0, 0.98]),
    ):  # fmt: skip
        builder.tube(np.array([a, b]), 0.018, "painted metal", tint, 6)
    builder.tube(
        np.array([[0.3, -0.27, 1.02], [0.38, 0, 0.98], [0.3, 0.27, 1.02]]), 0.014, "metal", sides=6
    )
    builder.box((-0.27, 0, 0.92), (0.26, 0.15, 0.06), "plastic", DARK)
    builder.box((-0.6, 0, 0.72), (0.04, 0.06, 0.06), "tail lamp")
    builder.box((0.46, 0, 0.9), (0.05, 0.06, 0.06), "head lamp")
    if rider:
        add_rider(
            builder,
            rng,
            hip=(-0.25, 0.98),
            hands=(0.3, 1.05),
            feet=(-0.02, 0.2),
            helmet=rng.random() < 0.6,
        )


def _parked_motorcycle(builder: MeshBuilder, rng: np.random.Generator) -> None:
    _motorcycle(builder, rng, rider=False)


def _parked_bicycle(builder: MeshBuilder, rng: np.random.Generator) -> None:
    _bicycle(builder, rng, rider=False)


def _bendy_part(builder: MeshBuilder, rng: np.random.Generator) -> None:
    _bus(builder, np.random.default_rng(int(rng.integers(4))), half=4.3)


def _pickup(builder: MeshBuilder, rng: np.random.Generator) -> None:
    tint = _paint(rng)
    end, half = 2.75, 0.97
    _body(
        builder,
        [(-end, half * 0.93, 0.4, 1.1), (-end + 0.1, half, 0.36, 1.15), (0.5, half, 0.34, 1.15),
         (end - 0.6, half * 0.98, 0.34, 1.12), (end - 0.1, half * 0.93, 0.38, 1.02),
         (end, half * 0.85, 0.45, 0.9)],
        "car paint", tint, 7.0,
    )  # fmt: skip
    _cabin(builder, (-0.75, -0.6, 0.8, 1.35), (1.1, 1.85), (half * 0.95, half * 0.78), tint, 2)
    builder.box((-end + 1.0, 0, 1.16), (1.75, 1.55, 0.05), "plastic", DARK)
    _wheels(builder, [-1.75, 1.75], half + 0.01, 0.4)
    _lamps(builder, end, -end, half, (0.88, 0.95))
    builder.box((end, 0, 0.85), (0.05, 1.0, 0.22), "plastic", DARK)
    builder.box((end + 0.02, 0, 0.5), (0.12, half * 1.9, 0.2), "metal")
    _mirrors(builder, 1.0, half, 1.18, tint)
    _seams(builder, [1.2, 0.2, -0.7], half, (0.5, 1.08))


KINDS: dict[str, tuple[str, Callable[[MeshBuilder, np.random.Generator], None]]] = {
    "car": ("vehicle.car", _car),
    "van": ("vehicle.car", _van),
    "pickup": ("vehicle.truck", _pickup),
    "lorry": ("vehicle.truck", _lorry),
    "tractor": ("vehicle.truck", _tractor),
    "trailer": ("vehicle.trailer", _trailer),
    "bus": ("vehicle.bus.rigid", _bus),
    "bendy bus": ("vehicle.bus.bendy", _bendy_part),
    "excavator": ("vehicle.construction", _excavator),
    "police": ("vehicle.emergency.police", _police),
    "ambulance": ("vehicle.emergency.ambulance", _ambulance),
    "motorcycle": ("vehicle.motorcycle", _motorcycle),
    "bicycle": ("vehicle.bicycle", _bicycle),
    "parked motorcycle": ("vehicle.motorcycle", _parked_motorcycle),
    "parked bicycle": ("vehicle.bicycle", _parked_bicycle),
}
"""What `make_vehicle` makes: nuScenes category and how."""
