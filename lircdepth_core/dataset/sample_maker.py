"""Makes the samples of one scene, exactly as the published training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.box_tracks import Boxes3D
from lircdepth_core.dataset.data_files import (
    read_bytes,
    read_image,
    read_returns,
    reading_files,
)
from lircdepth_core.dataset.depth_maps import accumulate, interpolate, single_scan
from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_exact, encode_sample
from lircdepth_core.dataset.scene_tables import LIDAR, KeyFrame, Measurement, Scene
from lircdepth_core.dataset.static_lidar import StaticLidar
from lircdepth_core.errors import InputError
from lircdepth_core.poses import inverse_pose
from lircdepth_core.radar import RadarReturns

OBJECT_CLASSES = (
    "vehicle.car",
    "vehicle.motorcycle",
    "vehicle.bicycle",
    "vehicle.bus",
    "vehicle.truck",
    "vehicle.trailer",
    "human.pedestrian.adult",
)
"""Things that get a 2-D box; `vehicle.bus` stands for its sub-categories too."""

MAX_BOXES = 35
"""More boxes than this are left out, the farthest first."""


class SampleMaker:
    """Makes samples of one scene.

    Args:
        dataroot: root of the data set.
        scene: its tables.
        options: what to make.

    Raises:
        InputError: a sweep's file cannot be looked at.
    """

    def __init__(self, dataroot: Path, scene: Scene, options: PrepareOptions) -> None:
        self._dataroot = dataroot
        self._scene = scene
        self._options = options
        channels = len(options.cameras) if options.masks else 1
        keep = (2 * options.sweeps + 1) * channels
        with reading_files():
            self._lidar = StaticLidar(dataroot, scene, options.masks, keep)

    def files(self, frame: KeyFrame, channel: str) -> dict[str, bytes]:
        """The files of one sample, as `encode_sample` gives them.

        Raises:
            InputError: a file is missing or damaged, or an image has not the size of the tables.
        """
        with reading_files():
            return self._files(frame, channel)

    def _files(self, frame: KeyFrame, channel: str) -> dict[str, bytes]:
        image_row = frame.measurements[channel]
        camera = image_row.camera
        if camera is None:
            raise InputError(
                f"sample {frame.token}: its {channel} is no camera; unpack the tables again"
            )
        jpeg, image = read_image(self._dataroot / image_row.file, camera)
        camera_from_global = inverse_pose(image_row.global_from_sensor)
        boxes, rectangles = objects_in_view(frame.boxes.moved(camera_from_global), camera)

        lidar = frame.measurements[LIDAR]
        scan = single_scan(
            self._lidar.sweep(frame.lidar_sweep),
            camera_from_global @ lidar.global_from_sensor,
            camera,
        )
        accumulated = dense = exact = None
        if not {"accumulated", "dense"} <= set(self._options.leave_out):
            accumulated = self._accumulated(frame, channel, camera_from_global, scan)
        if "dense" not in self._options.leave_out:
            assert accumulated is not None
            dense = interpolate(accumulated)
        if "exact" not in self._options.leave_out:
            exact = self._exact(image_row, camera)
        sample = Sample(
            key=f"{self._scene.name}/{frame.token}/{channel}",
            scene=self._scene.name,
            channel=channel,
            stamp=image_row.stamp,
            image=image,
            camera=camera,
            radar=self._radar(frame, channel, camera, camera_from_global, boxes),
            single_scan=scan,
            accumulated=None if "accumulated" in self._options.leave_out else accumulated,
            dense=dense,
            exact=None,
            boxes=rectangles,
            conditions=self._scene.conditions,
            annotated=self._scene.annotated,
        )
        return encode_sample(sample, jpeg=jpeg, exact=exact)

    def _exact(self, row: Measurement, camera: Camera) -> bytes | None:
        """The exact depth's file, where the data set has one."""
        path = exact_file(self._dataroot, row)
        if not path.is_file():
            return None
        data = read_bytes(path)
        try:
            depth = decode_exact(data)
        except ValueError as error:
            raise InputError(f"{path}: {error}; generate it again") from error
        if depth.shape != (camera.height, camera.width):
            raise InputError(f"{path}: of shape {depth.shape}, not the image's; generate it again")
        return data

    def _radar(
        self,
        frame: KeyFrame,
        channel: str,
        camera: Camera,
        camera_from_global: np.ndarray,
        boxes: Boxes3D,
    ) -> np.ndarray:
        """(M, 7) float32 of `RADAR_COLUMNS`."""
        rows = [frame.measurements[radar] for radar in self._options.radars_of(channel)]
        parts = [
            read_returns(
                self._dataroot / row.file,
                camera_from_global @ row.global_from_sensor,
                row.stamp * 1e-6,
                self._options.radar_filters,
            )
            for row in rows
        ]
        moved = RadarReturns.concatenate(parts)
        seen = moved.visible_in(camera)
        box = boxes.first_containing(moved.position[seen.kept].T)
        columns = (seen.uv, seen.depth, seen.rcs, seen.velocity, box)
        return np.column_stack(columns).astype(np.float32)

    def _accumulated(
        self, frame: KeyFrame, channel: str, camera_from_global: np.ndarray, scan: np.ndarray
    ) -> np.ndarray:
        image = frame.measurements[channel]
        assert image.camera is not None
        own, reach = frame.lidar_sweep, self._options.sweeps
        last = min(own + reach, len(self._scene.lidar) - 1)
        sweeps = (
            (
                self._lidar.points(index, channel),
                camera_from_global @ self._scene.lidar[index].global_from_sensor,
            )
            for index in range(max(own - reach, 0), last + 1)
            if index != own
        )
        blocked_from = self._lidar.blocked_from(image, channel)
        return accumulate(scan, sweeps, blocked_from, image.camera)


def exact_file(dataroot: Path, image: Measurement) -> Path:
    """Where a generated data set has the exact depth of an image."""
    path = Path(image.file)
    return dataroot / "depth" / path.parent.name / f"{path.stem}.npz"


def objects_in_view(boxes: Boxes3D, camera: Camera) -> tuple[Boxes3D, np.ndarray]:
    """The boxes of the seven classes that a camera sees, nearest first, at most `MAX_BOXES`.

    In view is, as in the devkit's `box_in_image` (ANY), a box with every corner in front of the
    camera (> 0.1 m) and one inside the image at more than 1 m; its rectangle is the corners'
    extent. In view is besides what the devkit drops though a pixel shows it: a box that reaches
    behind the camera, or is larger than the image; its rectangle are those pixels' extent.

    Args:
        boxes: in the camera's optical frame.
        camera: the camera.

    Returns:
        The boxes, and (B, 4) float32 x1, y1, x2, y2, cut at the image's edge.
    """
    wanted = [
        any(name == kind or name.startswith(f"{kind}.") for kind in OBJECT_CLASSES)
        for name in boxes.category
    ]
    boxes = boxes[np.array(wanted, bool)]
    uv, depth = camera.project(boxes.corners())
    uv, depth = uv.reshape(-1, 8, 2), depth.reshape(-1, 8)
    size = np.array([camera.width, camera.height])
    with np.errstate(invalid="ignore"):
        inside = ((uv > 0) & (uv < size)).all(axis=2) & (depth > 1)
    ahead = (depth > 0.1).all(axis=1)
    seen = inside.any(axis=1) & ahead
    low, high = uv.min(axis=1), uv.max(axis=1)
    may_be_seen = (depth > 1).any(axis=1) & ~seen
    may_be_seen &= ~ahead | ((low < size) & (high > 0)).all(axis=1)
    for index in np.flatnonzero(may_be_seen):
        entry = boxes[np.array([index])].entry_depth(camera)
        rows, columns = np.nonzero((entry > 0) & np.isfinite(entry))
        if len(rows):
            seen[index] = True
            low[index], high[index] = (columns.min(), rows.min()), (columns.max(), rows.max())
    chosen = np.flatnonzero(seen)
    chosen = chosen[np.argsort(boxes.centre[chosen, 2], kind="stable")][:MAX_BOXES]
    rectangles = np.hstack([np.clip(low[chosen], 0, size - 1), np.clip(high[chosen], 0, size - 1)])
    return boxes[chosen], rectangles.astype(np.float32)
