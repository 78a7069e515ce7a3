"""What a generated drive consists of: geometry, moving things, the ego vehicle and the weather.

World frame: x east, y north, z up, metres; nuScenes' global frame. Object frame: x forward, y
left, z up, origin at the centre of the object's box on its ground, z = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a material each.

    Attributes:
        vertices: (V, 3) float32, metres.
        faces: (F, 3) int32, anticlockwise seen from outside.
        materials: (F,) int32, indices into `lircdepth_core.drive.materials.MATERIALS`.
        tints: (F, 3) float32 linear RGB, times the material's colour.

    Faces that share a vertex are of one material and shaded smoothly across it.
    """

    vertices: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    tints: np.ndarray


@dataclass(frozen=True, eq=False)
class Thing:
    """An object of its own: a vehicle, a person, a barrier; annotated if it has a category.

    Attributes:
        category: nuScenes category such as `vehicle.car`; None: scenery that is not annotated.
        size: width, length, height of its box in metres, as nuScenes orders them.
        mesh: its surface in the object frame.
        pose: seconds since the scene's start -> (4, 4) world_from_object.
        velocity: seconds -> (3,) m/s in the world frame.
        attribute: seconds -> nuScenes attribute such as `vehicle.moving`; "" for none.
        moves: whether it ever moves in this scene.
    """

    category: str | None
    size: tuple[float, float, float]
    mesh: Mesh
    pose: Callable[[float], np.ndarray]
    velocity: Callable[[float], np.ndarray]
    attribute: Callable[[float], str]
    moves: bool


@dataclass(frozen=True)
class Conditions:
    """Weather and light of a scene.

    Attributes:
        weather: `clear`, `overcast`, `rain` or `fog`.
        light: `day`, `dusk` or `night`.
        sun_azimuth: radians, anticlockwise from x.
        sun_elevation: radians above the horizon.
        visibility: metres at which contrast falls to 5 % (Koschmieder); inf in clear air.
    """

    weather: str
    light: str
    sun_azimuth: float
    sun_elevation: float
    visibility: float


@dataclass(frozen=True, eq=False)
class Lamp:
    """A light that is on at dusk and night: position (3,) in the world frame, colour RGB 0..1."""

    position: np.ndarray
    colour: tuple[float, float, float]
    range: float


@dataclass(frozen=True, eq=False)
class World:
    """One scene.

    Attributes:
        seed: what everything follows from.
        duration: seconds.
        static: ground, buildings, vegetation and all else that stands still, in the world frame.
        things: parked and moving objects.
        ego_pose: seconds -> (4, 4) world_from_ego; ego frame as nuScenes: on the ground below the
            rear axle's middle, x forward.
        conditions: weather and light.
        lamps: street lamps.
    """

    seed: int
    duration: float
    static: Mesh
    things: tuple[Thing, ...]
    ego_pose: Callable[[float], np.ndarray]
    conditions: Conditions
    lamps: tuple[Lamp, ...]
