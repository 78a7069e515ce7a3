"""Annotated 3-D boxes: at any time, what lies in them, and where a camera sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from lircdepth_core.camera import Camera

HOLD = 500_000
"""A box is continued this long (microseconds, one key frame) before its first and after its last
annotation, at the velocity it had there."""

_CORNERS = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]) / 2.0


@dataclass(frozen=True)
class Annotation:
    """One box of one thing at one key frame.

    Attributes:
        instance: which thing.
        category: nuScenes category.
        stamp: microseconds.
        centre: metres in the global frame.
        rotation: quaternion x, y, z, w from the box's axes to the global frame.
        size: length, width, height in metres, along the box's x, y and z.
    """

    instance: str
    category: str
    stamp: int
    centre: tuple[float, ...]
    rotation: tuple[float, float, float, float]
    size: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Boxes3D:
    """Boxes at one moment in one frame.

    Attributes:
        centre: (B, 3) metres.
        rotation: (B, 3, 3) from the boxes' axes to the frame.
        size: (B, 3) length, width, height in metres.
        category: (B,) str.
    """

    centre: np.ndarray
    rotation: np.ndarray
    size: np.ndarray
    category: np.ndarray

    def __len__(self) -> int:
        return len(self.centre)

    @staticmethod
    def of_annotations(annotations: Sequence[Annotation]) -> Boxes3D:
        """The boxes of annotations, in their order, in the global frame."""
        if not annotations:
            return Boxes3D(
                np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros(0, np.str_)
            )
        return Boxes3D(
            np.array([box.centre for box in annotations], np.float64),
            Rotation.from_quat([box.rotation for box in annotations]).as_matrix(),
            np.array([box.size for box in annotations], np.float64),
            np.array([box.category for box in annotations]),
        )

    def __getitem__(self, chosen: np.ndarray) -> Boxes3D:
        """Some of the boxes, by a mask or by indices."""
        return Boxes3D(
            self.centre[chosen], self.rotation[chosen], self.size[chosen], self.category[chosen]
        )

    def moved(self, transform: np.ndarray) -> Boxes3D:
        """The boxes in another frame; `transform` (4, 4) leads there."""
        turn = transform[:3, :3]
        centre = self.centre @ turn.T + transform[:3, 3]
        return Boxes3D(centre, turn @ self.rotation, self.size, self.category)

    def enlarged(self, margin: float) -> Boxes3D:
        """The boxes grown by a margin in metres on every side."""
        return Boxes3D(self.centre, self.rotation, self.size + 2 * margin, self.category)

    def corners(self) -> np.ndarray:
        """(B, 8, 3) metres."""
        offsets = _CORNERS * self.size[:, None]
        return self.centre[:, None] + offsets @ self.rotation.transpose(0, 2, 1)

    def first_containing(self, points: np.ndarray) -> np.ndarray:
        """For each point 1 + the index of the first box that it lies in, 0 for none.

        Args:
            points: (3, N) metres in the boxes' frame.
        """
        found = np.zeros(points.shape[1], np.int64)
        half = self.size / 2
        reach = np.linalg.norm(half, axis=1)
        for index in reversed(range(len(self))):
            centre = self.centre[index, :, None]
            near = np.abs(points[0] - centre[0]) <= reach[index]
            near &= np.abs(points[1] - centre[1]) <= reach[index]
            candidates = np.flatnonzero(near)
            local = self.rotation[index].T @ (points[:, candidates] - centre)
            inside = (np.abs(local) <= half[index, :, None]).all(axis=0)
            found[candidates[inside]] = index + 1
        return found

    def entry_depth(self, camera: Camera) -> np.ndarray:
        """Where each pixel's line of sight enters the first box; the boxes in the camera's frame.

        Returns:
            (H, W) float64 metres along the optical axis, +Inf where it meets no box.
        """
        entry = np.full((camera.height, camera.width), np.inf)
        for index, corners in enumerate(self.corners()):
            if (corners[:, 2] <= 0).all():
                continue
            rows, columns = _window(corners, camera)
            rays = _rays(camera, rows, columns)
            turn = self.rotation[index].T
            origin = (-turn @ self.centre[index])[:, None, None]
            direction = np.tensordot(turn, rays, 1)
            half = self.size[index][:, None, None] / 2
            # Slabs: the line of sight is inside the box between the last entry and first exit.
            with np.errstate(divide="ignore", invalid="ignore"):
                one, other = (-half - origin) / direction, (half - origin) / direction
            enter = np.minimum(one, other).max(axis=0)
            leave = np.maximum(one, other).min(axis=0)
            hit = (enter <= leave) & (leave > 0)
            part = entry[rows, columns]
            part[hit] = np.minimum(part[hit], np.maximum(enter[hit], 0))
        return entry


class BoxTracks:
    """Annotated boxes of a scene at any time: interpolated between key frames.

    Centres move on straight lines, rotations turn about a fixed axis at a constant rate (slerp);
    before the first and after the last annotation a thing moves on for `HOLD`, after which it is
    gone. A thing that was annotated once stands still.
    """

    def __init__(self, annotations: Iterable[Annotation]) -> None:
        things: dict[str, list[Annotation]] = {}
        for annotation in annotations:
            things.setdefault(annotation.instance, []).append(annotation)
        pairs, begin, end = [], [], []
        for boxes in things.values():
            boxes.sort(key=lambda box: box.stamp)
            links = list(pairwise(boxes)) or [(boxes[0], boxes[0])]
            pairs += links
            begin += [links[0][0].stamp - HOLD, *(first.stamp for first, _ in links[1:])]
            end += [*(last.stamp for _, last in links[:-1]), links[-1][1].stamp + HOLD]
        self._begin, self._end = np.array(begin, np.int64), np.array(end, np.int64)
        self._from = Boxes3D.of_annotations([first for first, _ in pairs])
        to = Boxes3D.of_annotations([last for _, last in pairs])
        self._stamp = np.array([first.stamp for first, _ in pairs], np.int64)
        self._duration = np.array([max(b.stamp - a.stamp, 1) for a, b in pairs], np.int64)
        self._shift = to.centre - self._from.centre
        turn = self._from.rotation.transpose(0, 2, 1) @ to.rotation
        self._turn = Rotation.from_matrix(turn).as_rotvec() if pairs else np.zeros((0, 3))

    def at(self, stamp: int) -> Boxes3D:
        """The boxes at a time in microseconds, global frame."""
        there = np.flatnonzero((self._begin <= stamp) & (stamp < self._end))
        boxes = self._from[there]
        if not len(there):
            return boxes
        share = ((stamp - self._stamp[there]) / self._duration[there])[:, None]
        turned = boxes.rotation @ Rotation.from_rotvec(share * self._turn[there]).as_matrix()
        centre = boxes.centre + share * self._shift[there]
        return Boxes3D(centre, turned, boxes.size, boxes.category)


def _window(corners: np.ndarray, camera: Camera) -> tuple[slice, slice]:
    """Rows and columns that hold a box; the whole image for one that reaches behind the camera."""
    if (corners[:, 2] <= 0).any():
        return slice(0, camera.height), slice(0, camera.width)
    uv, _ = camera.project(corners)
    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor(uv.min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(uv.max(axis=0)) + 1, 0, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _rays(camera: Camera, rows: slice, columns: slice) -> np.ndarray:
    """(3, h, w) directions of the lines of sight, 1 along the optical axis."""
    v, u = np.mgrid[rows, columns].astype(np.float64)
    K = camera.K
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)])
