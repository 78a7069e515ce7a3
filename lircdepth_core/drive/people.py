"""Meshes of people in the object frame: x forward, standing on z = 0."""

from __future__ import annotations

import numpy as np

from lircdepth_core.drive.mesh_builder import Colour, MeshBuilder

_SKINS: list[Colour] = [
    (0.56, 0.36, 0.27), (0.45, 0.27, 0.18), (0.27, 0.15, 0.09), (0.14, 0.08, 0.05)
]  # fmt: skip
_HAIRS: list[Colour] = [
    (0.015, 0.012, 0.01), (0.06, 0.035, 0.02), (0.18, 0.11, 0.05), (0.3, 0.3, 0.3)
]  # fmt: skip


def add_person(
    builder: MeshBuilder,
    rng: np.random.Generator,
    height: float,
    stride: float,
    vest: Colour | None = None,
    helmet: Colour | None = None,
) -> None:
    """A person.

    Args:
        builder: what it is added to.
        rng: of clothes and build.
        height: metres.
        stride: how far the feet are apart along x as a share of the height; 0: stands.
        vest: colour of a reflective vest.
        helmet: colour of a helmet.
    """
    h, wide = height, rng.uniform(0.9, 1.15)
    skin, hair = _pick(rng, _SKINS), _pick(rng, _HAIRS)
    top = vest or _cloth(rng)
    trousers = _cloth(rng) if rng.random() < 0.4 else _cloth(rng, dark=True)
    skirt = vest is None and rng.random() < 0.15
    hip, shoulder = 0.5 * h, 0.82 * h
    lean = 0.03 * h if stride else 0.0
    for side, sign in ((-1, 1), (1, -1)):
        foot = sign * stride * h / 2
        knee = np.array([foot * 0.5 + 0.04 * h, side * 0.052 * h, 0.27 * h])
        ankle = np.array([foot, side * 0.05 * h, 0.045 * h])
        leg = np.stack([[0, side * 0.05 * h, hip], knee, ankle])
        builder.tube(
            leg,
            np.array([0.058, 0.042, 0.03]) * h * wide,
            "fabric" if not skirt else "skin",
            trousers if not skirt else skin,
            8,
        )
        builder.box(
            (foot + 0.03 * h, side * 0.05 * h, 0.022 * h),
            (0.15 * h, 0.055 * h, 0.044 * h),
            "plastic",
            (0.03, 0.03, 0.03),
        )
        swing = -sign * stride * h * 0.45
        elbow = np.array([swing * 0.4 - 0.01 * h, side * 0.145 * h * wide, 0.63 * h])
        hand = np.array([swing + 0.03 * h, side * 0.14 * h * wide, 0.48 * h])
        arm = np.stack([[lean, side * 0.11 * h * wide, shoulder - 0.01 * h], elbow, hand])
        builder.tube(arm, np.array([0.034, 0.028, 0.022]) * h, "fabric", top, 7)
        builder.ball(hand, (0.022 * h, 0.018 * h, 0.03 * h), "skin", skin, 6)
    if skirt:
        _trunk(
            builder,
            [(0.3, 0.10, 0.115, 0), (0.42, 0.085, 0.105, 0), (0.56, 0.07, 0.085, 0)],
            h,
            wide,
            trousers,
        )
    _trunk(
        builder,
        [(0.47, 0.062, 0.095, 0), (0.54, 0.064, 0.09, 0.2), (0.62, 0.065, 0.092, 0.5),
         (0.72, 0.072, 0.108, 0.8), (0.79, 0.066, 0.112, 1), (0.83, 0.045, 0.07, 1),
         (0.85, 0.03, 0.035, 1)],
        h, wide, top, lean,
    )  # fmt: skip
    if vest:
        _trunk(
            builder,
            [(0.6, 0.068, 0.096, 0.4), (0.63, 0.068, 0.097, 0.5)],
            h,
            wide,
            (0.7, 0.7, 0.7),
            lean,
            "sign",
        )
    builder.tube(
        np.array([[lean, 0, 0.83 * h], [lean + 0.01 * h, 0, 0.89 * h]]), 0.03 * h, "skin", skin, 8
    )
    head = (lean + 0.015 * h, 0.0, 0.93 * h)
    builder.ball(head, (0.056 * h, 0.046 * h, 0.066 * h), "skin", skin, 10)
    cap = (head[0] - 0.012 * h, 0.0, head[2] + 0.012 * h)
    builder.ball(
        cap, (0.056 * h, 0.052 * h, 0.058 * h), "plastic" if helmet else "hair", helmet or hair, 10
    )
    if vest is None and rng.random() < 0.3:
        builder.box(
            (lean - 0.1 * h, 0, 0.7 * h), (0.09 * h, 0.15 * h, 0.2 * h), "fabric", _cloth(rng)
        )


def add_rider(
    builder: MeshBuilder,
    rng: np.random.Generator,
    hip: tuple[float, float],
    hands: tuple[float, float],
    feet: tuple[float, float],
    helmet: bool,
) -> None:
    """Somebody on two wheels; hip, hands and feet are (x, z) in metres."""
    skin = _pick(rng, _SKINS)
    top, trousers = _cloth(rng), _cloth(rng, dark=True)
    hip_at = np.array([hip[0], 0, hip[1]])
    shoulders = hip_at + np.array([0.28, 0, 0.5])
    for side in (-1, 1):
        sideways = np.array([0, side, 0])
        foot = np.array([feet[0] + 0.04 * side, side * 0.12, feet[1] + 0.08 * (side + 1)])
        knee = (hip_at + foot) / 2 + np.array([0.24, side * 0.12, 0.1])
        builder.tube(
            np.stack([hip_at + 0.09 * sideways, knee, foot]),
            (0.085, 0.065, 0.05),
            "fabric",
            trousers,
            8,
        )
        builder.box(
            (foot[0] + 0.06, foot[1], foot[2] - 0.05),
            (0.26, 0.09, 0.08),
            "plastic",
            (0.03, 0.03, 0.03),
        )
        hand = np.array([hands[0], side * 0.27, hands[1]])
        elbow = (shoulders + hand) / 2 + np.array([-0.05, side * 0.18, -0.05])
        builder.tube(
            np.stack([shoulders + 0.19 * sideways, elbow, hand]),
            (0.055, 0.045, 0.035),
            "fabric",
            top,
            7,
        )
    builder.tube(
        np.stack([hip_at, hip_at * 0.4 + shoulders * 0.6, shoulders, shoulders + (0.03, 0, 0.07)]),
        (0.15, 0.18, 0.18, 0.06), "fabric", top, 10,
    )  # fmt: skip
    head = shoulders + np.array([0.1, 0, 0.22])
    builder.ball(head, (0.1, 0.085, 0.12), "skin", skin, 10)
    if helmet:
        builder.ball(head + (-0.02, 0, 0.03), (0.14, 0.12, 0.12), "plastic", _cloth(rng), 10)
    else:
        builder.ball(head + (-0.02, 0, 0.025), (0.1, 0.093, 0.108), "hair", _pick(rng, _HAIRS), 10)


def _trunk(
    builder: MeshBuilder,
    levels: list[tuple[float, float, float, float]],
    h: float,
    wide: float,
    tint: Colour,
    lean: float = 0.0,
    material: str = "fabric",
) -> None:
    """A loft upwards through ellipses (z, half depth, half width as shares of h, share of lean)."""
    angle = np.arange(12) * 2 * np.pi / 12
    rings = [
        np.stack(
            [
                deep * h * wide * np.cos(angle) + lean * share,
                broad * h * wide * np.sin(angle),
                np.full(12, z * h),
            ],
            axis=-1,
        )
        for z, deep, broad, share in levels
    ]
    builder.loft(np.stack(rings), material, tint)


def _cloth(rng: np.random.Generator, dark: bool = False) -> Colour:
    """A colour of clothes."""
    if dark or rng.random() < 0.45:
        red, green, blue = rng.uniform(0.01, 0.09) * rng.uniform(0.7, 1.3, 3)
    else:
        colour = rng.uniform(0.03, 0.5, 3) * rng.choice([0.4, 1.0])
        # Most cloth is not vivid.
        red, green, blue = colour + rng.uniform(0.2, 0.8) * (colour.mean() - colour)
    return float(red), float(green), float(blue)


def _pick(rng: np.random.Generator, colours: list[Colour]) -> Colour:
    return colours[rng.integers(len(colours))]
