"""Meshes on the graphics side: buffers, and which parts of the static scene a view needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from lircdepth_core.drive.light_shader import kind_of
from lircdepth_core.drive.materials import MATERIALS
from lircdepth_core.drive.world import Mesh

_CELL = 32.0
_KINDS = np.array([kind_of(material.pattern) for material in MATERIALS])


class Drawable:
    """A mesh in buffers.

    Args:
        context: the moderngl context.
        programs: the program that draws surfaces, and the one that draws from above.
        mesh: what to draw.
    """

    def __init__(self, context: Any, programs: tuple[Any, Any], mesh: Mesh) -> None:
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        self.middle = (low + high).astype(np.float64) / 2
        self.radius = float(np.linalg.norm(high - low) / 2)
        self._surface, self._above = _vertex_arrays(context, programs, mesh, mesh.faces)

    def draw(self) -> None:
        """Draw its surface."""
        self._surface.render()

    def draw_above(self) -> None:
        """Draw its height or shadow."""
        self._above.render()


class StaticScene:
    """The static mesh, cut into cells of the ground plan.

    Args:
        context: the moderngl context.
        programs: as for `Drawable`.
        mesh: in the world frame.
    """

    def __init__(self, context: Any, programs: tuple[Any, Any], mesh: Mesh) -> None:
        corners = mesh.vertices[mesh.faces]
        cell = np.floor(corners[..., :2].mean(axis=1) / _CELL).astype(np.int64)
        key = (cell[:, 0] - cell[:, 0].min()) * 100_000 + cell[:, 1] - cell[:, 1].min()
        order = np.argsort(key, kind="stable")
        _, first = np.unique(key[order], return_index=True)
        self._first = first
        self._end = np.append(first[1:], len(order))
        low, high = corners.min(axis=1)[order], corners.max(axis=1)[order]
        self._low = np.minimum.reduceat(low, first).astype(np.float64)
        self._high = np.maximum.reduceat(high, first).astype(np.float64)
        self._surface, self._above = _vertex_arrays(context, programs, mesh, mesh.faces[order])

    def draw_visible(self, planes: np.ndarray) -> None:
        """Draw the surface of the cells that lie on the inner side of all planes (P, 4)."""
        # The corner of each cell's box that lies farthest along the plane decides.
        farthest = np.where(planes[:, None, :3] > 0, self._high, self._low)
        inside = (farthest * planes[:, None, :3]).sum(axis=-1) + planes[:, 3:] > 0
        self._draw(self._surface, inside.all(axis=0))

    def draw_near(self, centre: np.ndarray, reach: float) -> None:
        """Draw the cells that come within `reach` metres of a place, from above."""
        near = (self._low[:, :2] < centre[:2] + reach) & (self._high[:, :2] > centre[:2] - reach)
        self._draw(self._above, near.all(axis=1))

    def _draw(self, vertex_array: Any, chosen: np.ndarray) -> None:
        """Draw cells, neighbours in the buffer at once."""
        index = np.flatnonzero(chosen)
        if not len(index):
            return
        breaks = np.flatnonzero(np.diff(index) != 1)
        for a, b in zip(np.append(0, breaks + 1), np.append(breaks, len(index) - 1), strict=True):
            first, end = self._first[index[a]], self._end[index[b]]
            vertex_array.render(vertices=int(end - first) * 3, first=int(first) * 3)


def _vertex_arrays(
    context: Any, programs: tuple[Any, Any], mesh: Mesh, faces: np.ndarray
) -> tuple[Any, Any]:
    """Vertex arrays for both programs; a vertex has the material of the faces it belongs to."""
    count = len(mesh.vertices)
    vertices = np.zeros(
        count, dtype=[("place", "<f4", 3), ("normal", "<f2", 4), ("paint", "u1", 4)]
    )
    vertices["place"] = mesh.vertices
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    normal = np.cross(b - a, c - a).astype(np.float64)
    index = mesh.faces.ravel()
    sums = np.stack([np.bincount(index, normal[:, k].repeat(3), count) for k in range(3)], axis=-1)
    length = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    vertices["normal"][:, :3] = sums / length
    vertices["normal"][index, 3] = _KINDS[mesh.materials].repeat(3)
    tints = np.round(np.clip(mesh.tints, 0, 1) * 255).astype(np.uint8).repeat(3, axis=0)
    vertices["paint"][index, :3] = tints
    vertices["paint"][index, 3] = mesh.materials.repeat(3)
    buffer = context.buffer(vertices.tobytes())
    order = context.buffer(np.ascontiguousarray(faces, dtype=np.int32).tobytes())
    surface = context.vertex_array(
        programs[0], [(buffer, "3f 4f2 4f1", "in_place", "in_normal", "in_paint")], order
    )
    above = context.vertex_array(programs[1], [(buffer, "3f 12x", "in_place")], order)
    return surface, above
