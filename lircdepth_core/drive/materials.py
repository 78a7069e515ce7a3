"""What surfaces of a generated drive are made of, for camera, lidar and radar alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Pattern(IntEnum):
    """How the camera's shader textures a material."""

    PLAIN = 0
    ASPHALT = 1
    PAVING = 2
    GRASS = 3
    BRICK = 4
    PLASTER = 5
    CONCRETE = 6
    LEAVES = 7
    BARK = 8
    METAL = 9
    CAR_PAINT = 10
    GLASS = 11
    FABRIC = 12
    TILES = 13
    WOOD = 14
    MARKING = 15
    LAMP = 16
    SOIL = 17
    SHOP = 18


@dataclass(frozen=True)
class Material:
    """One material.

    Attributes:
        name: what it is.
        colour: linear RGB, 0..1; a face's tint multiplies it.
        pattern: its texture.
        gloss: share of light mirrored at normal incidence, 0..1.
        roughness: of the mirrored light, 0..1.
        emission: linear light given off at night per unit of colour, 0: none.
        reflectivity: lidar's (905 nm), 0..1; retroreflectors 1.
        radar_reflects: whether it gives radar returns of its own; otherwise 77 GHz waves are
            scattered away, absorbed or let through.
        radar_gain: dB added to the radar cross-section of a smooth metal surface of that size.
    """

    name: str
    colour: tuple[float, float, float]
    pattern: Pattern
    gloss: float
    roughness: float
    emission: float
    reflectivity: float
    radar_reflects: bool
    radar_gain: float


MATERIALS: tuple[Material, ...] = tuple(
    Material(name, colour, pattern, gloss, roughness, emission, reflectivity, reflects, gain)
    for name, colour, pattern, gloss, roughness, emission, reflectivity, reflects, gain in (
        ("asphalt", (0.085, 0.085, 0.088), Pattern.ASPHALT, 0.03, 0.8, 0, 0.15, False, -25),
        ("marking", (0.62, 0.62, 0.60), Pattern.MARKING, 0.04, 0.6, 0, 0.75, False, -25),
        ("paving", (0.30, 0.29, 0.27), Pattern.PAVING, 0.03, 0.8, 0, 0.30, False, -22),
        ("kerb", (0.36, 0.35, 0.34), Pattern.CONCRETE, 0.03, 0.8, 0, 0.35, True, -18),
        ("grass", (0.075, 0.12, 0.03), Pattern.GRASS, 0.02, 0.9, 0, 0.35, False, -25),
        ("soil", (0.16, 0.11, 0.07), Pattern.SOIL, 0.02, 0.9, 0, 0.25, False, -25),
        ("brick", (1.0, 1.0, 1.0), Pattern.BRICK, 0.03, 0.8, 0, 0.35, True, -12),
        ("plaster", (1.0, 1.0, 1.0), Pattern.PLASTER, 0.03, 0.8, 0, 0.50, True, -13),
        ("concrete", (1.0, 1.0, 1.0), Pattern.CONCRETE, 0.03, 0.8, 0, 0.40, True, -10),
        ("roof tiles", (1.0, 1.0, 1.0), Pattern.TILES, 0.04, 0.7, 0, 0.25, True, -15),
        ("window", (0.02, 0.024, 0.028), Pattern.GLASS, 0.08, 0.05, 0, 0.10, True, -12),
        ("lit window", (0.03, 0.03, 0.03), Pattern.GLASS, 0.08, 0.05, 0.9, 0.10, True, -12),
        ("shop window", (0.05, 0.05, 0.05), Pattern.SHOP, 0.08, 0.05, 1.2, 0.10, True, -12),
        ("wood", (1.0, 1.0, 1.0), Pattern.WOOD, 0.03, 0.8, 0, 0.40, True, -20),
        ("metal", (0.25, 0.26, 0.27), Pattern.METAL, 0.25, 0.4, 0, 0.35, True, 0),
        ("painted metal", (1.0, 1.0, 1.0), Pattern.METAL, 0.05, 0.4, 0, 0.40, True, 0),
        ("sign", (1.0, 1.0, 1.0), Pattern.PLAIN, 0.06, 0.5, 0.05, 1.0, True, 0),
        ("leaves", (1.0, 1.0, 1.0), Pattern.LEAVES, 0.03, 0.6, 0, 0.45, True, -18),
        ("bark", (0.13, 0.10, 0.075), Pattern.BARK, 0.02, 0.9, 0, 0.30, True, -14),
        ("car paint", (1.0, 1.0, 1.0), Pattern.CAR_PAINT, 0.05, 0.12, 0, 0.35, True, 0),
        ("car glass", (0.012, 0.014, 0.016), Pattern.GLASS, 0.08, 0.04, 0, 0.06, True, -8),
        ("rubber", (0.022, 0.022, 0.023), Pattern.PLAIN, 0.03, 0.7, 0, 0.08, True, -10),
        ("plastic", (1.0, 1.0, 1.0), Pattern.PLAIN, 0.04, 0.5, 0, 0.20, True, -16),
        ("rim", (0.32, 0.33, 0.34), Pattern.METAL, 0.5, 0.3, 0, 0.45, True, 0),
        ("number plate", (0.7, 0.7, 0.66), Pattern.PLAIN, 0.05, 0.5, 0.05, 1.0, True, 0),
        ("head lamp", (0.85, 0.85, 0.8), Pattern.LAMP, 0.1, 0.1, 9.0, 0.80, True, 0),
        ("tail lamp", (0.45, 0.012, 0.012), Pattern.LAMP, 0.08, 0.1, 2.2, 0.90, True, 0),
        ("street lamp", (0.9, 0.85, 0.75), Pattern.LAMP, 0.05, 0.3, 14.0, 0.40, True, -3),
        # The shader knows signals by this emission: they are on by day too.
        ("signal light", (1.0, 1.0, 1.0), Pattern.LAMP, 0.05, 0.3, 2.5, 0.40, True, -3),
        ("fabric", (1.0, 1.0, 1.0), Pattern.FABRIC, 0.02, 0.9, 0, 0.40, True, -12),
        ("skin", (1.0, 1.0, 1.0), Pattern.PLAIN, 0.04, 0.6, 0, 0.45, True, -10),
        ("hair", (1.0, 1.0, 1.0), Pattern.FABRIC, 0.04, 0.6, 0, 0.20, True, -14),
        ("warning stripes", (1.0, 1.0, 1.0), Pattern.PLAIN, 0.05, 0.5, 0.03, 0.95, True, -14),
    )
)
"""All materials; a mesh's `materials` are indices into this tuple."""

INDEX: dict[str, int] = {material.name: index for index, material in enumerate(MATERIALS)}
"""The index of each material by its name."""
