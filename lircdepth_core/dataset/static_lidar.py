"""Lidar sweeps without what moves, for accumulation into images of other times.

With boxes, a sweep's points in a movable thing's box at the sweep's own time are left out, and a
point hidden by such a box at the image's time is not drawn. With masks, a sweep's points count if
the camera's image nearest in time shows them outside its mask, and nothing is drawn on the mask of
the image itself. The vehicle's own points are left out.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import median_filter

from lircdepth_core.dataset.box_tracks import Boxes3D
from lircdepth_core.dataset.data_files import existing, file_size, read_bytes
from lircdepth_core.dataset.depth_maps import project
from lircdepth_core.dataset.devkit import read_lidar
from lircdepth_core.dataset.scene_tables import Measurement, Scene
from lircdepth_core.encoded_image import decode_encoded
from lircdepth_core.errors import InputError
from lircdepth_core.poses import inverse_pose

MOVABLE = ("vehicle", "human", "animal")
"""Things whose points are taken out of accumulated sweeps, parked ones too."""

BOX_MARGIN = 0.3
"""Metres by which boxes of movable things are enlarged: they fit tightly; a sweep takes 50 ms."""

EGO_BOX = ((-1.2, -1.2, -0.5), (4.0, 1.2, 2.2))
"""Corners in the ego frame (metres) of a box round the vehicle, whose own lidar points would stand
on the road in other frames. nuScenes' car is 4.08 m long and 1.73 m wide."""

LEAST_SHARE, NEIGHBOURS = 0.5, 5
"""A sweep's file is taken for cut off if it is smaller than this share of the median of so many
before and after it. In generated drives they differ by 5 % at most; a file that was cut need not
lack a ring, for real ones are stored turn by turn."""


class StaticLidar:
    """The sweeps of one scene; those that several key frames share are kept.

    Args:
        dataroot: root of the data set.
        scene: its tables.
        masks: folder of <CHANNEL>/<image's stem>.png, not 0 where something movable is; None:
            the scene's annotated boxes say so.
        keep: how many sweeps to remember.
    """

    def __init__(self, dataroot: Path, scene: Scene, masks: Path | None, keep: int) -> None:
        self._dataroot = dataroot
        self._scene = scene
        self._masks = masks
        self._keep = keep
        self._kept: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        sizes = np.array([file_size(dataroot / sweep.file) for sweep in scene.lidar], np.float64)
        usual = median_filter(sizes, 2 * NEIGHBOURS + 1, mode="mirror")
        self._cut_off = sizes < LEAST_SHARE * usual

    def sweep(self, index: int) -> np.ndarray:
        """(3, N) metres in the lidar's frame: all finite points of a sweep.

        Args:
            index: which of the scene's sweeps.

        Raises:
            InputError: the file is missing, damaged, or much smaller than its neighbours.
        """
        path = existing(self._dataroot / self._scene.lidar[index].file)
        points = read_lidar(path)
        if self._cut_off[index]:
            raise InputError(
                f"{path}: {len(points)} points, not half as many as the sweeps round it have; "
                "cut off, download it again"
            )
        xyz = np.stack([points["x"], points["y"], points["z"]]).astype(np.float64)
        return xyz[:, np.isfinite(xyz).all(axis=0)]

    def points(self, index: int, channel: str) -> np.ndarray:
        """(3, N) metres in the lidar's frame: what stands still in a sweep.

        Args:
            index: which of the scene's sweeps.
            channel: the camera whose masks say what moves; of no matter with boxes.

        Raises:
            InputError: a file is missing or damaged.
        """
        key = (index, channel if self._masks else "")
        if key not in self._kept:
            self._kept[key] = self._read(index, channel)
            if len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return self._kept[key]

    def blocked_from(self, image: Measurement, channel: str) -> np.ndarray:
        """(H, W) metres from which on something movable hides a point; +Inf where nothing does.

        Raises:
            InputError: the image's mask is missing or damaged.
        """
        assert image.camera is not None
        if self._masks:
            return np.where(self._mask(image, channel), 0.0, np.inf)
        boxes = self._movable(image.stamp).moved(inverse_pose(image.global_from_sensor))
        return boxes.entry_depth(image.camera)

    def _read(self, index: int, channel: str) -> np.ndarray:
        sweep, points = self._scene.lidar[index], self.sweep(index)
        points = points[:, ~_on_vehicle(sweep, points)]
        if self._masks:
            return points[:, self._unmasked(sweep, points, channel)]
        boxes = self._movable(sweep.stamp).moved(inverse_pose(sweep.global_from_sensor))
        return points[:, boxes.first_containing(points) == 0]

    def _movable(self, stamp: int) -> Boxes3D:
        """Boxes of movable things at a time, global frame."""
        boxes = self._scene.tracks.at(stamp)
        movable = [name.partition(".")[0] in MOVABLE for name in boxes.category]
        return boxes[np.array(movable, bool)].enlarged(BOX_MARGIN)

    def _unmasked(self, sweep: Measurement, points: np.ndarray, channel: str) -> np.ndarray:
        """Numbers of the points that the image nearest in time shows, outside its mask."""
        images = self._scene.images[channel]
        image = min(images, key=lambda candidate: abs(candidate.stamp - sweep.stamp))
        assert image.camera is not None
        camera_from_lidar = inverse_pose(image.global_from_sensor) @ sweep.global_from_sensor
        seen = project(points, camera_from_lidar, image.camera)
        return seen.number[~self._mask(image, channel).ravel()[seen.pixel]]

    def _mask(self, image: Measurement, channel: str) -> np.ndarray:
        """(H, W) bool, where something movable is."""
        assert self._masks is not None
        assert image.camera is not None
        path = mask_file(self._masks, channel, image)
        size = image.camera.width, image.camera.height
        try:
            mask = decode_encoded(read_bytes(path), cv2.IMREAD_GRAYSCALE)
        except ValueError as error:
            raise InputError(f"{path}: no mask: {error}; make it again") from error
        if mask.shape[::-1] != size:
            raise InputError(f"{path}: no mask of {size[0]}x{size[1]}; make it again")
        return mask > 0


def mask_file(masks: Path, channel: str, image: Measurement) -> Path:
    """Where the mask of a camera's image is."""
    return masks / channel / f"{Path(image.file).stem}.png"


def _on_vehicle(sweep: Measurement, points: np.ndarray) -> np.ndarray:
    """(N,) bool, which points lie on the vehicle that carries the lidar."""
    ego = sweep.ego_from_sensor[:3, :3] @ points + sweep.ego_from_sensor[:3, 3:]
    low, high = np.array(EGO_BOX)[..., None]
    return ((ego > low) & (ego < high)).all(axis=0)
