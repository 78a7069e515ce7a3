"""What rays meet in the world at a time: Embree traces them, for lidar, radar and annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lircdepth_core.drive.world import Mesh, Thing, World
from lircdepth_core.errors import InputError

SCENERY = -1
"""`Hits.thing` of the ground, buildings and all else that is no thing, and of rays that miss."""


@dataclass(frozen=True, eq=False)
class Hits:
    """The first surface that each of N rays meets.

    Attributes:
        distance: (N,) float32 metres, +inf where there is none.
        thing: (N,) int32 index into `World.things`, `SCENERY` for the rest.
        material: (N,) int32 index into `MATERIALS`, -1 where nothing is met.
        normal: (N, 3) float32 unit normal on the ray's side, 0 where nothing is met.
    """

    distance: np.ndarray
    thing: np.ndarray
    material: np.ndarray
    normal: np.ndarray


class RayCaster:
    """A world made ready for rays: what stands still is built once, what moves for each time."""

    def __init__(self, world: World) -> None:
        """Build the standing part.

        Raises:
            InputError: embreex is not installed.
        """
        self._world = world
        self._moving = [index for index, thing in enumerate(world.things) if thing.moves]
        standing = [index for index, thing in enumerate(world.things) if not thing.moves]
        self._standing = _Surface(
            [world.static, *(_placed(world.things[index], 0.0) for index in standing)],
            [SCENERY, *standing],
        )

    def at(self, time: float) -> Moment:
        """The world at a time, in seconds since its start."""
        meshes = [_placed(self._world.things[index], time) for index in self._moving]
        return Moment([self._standing, _Surface(meshes, self._moving)])

    def alone(self, thing: Thing) -> Moment:
        """A thing by itself, in its object frame."""
        return Moment([_Surface([thing.mesh], [0])])


class Moment:
    """A world that stands still for one shot of a sensor."""

    def __init__(self, surfaces: Sequence[_Surface]) -> None:
        self._surfaces = [surface for surface in surfaces if surface.triangles]

    def cast(self, origins: np.ndarray, directions: np.ndarray, reach: float = np.inf) -> Hits:
        """Trace rays.

        Args:
            origins: (3,) or (N, 3) in metres.
            directions: (N, 3) of unit length.
            reach: metres beyond which nothing is met.

        Returns:
            What each ray meets first.
        """
        directions = np.ascontiguousarray(directions, dtype=np.float32)
        count = len(directions)
        origins = np.ascontiguousarray(np.broadcast_to(origins, (count, 3)), dtype=np.float32)
        distance = np.full(count, min(reach, 1e6), dtype=np.float32)
        thing = np.full(count, SCENERY, dtype=np.int32)
        material = np.full(count, -1, dtype=np.int32)
        normal = np.zeros((count, 3), dtype=np.float32)
        for surface in self._surfaces if count else []:
            found = surface.scene.run(origins, directions, dists=distance, output=True)
            hit = found["primID"] >= 0
            face = found["primID"][hit]
            distance = np.where(hit, found["tfar"], distance)
            thing[hit] = surface.thing[face]
            material[hit] = surface.material[face]
            normal[hit] = found["Ng"][hit]
        length = np.linalg.norm(normal, axis=1)
        length *= np.where((normal * directions).sum(axis=1) > 0, -1, 1)
        normal /= np.where(length == 0, 1, length)[:, None]
        return Hits(np.where(material < 0, np.inf, distance), thing, material, normal)


class _Surface:
    """Triangles in an Embree scene, with the thing and the material of each."""

    def __init__(self, meshes: Sequence[Mesh], things: Sequence[int]) -> None:
        self.triangles = sum(len(mesh.faces) for mesh in meshes)
        self.scene: Any = None
        if not self.triangles:
            return
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise InputError(
                f"{error.name} is not installed; run: pip install 'lircdepth[drive]'"
            ) from error
        counts = [len(mesh.vertices) for mesh in meshes]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        faces = np.concatenate(
            [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
        )
        self.material = np.concatenate([mesh.materials for mesh in meshes]).astype(np.int32)
        self.thing = np.repeat(
            np.array(things, dtype=np.int32), [len(mesh.faces) for mesh in meshes]
        )
        self.scene = EmbreeScene(robust=True)
        TriangleMesh(
            self.scene,
            np.ascontiguousarray(vertices, dtype=np.float32),
            np.ascontiguousarray(faces, dtype=np.int32),
        )


def _placed(thing: Thing, time: float) -> Mesh:
    """A thing's mesh in the world frame at a time."""
    pose = thing.pose(time)
    vertices = thing.mesh.vertices @ pose[:3, :3].T + pose[:3, 3]
    return replace(thing.mesh, vertices=vertices)
