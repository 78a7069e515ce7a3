"""What rays meet in the world at a time: Embree traces them, for lidar, radar and annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lircdepth_core.drive.world import Mesh, Thing, World
from lircdepth_core.errors import InputError
from lircdepth_core.extras import not_installed

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
    """A world made ready for rays: surfaces are built once, things that move are placed later."""

    def __init__(self, world: World) -> None:
        """Build the surfaces.

        Raises:
            InputError: embreex is not installed.
        """
        self._things = world.things
        self._alone = [_Surface([thing.mesh], [index]) for index, thing in enumerate(world.things)]
        standing = [index for index, thing in enumerate(world.things) if not thing.moves]
        self._standing = _Surface(
            [world.static, *(_placed(world.things[index], 0.0) for index in standing)],
            [SCENERY, *standing],
        )
        self._moving = [index for index, thing in enumerate(world.things) if thing.moves]
        spheres = [_bounding_sphere(world.things[index].mesh) for index in self._moving]
        self._centers = np.array([center for center, _ in spheres]).reshape(-1, 3)
        self._radii = np.array([radius for _, radius in spheres])

    def at(self, time: float) -> Moment:
        """The world at a time, in seconds since its start."""
        poses = np.array([self._things[index].pose(time) for index in self._moving])
        poses = poses.reshape(-1, 4, 4)
        centers = np.einsum("nij,nj->ni", poses[:, :3, :3], self._centers) + poses[:, :3, 3]
        surfaces = [self._alone[index] for index in self._moving]
        return Moment(self._standing, surfaces, poses, centers, self._radii)

    def alone(self, index: int, pose: np.ndarray) -> Moment:
        """One of the world's things by itself, at a pose (4, 4)."""
        center, radius = _bounding_sphere(self._things[index].mesh)
        center = pose[:3, :3] @ center + pose[:3, 3]
        return Moment(None, [self._alone[index]], pose[None], center[None], np.array([radius]))


class Moment:
    """A world that stands still for one shot of a sensor."""

    def __init__(
        self,
        standing: _Surface | None,
        placed: Sequence[_Surface],
        poses: np.ndarray,
        centers: np.ndarray,
        radii: np.ndarray,
    ) -> None:
        """Take what stands, and N surfaces in frames of their own with their poses (N, 4, 4) and
        their bounding spheres: centres (N, 3) in the world frame, radii (N,).
        """
        self._standing = standing
        self._placed = placed
        self._poses = poses
        self._centers = centers
        self._radii = radii

    def cast(self, origins: np.ndarray, directions: np.ndarray, reach: float = np.inf) -> Hits:
        """Trace rays.

        Args:
            origins: (3,) or (N, 3) in metres.
            directions: (N, 3) of unit length.
            reach: metres beyond which nothing is met.

        Returns:
            What each ray meets first.
        """
        count = len(directions)
        directions = np.ascontiguousarray(directions, dtype=np.float32)
        rays = _Rays(count, min(reach, 1e6))
        if not count:
            return rays.hits(directions)
        everywhere = np.broadcast_to(origins, (count, 3)).astype(np.float32)
        if self._standing:
            rays.meet(self._standing, np.arange(count), everywhere, directions)
        for index, chosen in self._candidates(np.atleast_2d(origins), directions, reach):
            axes, place = self._poses[index, :3, :3], self._poses[index, :3, 3]
            local_origins = ((everywhere[chosen] - place) @ axes).astype(np.float32)
            local_directions = (directions[chosen] @ axes).astype(np.float32)
            rays.meet(self._placed[index], chosen, local_origins, local_directions, axes)
        return rays.hits(directions)

    def _candidates(
        self, origins: np.ndarray, directions: np.ndarray, reach: float
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Each placed surface that rays may meet, with those that pass through its sphere."""
        # Relative to a place near by, single precision is enough.
        near = np.asarray(origins - origins[0], dtype=np.float32)
        centers = self._centers - origins[0]
        radii = self._radii * 1.01 + 0.05
        spread = np.linalg.norm(near, axis=1).max()
        distance = np.linalg.norm(centers, axis=1)
        inside = distance < reach + radii + spread
        if len(near) == 1:
            # A radar looks one way: leave out what lies outside the cone of all rays.
            axis = directions.mean(axis=0)
            axis /= max(float(np.linalg.norm(axis)), 1e-6)
            cone = np.arccos(np.clip((directions @ axis).min(), -1, 1))
            off = np.arccos(np.clip(centers @ axis / np.maximum(distance, 1e-6), -1, 1))
            inside &= (
                off < cone + np.arcsin(np.clip(radii / np.maximum(distance, 1e-6), 0, 1)) + 0.01
            )
            inside |= distance < radii
        within = np.flatnonzero(inside)
        centers, radii = (values[within].astype(np.float32) for values in (centers, radii))
        along = centers @ directions.T
        squared = (centers**2).sum(axis=1)[:, None]
        if len(near) > 1:
            along -= (near * directions).sum(axis=1)
            squared = squared - 2 * centers @ near.T + (near**2).sum(axis=1)
        # Nearer to the centre than the radius where they pass it; ahead, or the origin is inside.
        passes = np.square(along) > squared - radii[:, None] ** 2
        passes &= along > -radii[:, None]
        for index, row in zip(within, passes, strict=True):
            chosen = np.flatnonzero(row)
            if len(chosen):
                yield int(index), chosen


class _Rays:
    """What N rays have met so far."""

    def __init__(self, count: int, reach: float) -> None:
        self._distance = np.full(count, reach, dtype=np.float32)
        self._thing = np.full(count, SCENERY, dtype=np.int32)
        self._material = np.full(count, -1, dtype=np.int32)
        self._normal = np.zeros((count, 3), dtype=np.float32)

    def meet(
        self,
        surface: _Surface,
        chosen: np.ndarray,
        origins: np.ndarray,
        directions: np.ndarray,
        axes: np.ndarray | None = None,
    ) -> None:
        """Let the chosen rays, given in the surface's frame, meet it; `axes` turns normals back."""
        found = surface.scene.run(
            np.ascontiguousarray(origins),
            np.ascontiguousarray(directions),
            dists=self._distance[chosen],
            output=True,
        )
        hit = found["primID"] >= 0
        face, chosen, normal = found["primID"][hit], chosen[hit], found["Ng"][hit]
        self._distance[chosen] = found["tfar"][hit]
        self._thing[chosen] = surface.thing[face]
        self._material[chosen] = surface.material[face]
        self._normal[chosen] = normal if axes is None else normal @ axes.T

    def hits(self, directions: np.ndarray) -> Hits:
        """The result; normals are made unit and turned to the rays' side."""
        length = np.linalg.norm(self._normal, axis=1)
        length *= np.where((self._normal * directions).sum(axis=1) > 0, -1, 1)
        normal = self._normal / np.where(length == 0, 1, length)[:, None]
        distance = np.where(self._material < 0, np.float32(np.inf), self._distance)
        return Hits(distance, self._thing, self._material, normal)


class _Surface:
    """Triangles in an Embree scene, with the thing and the material of each."""

    def __init__(self, meshes: Sequence[Mesh], things: Sequence[int]) -> None:
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise InputError(not_installed("embreex", "drive")) from error
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
        self.scene: Any = EmbreeScene(robust=True)
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


def _bounding_sphere(mesh: Mesh) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of a sphere around a mesh."""
    center = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    return center, float(np.linalg.norm(mesh.vertices - center, axis=1).max())
