"""Puts meshes together from simple bodies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.world import Mesh

Vector = Sequence[float] | np.ndarray
Colour = Vector
"""Linear RGB."""

WHITE: Colour = (1.0, 1.0, 1.0)

_BOX_CORNERS = np.array(
    [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], dtype=np.float64
)
# Corner numbers are 4 x + 2 y + z; anticlockwise seen from outside: -x +x -y +y -z +z.
_BOX_SIDES = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


class MeshBuilder:
    """Collects triangles; `mesh` returns them."""

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._materials: list[np.ndarray] = []
        self._tints: list[np.ndarray] = []
        self._count = 0

    def mesh(self) -> Mesh:
        """All that was added."""
        if not self._vertices:
            return merged([])
        return Mesh(
            np.concatenate(self._vertices).astype(np.float32),
            np.concatenate(self._faces).astype(np.int32),
            np.concatenate(self._materials),
            np.concatenate(self._tints),
        )

    def add(self, vertices: np.ndarray, faces: np.ndarray, material: str, tint: Colour) -> None:
        """Add triangles: vertices (V, 3), faces (F, 3), tint one colour or (F, 3)."""
        count = len(faces)
        self._vertices.append(np.asarray(vertices, dtype=np.float64).reshape(-1, 3))
        self._faces.append(np.asarray(faces).reshape(-1, 3) + self._count)
        self._materials.append(np.full(count, INDEX[material], dtype=np.int32))
        self._tints.append(np.broadcast_to(np.asarray(tint, dtype=np.float32), (count, 3)))
        self._count += len(self._vertices[-1])

    def add_mesh(self, mesh: Mesh, matrix: np.ndarray | None = None) -> None:
        """Add a mesh, moved by a (4, 4) matrix."""
        if matrix is not None:
            mesh = transformed(mesh, matrix)
        self._vertices.append(np.asarray(mesh.vertices, dtype=np.float64))
        self._faces.append(mesh.faces + self._count)
        self._materials.append(mesh.materials)
        self._tints.append(mesh.tints)
        self._count += len(mesh.vertices)

    def quads(self, corners: np.ndarray, material: str, tint: Colour = WHITE) -> None:
        """Add flat quadrilaterals (N, 4, 3), anticlockwise; tint one colour or (N, 3)."""
        corners = np.asarray(corners, dtype=np.float64).reshape(-1, 4, 3)
        first = 4 * np.arange(len(corners))[:, None, None]
        faces = (first + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
        tints = np.asarray(tint, dtype=np.float32)
        if tints.ndim == 2:
            tints = tints.repeat(2, axis=0)
        self.add(corners.reshape(-1, 3), faces, material, tints)

    def box(
        self,
        centre: Vector,
        size: Vector,
        material: str,
        tint: Colour = WHITE,
        yaw: float = 0.0,
        taper: float = 1.0,
    ) -> None:
        """Add an upright box; `taper` is the size of its top relative to its bottom."""
        corners = _BOX_CORNERS * size
        corners[corners[:, 2] > 0, :2] *= taper
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        self.quads((corners @ turn.T + np.asarray(centre))[_BOX_SIDES], material, tint)

    def loft(
        self,
        rings: np.ndarray,
        material: str,
        tint: Colour = WHITE,
        *,
        caps: bool = True,
    ) -> None:
        """Add a smooth skin over closed rings (R, P, 3), anticlockwise seen against the direction
        in which they follow each other, closed flatly at both ends if `caps`.
        """
        rings = np.asarray(rings, dtype=np.float64)
        count, points = rings.shape[:2]
        i, j = np.meshgrid(np.arange(count - 1), np.arange(points), indexing="ij")
        a, b = i * points + j, i * points + (j + 1) % points
        c, d = b + points, a + points
        faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], -2).reshape(-1, 3)
        self.add(rings.reshape(-1, 3), faces, material, tint)
        if caps:
            cap_tint = WHITE if np.ndim(tint) == 2 else tint
            fan = np.array([[0, k, k + 1] for k in range(1, points - 1)])
            self.add(rings[-1], fan, material, cap_tint)
            self.add(rings[0], fan[:, ::-1], material, cap_tint)

    def tube(
        self,
        path: np.ndarray,
        radius: float | Vector,
        material: str,
        tint: Colour = WHITE,
        sides: int = 8,
    ) -> None:
        """Add a round tube along a path (N, 3), of one radius or one at each point."""
        path = np.asarray(path, dtype=np.float64)
        along = np.gradient(path, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        aside = np.array([1.0, 0, 0]) if abs(along[0, 0]) < 0.8 else np.array([0, 1.0, 0])
        side = np.cross(along, aside)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        up = np.cross(along, side)
        angle = np.arange(sides) * 2 * np.pi / sides
        circle = side[:, None] * np.cos(angle)[:, None] + up[:, None] * np.sin(angle)[:, None]
        radii = np.broadcast_to(radius, len(path))[:, None, None]
        self.loft(path[:, None] + radii * circle, material, tint)

    def ball(
        self,
        centre: Vector,
        radii: Vector,
        material: str,
        tint: Colour = WHITE,
        sides: int = 8,
    ) -> None:
        """Add an ellipsoid with half axes `radii`."""
        polar = np.linspace(0, np.pi, sides // 2 + 1)
        azimuth = np.arange(sides) * 2 * np.pi / sides
        polar[[0, -1]] += (0.02, -0.02)
        rings = np.stack(
            [
                np.sin(polar)[:, None] * np.cos(azimuth),
                np.sin(polar)[:, None] * np.sin(azimuth),
                np.broadcast_to(-np.cos(polar)[:, None], (len(polar), sides)),
            ],
            axis=-1,
        )
        self.loft(rings * radii + np.asarray(centre), material, tint, caps=False)


def transformed(mesh: Mesh, matrix: np.ndarray) -> Mesh:
    """A mesh moved by a (4, 4) matrix."""
    vertices = mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return Mesh(vertices.astype(np.float32), mesh.faces, mesh.materials, mesh.tints)


def merged(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of several."""
    meshes = list(meshes)
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    empty = np.zeros((0, 3))
    return Mesh(
        np.concatenate([empty, *(mesh.vertices for mesh in meshes)]).astype(np.float32),
        np.concatenate(
            [empty, *(mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=False))]
        ).astype(np.int32),
        np.concatenate([np.zeros(0), *(mesh.materials for mesh in meshes)]).astype(np.int32),
        np.concatenate([empty, *(mesh.tints for mesh in meshes)]).astype(np.float32),
    )
