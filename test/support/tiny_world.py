"""A world of a few boxes on flat ground, and a camera that needs no graphics for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive.drive_settings import Makers
from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.world import Conditions, Mesh, Thing, World

CLEAR = Conditions("clear", "day", 0.5, 0.8, np.inf)
EGO_SPEED = 10.0
START = (500.0, 400.0)


def block(low: Sequence[float], high: Sequence[float], material: str) -> Mesh:
    """An axis-aligned box from its lowest to its highest corner."""
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = np.array([[a, b, c] for a, b, c, d in sides] + [[a, c, d] for a, b, c, d in sides])
    vertices = np.asarray(low) + unit * (np.asarray(high) - np.asarray(low))
    return Mesh(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        np.full(12, INDEX[material], dtype=np.int32),
        np.ones((12, 3), dtype=np.float32),
    )


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + s for mesh, s in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.materials for mesh in meshes]),
        np.concatenate([mesh.tints for mesh in meshes]),
    )


def placed(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    """(4, 4) of something on the ground; x, y from the vehicle's place at the start."""
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = START[0] + x, START[1] + y
    return pose


def car(
    x: float, y: float, *, speed: float = 0.0, yaw: float = 0.0, clearance: float = 0.2
) -> Thing:
    """A car of 1.8 x 4.4 x 1.5 m at x, y ahead of and left of where the vehicle starts."""

    def pose(time: float) -> np.ndarray:
        way = speed * time
        return placed(x + way * np.cos(yaw), y + way * np.sin(yaw), yaw)

    return Thing(
        category="vehicle.car",
        size=(1.8, 4.4, 1.5),
        mesh=block((-2.2, -0.9, clearance), (2.2, 0.9, 1.5), "car paint"),
        pose=pose,
        velocity=lambda time: speed * np.array([np.cos(yaw), np.sin(yaw), 0.0]),
        attribute=lambda time: "vehicle.moving" if speed else "vehicle.parked",
        moves=speed != 0,
    )


def tiny_world(
    things: Sequence[Thing] = (),
    *,
    duration: float = 1.3,
    static: Sequence[Mesh] = (),
    conditions: Conditions = CLEAR,
    speed: float = EGO_SPEED,
) -> World:
    """Flat ground, whatever is given, and a vehicle that drives along x."""
    x, y = START
    ground = block((x - 300, y - 300, -1), (x + 300, y + 300, 0), "asphalt")
    return World(
        seed=7,
        duration=duration,
        static=joined([ground, *static]),
        things=tuple(things),
        ego_pose=lambda time: placed(speed * time, 0.0),
        conditions=conditions,
        lamps=(),
    )


def street_block(x: float, y: float, size: Sequence[float], material: str = "brick") -> Mesh:
    """A standing block with its near right lower corner at x, y from the start."""
    low = np.array([START[0] + x, START[1] + y, 0.0])
    return block(low, low + np.asarray(size), material)


class RayCamera:
    """Renders by ray casting: grey images, exact depth."""

    def __init__(self, world: World, width: int = 0, height: int = 0) -> None:
        self._caster = RayCaster(world)

    def __enter__(self) -> RayCamera:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def render(
        self, camera: Camera, world_from_camera: np.ndarray, time: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        K = camera.K
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(u.shape)], -1)
        rays = rays.reshape(-1, 3)
        length = np.linalg.norm(rays, axis=1, keepdims=True)
        directions = (rays / length) @ world_from_camera[:3, :3].T
        hits = self._caster.at(time).cast(world_from_camera[:3, 3], directions)
        depth = (hits.distance / length[:, 0]).reshape(u.shape).astype(np.float32)
        shade = (60 + 100 * np.abs(hits.normal)).astype(np.uint8)
        return shade.reshape(*u.shape, 3), depth


def tiny_street(seed: int, duration: float, conditions: Conditions) -> World:
    """A street between two walls with cars that drive ahead, come towards us, hide and park."""
    shift = seed % 7
    return replace(
        tiny_world(
            [
                car(25, 0, speed=10),
                car(45, 0.3, speed=12),
                car(40, -3.5, speed=8, yaw=np.pi),
                car(16 + shift, 3.5),
                car(-25, 12.5),
            ],
            duration=duration,
            static=[
                street_block(5, 8, (60, 2, 8)),
                street_block(5, -14, (60, 5, 8), "concrete"),
                street_block(85, -30, (5, 60, 20)),
            ],
            conditions=conditions,
        ),
        seed=seed,
    )


MAKERS = Makers(tiny_street, RayCamera)
