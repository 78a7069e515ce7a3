"""Meshes of buildings. Frame: x along the street front, y into the plot, z up; the origin is at the
middle of the front on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lircdepth_core.drive.mesh_builder import Colour, MeshBuilder

FOUNDATION = 4.0
"""How far walls reach below the ground, so that none floats on a slope."""

_BRICKS = [(0.26, 0.10, 0.065), (0.20, 0.085, 0.055), (0.32, 0.17, 0.11), (0.36, 0.27, 0.19)]
_PLASTERS = [
    (0.62, 0.58, 0.50), (0.60, 0.50, 0.36), (0.46, 0.47, 0.47), (0.62, 0.45, 0.36),
    (0.36, 0.42, 0.40), (0.66, 0.64, 0.60), (0.50, 0.36, 0.26), (0.40, 0.44, 0.50),
]  # fmt: skip
_CONCRETES = [(0.40, 0.39, 0.37), (0.32, 0.32, 0.32), (0.50, 0.48, 0.44), (0.24, 0.25, 0.27)]
_DOORS = [
    (0.02, 0.05, 0.10), (0.16, 0.02, 0.02), (0.02, 0.07, 0.04), (0.03, 0.03, 0.03),
    (0.20, 0.12, 0.06), (0.45, 0.44, 0.42),
]  # fmt: skip
_ROOFS = [(0.20, 0.075, 0.05), (0.09, 0.085, 0.085), (0.13, 0.09, 0.07), (0.24, 0.13, 0.09)]


@dataclass(frozen=True)
class Style:
    """How a building looks.

    Attributes:
        wall: material of its walls.
        wall_tint: its colour.
        trim: colour of sills, frames, cornices and balconies.
        storeys: how many.
        storey: height of one in metres.
        ground: height of the ground floor.
        window: width and height of a window.
        bay: distance between windows.
        roof: `flat` or `gable`.
        shop: whether shop windows fill the ground floor.
        balconies: share of bays with balconies.
        glass: whether windows run on into bands, as in office buildings.
    """

    wall: str
    wall_tint: Colour
    trim: Colour
    storeys: int
    storey: float
    ground: float
    window: tuple[float, float]
    bay: float
    roof: str
    shop: bool
    balconies: float
    glass: bool

    @property
    def eaves(self) -> float:
        """Height of the walls in metres."""
        return self.ground + (self.storeys - 1) * self.storey


def draw_style(rng: np.random.Generator, downtown: float) -> Style:
    """A style; `downtown` 0 (village) to 1 (city)."""
    tall = rng.random() < downtown * 0.8
    office = tall and rng.random() < 0.45
    storeys = int(
        rng.integers(4, 9 + round(6 * downtown))
        if tall
        else rng.integers(1, 4) + (rng.random() < downtown)
    )
    wall = str(
        rng.choice(
            ["brick", "plaster", "concrete"], p=[0.2, 0.2, 0.6] if office else [0.4, 0.5, 0.1]
        )
    )
    tints = {"brick": _BRICKS, "plaster": _PLASTERS, "concrete": _CONCRETES}[wall]
    tint = np.array(tints[rng.integers(len(tints))]) * rng.uniform(0.85, 1.15, 3)
    trim = [(0.62, 0.61, 0.58), (0.30, 0.30, 0.30), (0.5, 0.44, 0.34), (0.05, 0.05, 0.055)]
    shop = bool(rng.random() < 0.15 + 0.6 * downtown) and storeys > 1
    return Style(
        wall=wall,
        wall_tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        trim=trim[rng.integers(len(trim))],
        storeys=storeys,
        storey=float(rng.uniform(2.9, 3.5) + 0.3 * office),
        ground=float(rng.uniform(3.8, 4.4) if shop else rng.uniform(3.0, 3.6)),
        window=(float(rng.uniform(0.9, 1.6)), float(rng.uniform(1.3, 1.8))),
        bay=float(rng.uniform(2.3, 3.6)),
        roof="flat" if tall or rng.random() < 0.25 else "gable",
        shop=shop,
        balconies=float(rng.choice([0, 0, 0, 0.3, 0.6])) if storeys > 2 else 0.0,
        glass=office,
    )


def add_building(
    builder: MeshBuilder,
    rng: np.random.Generator,
    style: Style,
    width: float,
    depth: float,
    detail: bool,
) -> None:
    """Add a building in its own frame.

    Args:
        builder: what it is added to.
        rng: which windows are lit, doors, chimneys.
        style: how it looks.
        width: along the street, metres.
        depth: into the plot, metres.
        detail: whether the front's windows are real recesses; else panes on the wall.
    """
    corners = np.array([[-1, 0], [1, 0], [1, 2], [-1, 2]]) * (width / 2, depth / 2)
    for side in range(4):
        begin, end = corners[side], corners[(side + 1) % 4]
        _facade(builder, rng, style, begin, end, front=side == 0, detail=detail and side != 2)
    if style.roof == "gable":
        _gable_roof(builder, rng, style, width, depth)
    else:
        _flat_roof(builder, rng, style, width, depth, detail)


class _Wall:
    """A wall's own coordinates: u along it, v up, w out of it, to the building's frame."""

    def __init__(self, begin: np.ndarray, end: np.ndarray) -> None:
        self.length = float(np.linalg.norm(end - begin))
        along = (end - begin) / self.length
        self._begin, self._along = begin, along
        self._out = np.array([along[1], -along[0]])

    def at(self, u: np.ndarray, v: np.ndarray, w: np.ndarray | float) -> np.ndarray:
        u, v, w = np.broadcast_arrays(u, v, w)
        ground = self._begin + u[..., None] * self._along + w[..., None] * self._out
        return np.concatenate([ground, v[..., None]], axis=-1)

    def panels(
        self, u0: np.ndarray, u1: np.ndarray, v0: np.ndarray, v1: np.ndarray, w: float
    ) -> np.ndarray:
        """Upright rectangles (N, 4, 3) facing out."""
        u0, u1, v0, v1 = np.broadcast_arrays(u0, u1, v0, v1)
        u, v = np.stack([u0, u1, u1, u0], -1), np.stack([v0, v0, v1, v1], -1)
        return self.at(u, v, w).reshape(-1, 4, 3)

    def panel(self, u0: float, u1: float, v0: float, v1: float, w: float) -> np.ndarray:
        """One upright rectangle (1, 4, 3) facing out."""
        a, b, c, d = np.array([[u0], [u1], [v0], [v1]])
        return self.panels(a, b, c, d, w)

    def slab(
        self, builder: MeshBuilder, u: tuple[float, float], v: tuple[float, float],
        w: tuple[float, float], material: str, tint: Colour,
    ) -> None:  # fmt: skip
        """A box on the wall."""
        (u0, u1), (v0, v1), (w0, w1) = u, v, w
        sides = [
            ([u0, u1, u1, u0], [v0, v0, v1, v1], [w1] * 4),
            ([u0, u1, u1, u0], [v1] * 4, [w1, w1, w0, w0]),
            ([u0, u0, u1, u1], [v0] * 4, [w1, w0, w0, w1]),
            ([u0] * 4, [v0, v0, v1, v1], [w0, w1, w1, w0]),
            ([u1] * 4, [v0, v0, v1, v1], [w1, w0, w0, w1]),
        ]
        quads = [self.at(np.array(a), np.array(b), np.array(c)) for a, b, c in sides]
        builder.quads(np.array(quads), material, tint)


def _facade(
    builder: MeshBuilder,
    rng: np.random.Generator,
    style: Style,
    begin: np.ndarray,
    end: np.ndarray,
    *,
    front: bool,
    detail: bool,
) -> None:
    """One wall with its windows, doors, sills and balconies."""
    wall = _Wall(begin, end)
    bays = max(1, int((wall.length - 0.6) / style.bay))
    pitch = wall.length / bays
    width = min(pitch - 0.25, style.window[0]) if not style.glass else pitch - 0.18
    left = (np.arange(bays) + 0.5) * pitch - width / 2
    upper = style.ground + np.arange(style.storeys - 1) * style.storey
    sill = 0.35 if style.glass else 0.9
    height = style.storey - 0.9 if style.glass else style.window[1]
    lows = [(v + sill, height) for v in upper]
    shop = style.shop and front
    if not shop:
        lows.insert(0, (0.95, min(height, style.ground - 1.4)))
    u, v0, tall = (
        grid.ravel()
        for grid in (
            np.tile(left, len(lows)),
            np.repeat([low for low, _ in lows], bays),
            np.repeat([h for _, h in lows], bays),
        )
    ) if lows else (np.zeros(0),) * 3  # fmt: skip
    door = int(rng.integers(bays)) if front and not shop else -1
    keep = np.ones(len(u), dtype=bool)
    if door >= 0:
        keep[door] = False
    if not front and not style.glass:
        keep &= rng.random(len(u)) < 0.75
    u, v0, tall = u[keep], v0[keep], tall[keep]
    lit = rng.random(len(u)) < 0.4
    shades = np.where(lit[:, None], _lit_colours(rng, len(u)), 1.0)
    recess = 0.12 if detail else 0.0
    glass = wall.panels(u, u + width, v0, v0 + tall, -recess if detail else 0.03)
    for mask, material in ((lit, "lit window"), (~lit, "window")):
        builder.quads(glass[mask], material, shades[mask])
    if detail:
        _pierced(builder, wall, style, u, width, v0, tall, recess)
        for a, b, h in zip(u, v0, tall, strict=True):
            wall.slab(
                builder,
                (a + width / 2 - 0.025, a + width / 2 + 0.025),
                (b, b + h),
                (-recess, -recess + 0.04),
                "plastic",
                style.trim,
            )
            if not style.glass:
                wall.slab(
                    builder,
                    (a - 0.08, a + width + 0.08),
                    (b - 0.09, b),
                    (-0.02, 0.09),
                    "concrete",
                    style.trim,
                )
    else:
        whole = wall.panel(0, wall.length, -FOUNDATION, style.eaves, 0.0)
        builder.quads(whole, style.wall, style.wall_tint)
    if not front:
        return
    if door >= 0:
        a = (door + 0.5) * pitch
        wall.slab(builder, (a - 0.6, a + 0.6), (-0.3, 2.3), (-0.02, 0.05), "concrete", style.trim)
        paint = _DOORS[rng.integers(len(_DOORS))]
        wall.slab(builder, (a - 0.48, a + 0.48), (-0.3, 2.12), (0, 0.07), "wood", paint)
    if shop:
        _shop_front(builder, rng, wall, style)
    if style.storeys > 1:
        wall.slab(
            builder,
            (0, wall.length),
            (style.ground - 0.28, style.ground - 0.08),
            (-0.02, 0.12),
            "concrete",
            style.trim,
        )
    if style.balconies and detail:
        chosen = rng.random((style.storeys - 1, bays)) < style.balconies
        for row, column in zip(*np.nonzero(chosen), strict=True):
            a, v = (column + 0.5) * pitch, upper[row]
            half = min(pitch / 2 - 0.1, 1.3)
            wall.slab(
                builder,
                (a - half, a + half),
                (v - 0.12, v + 0.02),
                (-0.02, 1.1),
                "concrete",
                (0.4, 0.4, 0.39),
            )
            wall.slab(
                builder,
                (a - half, a + half),
                (v + 0.12, v + 1.0),
                (1.04, 1.1),
                "painted metal",
                style.trim,
            )


def _pierced(
    builder: MeshBuilder,
    wall: _Wall,
    style: Style,
    u: np.ndarray,
    width: float,
    v0: np.ndarray,
    tall: np.ndarray,
    recess: float,
) -> None:
    """The wall around rectangular windows, and their reveals."""
    top, quads = style.eaves, []
    levels = sorted({(float(a), float(a + b)) for a, b in zip(v0, tall, strict=True)})
    bottom = -FOUNDATION
    for low, high in levels:
        quads.append(wall.panel(0, wall.length, bottom, low, 0.0))
        here = np.sort(u[np.isclose(v0, low)])
        begins = np.concatenate([[0.0], here + width])
        ends = np.concatenate([here, [wall.length]])
        quads.append(wall.panels(begins, ends, np.array(low), np.array(high), 0.0))
        bottom = high
    quads.append(wall.panel(0, wall.length, bottom, top, 0.0))
    v1, u1, deep = v0 + tall, u + width, -recess
    edges = (
        ((u, u, u, u), (v0, v0, v1, v1), (deep, 0, 0, deep)[::-1]),
        ((u1, u1, u1, u1), (v0, v0, v1, v1), (deep, 0, 0, deep)),
        ((u, u1, u1, u), (v0, v0, v0, v0), (0, 0, deep, deep)),
        ((u, u1, u1, u), (v1, v1, v1, v1), (deep, deep, 0, 0)),
    )
    for a, b, c in edges:
        w = np.broadcast_to(np.array(c, dtype=float), (len(u), 4))
        quads.append(wall.at(np.stack(a, -1), np.stack(b, -1), w))
    builder.quads(np.concatenate(quads), style.wall, style.wall_tint)


def _shop_front(builder: MeshBuilder, rng: np.random.Generator, wall: _Wall, style: Style) -> None:
    """Shop windows, their boards and awnings."""
    shops = max(1, int(wall.length / 7))
    pitch = wall.length / shops
    for shop in range(shops):
        a, b = shop * pitch + 0.35, (shop + 1) * pitch - 0.35
        tint = _lit_colours(rng, 1)
        pane = wall.panel(a, b, 0.45, style.ground - 1.0, 0.03)
        builder.quads(pane, "shop window", tint)
        for u in np.linspace(a, b, max(2, round((b - a) / 2)) + 1):
            wall.slab(
                builder,
                (u - 0.04, u + 0.04),
                (-0.3, style.ground - 1.0),
                (0, 0.08),
                "painted metal",
                style.trim,
            )
        board = rng.uniform(0.02, 0.5, 3)
        wall.slab(
            builder,
            (a - 0.1, b + 0.1),
            (style.ground - 1.0, style.ground - 0.4),
            (0, 0.14),
            "plastic",
            board,
        )
        letters = np.sort(rng.uniform(a + 0.6, b - 0.6, int(rng.integers(4, 10))))
        for u in letters:
            wall.slab(
                builder,
                (u, u + 0.16),
                (style.ground - 0.86, style.ground - 0.86 + rng.uniform(0.18, 0.32)),
                (0.1, 0.16),
                "plastic",
                (0.7, 0.7, 0.66),
            )
        if rng.random() < 0.35:
            low, out = style.ground - 1.35, 1.3
            stripe = rng.uniform(0.05, 0.5, 3)
            u = np.array([a, b, b, a])
            v = np.array([low, low, style.ground - 1.0, style.ground - 1.0])
            builder.quads(wall.at(u, v, np.array([out, out, 0.1, 0.1]))[None], "fabric", stripe)


def _gable_roof(
    builder: MeshBuilder, rng: np.random.Generator, style: Style, width: float, depth: float
) -> None:
    """A pitched roof with its ridge along the street, overhanging, and chimneys."""
    tint = _ROOFS[rng.integers(len(_ROOFS))]
    rise, over, e = depth / 2 * rng.uniform(0.55, 0.9), 0.45, style.eaves
    drop = over * rise / (depth / 2)
    h = width / 2 + 0.25
    ridge = depth / 2
    for y, facing in ((-over, 1), (depth + over, -1)):
        quad = np.array(
            [[-h, y, e - drop], [h, y, e - drop], [h, ridge, e + rise], [-h, ridge, e + rise]]
        )
        builder.quads((quad if facing > 0 else quad[::-1])[None] + (0, 0, 0.12), "roof tiles", tint)
        fascia = np.array(
            [
                [-h, y, e - drop - 0.14],
                [h, y, e - drop - 0.14],
                [h, y, e - drop + 0.12],
                [-h, y, e - drop + 0.12],
            ]
        )
        builder.quads((fascia if facing > 0 else fascia[::-1])[None], "wood", style.trim)
        under = quad[::-1] if facing > 0 else quad
        builder.quads(under[None] - (0, 0, 0.02), "wood", style.trim)
    for x in (-width / 2, width / 2):
        gable = np.array([[x, 0, e], [x, depth, e], [x, ridge, e + rise]])
        if x < 0:
            gable = gable[::-1]
        builder.add(gable, np.array([[0, 1, 2]]), style.wall, style.wall_tint)
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(-width / 2 + 0.6, width / 2 - 0.6)
        builder.box((x, ridge + 0.8, e + rise - 0.2), (0.7, 0.6, 2.2), "brick", (0.24, 0.1, 0.07))


def _flat_roof(
    builder: MeshBuilder,
    rng: np.random.Generator,
    style: Style,
    width: float,
    depth: float,
    detail: bool,
) -> None:
    """A flat roof with a parapet, and machines on it."""
    e = style.eaves
    h = width / 2
    roof = np.array([[-h, 0, e], [h, 0, e], [h, depth, e], [-h, depth, e]])
    builder.quads(roof[None], "concrete", (0.2, 0.2, 0.2))
    for x, y, a, b in (
        (0, 0.1, width, 0.3),
        (0, depth - 0.1, width, 0.3),
        (-h + 0.1, depth / 2, 0.3, depth),
        (h - 0.1, depth / 2, 0.3, depth),
    ):
        builder.box((x, y, e + 0.3), (a + 0.06, b + 0.06, 0.8), "concrete", style.trim)
    for _ in range(int(rng.integers(0, 4)) if detail else 0):
        size = rng.uniform((1.5, 1.5, 1.0), (4.0, 3.5, 2.6))
        place = rng.uniform((-h + 2.5, 2.5), (h - 2.5, max(depth - 2.5, 2.6)))
        builder.box((place[0], place[1], e + size[2] / 2), size, "painted metal", (0.4, 0.4, 0.4))


def _lit_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) colours of light from rooms: bulbs, tubes, screens."""
    warm = np.array([1.0, 0.62, 0.28]) * rng.uniform(0.15, 1.0, (count, 1))
    cold = np.array([0.75, 0.85, 1.0]) * rng.uniform(0.1, 0.6, (count, 1))
    return np.where(rng.random((count, 1)) < 0.75, warm, cold)
