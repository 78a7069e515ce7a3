"""One scene of a nuScenes data set as shards of samples: a pure function, for any engine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.box_tracks import Boxes3D
from lircdepth_core.dataset.depth_maps import accumulate, interpolate, project, single_scan
from lircdepth_core.dataset.devkit import read_lidar, read_radar
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_exact, decode_image, encode_sample
from lircdepth_core.dataset.scene_tables import LIDAR, KeyFrame, Measurement, Scene
from lircdepth_core.errors import InputError
from lircdepth_core.radar import RadarReturns

RADARS_OF_CAMERA: Mapping[str, tuple[str, ...]] = {
    "CAM_FRONT": ("RADAR_FRONT",),
    "CAM_FRONT_LEFT": ("RADAR_FRONT_LEFT",),
    "CAM_FRONT_RIGHT": ("RADAR_FRONT_RIGHT",),
    "CAM_BACK_LEFT": ("RADAR_FRONT_LEFT", "RADAR_BACK_LEFT"),
    "CAM_BACK_RIGHT": ("RADAR_FRONT_RIGHT", "RADAR_BACK_RIGHT"),
    "CAM_BACK": ("RADAR_BACK_LEFT", "RADAR_BACK_RIGHT"),
}
"""The radars that look where a camera looks, unless others are asked for. The side radars look
abeam, which the rear side cameras see too."""

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

MOVABLE = ("vehicle", "human", "animal")
"""Things whose points are taken out of accumulated sweeps, parked ones too."""

MAX_BOXES = 35
BOX_MARGIN = 0.3
"""Metres by which boxes of movable things are enlarged: they fit tightly; a sweep takes 50 ms."""

EGO_BOX = ((-1.2, -1.2, -0.5), (4.0, 1.2, 2.2))
"""Corners in the ego frame (metres) of a box round the vehicle, whose own lidar points would stand
on the road in other frames. nuScenes' car is 4.08 m long and 1.73 m wide."""

PRODUCTS = ("accumulated", "dense", "exact")


@dataclass(frozen=True)
class PrepareOptions:
    """What to make of a data set.

    Attributes:
        cameras: channels.
        radars: for every camera these; None: `RADARS_OF_CAMERA`.
        radar_filters: keep only what the devkit's default filters keep; the published data keeps
            all.
        sweeps: how many lidar sweeps before and after the key frame are accumulated, at most.
        masks: folder of <CHANNEL>/<image's stem>.png, not 0 where something movable is; None:
            annotated boxes say what is movable.
        leave_out: of `PRODUCTS`.
        keep_last: whether the last key frame of a scene is kept, which published data skip.
    """

    cameras: tuple[str, ...] = ("CAM_FRONT",)
    radars: tuple[str, ...] | None = None
    radar_filters: bool = False
    sweeps: int = 80
    masks: Path | None = None
    leave_out: tuple[str, ...] = ()
    keep_last: bool = False

    def radars_of(self, camera: str) -> tuple[str, ...]:
        """The radars whose returns go with a camera.

        Raises:
            InputError: the camera is unknown and no radars were given.
        """
        if self.radars is not None:
            return self.radars
        if camera not in RADARS_OF_CAMERA:
            raise InputError(f"{camera}: which radars look that way? give them with --radars")
        return RADARS_OF_CAMERA[camera]

    def record(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return json.loads(json.dumps(asdict(self), default=str))


def prepare_scene(dataroot: Path, scene: Scene, out: Path, options: PrepareOptions) -> None:
    """Write the shards of one scene, one per camera, and then its record.

    A shard appears under its name when it is complete, the record (`<scene>.json`) after the last
    shard. `prepared` tells from it whether a scene is done.

    Args:
        dataroot: root of the data set.
        scene: its tables.
        out: folder of the shards, there already.
        options: what to make.

    Raises:
        InputError: a file is missing or damaged, or an image has not the size of the tables.
    """
    samples = _Samples(dataroot, scene, options)
    frames = scene.key_frames if options.keep_last else scene.key_frames[:-1]
    shards = {
        camera: _ShardWriter(out / f"{scene.name}-{camera}.tar") for camera in options.cameras
    }
    try:
        for frame in frames:
            for camera, shard in shards.items():
                shard.add(f"{scene.name}__{frame.token}__{camera}", samples.files(frame, camera))
        record = {
            "scene": scene.name,
            "fingerprint": scene.fingerprint(dataroot),
            "options": options.record(),
            "conditions": dict(scene.conditions),
            "shards": [
                shard.finish() | {"scene": scene.name, "channel": camera}
                for camera, shard in shards.items()
            ],
        }
    finally:
        for shard in shards.values():
            shard.abandon()
    write_atomically(out / f"{scene.name}.json", json.dumps(record, indent=1, sort_keys=True))


def prepared(dataroot: Path, scene: Scene, out: Path) -> bool:
    """Whether `prepare_scene` has already completed with this data.

    Raises:
        InputError: a scene of this name is there, but of other data.
    """
    path = out / f"{scene.name}.json"
    if not path.is_file():
        return False
    record = read_record(path)
    if record["fingerprint"] != scene.fingerprint(dataroot):
        raise InputError(f"{out}: {scene.name} is of other data; choose another folder")
    files = [(out / shard["file"], shard["bytes"]) for shard in record["shards"]]
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def read_record(path: Path) -> dict[str, Any]:
    """A scene's record.

    Raises:
        InputError: it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if {"scene", "fingerprint", "options", "shards"} <= record.keys():
            return record
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a scene's record; remove it") from error
    raise InputError(f"{path}: not a scene's record; remove it")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that is either whole or not there."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(path)


class _ShardWriter:
    """A tar file that gets its name when it is finished; the same members give the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.part")
        self._tar = tarfile.open(self._unfinished, "w")  # noqa: SIM115
        self._samples = 0

    def add(self, key: str, files: Mapping[str, bytes]) -> None:
        for extension, data in files.items():
            member = tarfile.TarInfo(f"{key}.{extension}")
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        self._samples += 1

    def finish(self) -> dict[str, Any]:
        self._tar.close()
        digest = hashlib.sha256()
        with self._unfinished.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
            os.fsync(file.fileno())
        size = self._unfinished.stat().st_size
        self._unfinished.replace(self._path)
        return {
            "file": self._path.name,
            "samples": self._samples,
            "bytes": size,
            "sha256": digest.hexdigest(),
        }

    def abandon(self) -> None:
        """Close and remove what is unfinished; does nothing after `finish`."""
        self._tar.close()
        self._unfinished.unlink(missing_ok=True)


class _Samples:
    """Makes the samples of one scene; remembers the lidar sweeps that several key frames share."""

    def __init__(self, dataroot: Path, scene: Scene, options: PrepareOptions) -> None:
        self._dataroot = dataroot
        self._scene = scene
        self._options = options
        self._static: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        channels = len(options.cameras) if options.masks else 1
        self._remembered = (2 * options.sweeps + 1) * channels

    def files(self, frame: KeyFrame, channel: str) -> dict[str, bytes]:
        """The files of one sample."""
        try:
            return self._files(frame, channel)
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}; make it readable") from error

    def _files(self, frame: KeyFrame, channel: str) -> dict[str, bytes]:
        image_row = frame.measurements[channel]
        camera = image_row.camera
        assert camera is not None
        jpeg, image = self._image(image_row, camera)
        camera_from_global = np.linalg.inv(image_row.global_from_sensor)
        boxes, rectangles = objects_in_view(frame.boxes.moved(camera_from_global), camera)

        lidar = frame.measurements[LIDAR]
        scan = single_scan(
            self._points(lidar), camera_from_global @ lidar.global_from_sensor, camera
        )
        accumulated = dense = exact = None
        if not {"accumulated", "dense"} <= set(self._options.leave_out):
            accumulated = self._accumulated(frame, channel, camera, camera_from_global, scan)
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
        )
        return encode_sample(sample, jpeg=jpeg, exact=exact)

    def _image(self, row: Measurement, camera: Camera) -> tuple[bytes, np.ndarray]:
        path = self._dataroot / row.file
        data = _read(path)
        try:
            image = decode_image(data)
        except ValueError as error:
            raise InputError(f"{path}: not an image; download it again") from error
        if image.shape[:2] != (camera.height, camera.width):
            raise InputError(
                f"{path}: {image.shape[1]}x{image.shape[0]}, the tables say "
                f"{camera.width}x{camera.height}; download it again"
            )
        return data, image

    def _exact(self, row: Measurement, camera: Camera) -> bytes | None:
        """The exact depth's file, where the data set has one."""
        image = Path(row.file)
        path = self._dataroot / "depth" / image.parent.name / f"{image.stem}.npz"
        if not path.is_file():
            return None
        data = _read(path)
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
        parts = []
        for radar in self._options.radars_of(channel):
            row = frame.measurements[radar]
            returns = read_radar(_existing(self._dataroot / row.file))
            if self._options.radar_filters:
                # nuScenes-devkit, RadarPointCloud.default_filters.
                returns = returns[
                    (returns["invalid_state"] == 0)
                    & (returns["dyn_prop"] >= 0)
                    & (returns["dyn_prop"] <= 6)
                    & (returns["ambig_state"] == 3)
                ]
            parts.append(
                RadarReturns.from_sensor(
                    np.stack([returns["x"], returns["y"], returns["z"]], axis=1),
                    returns["rcs"],
                    np.stack([returns["vx"], returns["vy"]], axis=1),
                    camera_from_global @ row.global_from_sensor,
                )
            )
        moved = RadarReturns.concatenate(parts)
        seen = moved.visible_in(camera)
        box = boxes.first_containing(moved.position[seen.kept].T)
        columns = (seen.uv, seen.depth, seen.rcs, seen.velocity, box)
        return np.column_stack(columns).astype(np.float32)

    def _accumulated(
        self,
        frame: KeyFrame,
        channel: str,
        camera: Camera,
        camera_from_global: np.ndarray,
        scan: np.ndarray,
    ) -> np.ndarray:
        own, reach = frame.lidar_sweep, self._options.sweeps
        last = min(own + reach, len(self._scene.lidar) - 1)
        others = [index for index in range(max(own - reach, 0), last + 1) if index != own]
        blocked_from = self._blocked_from(frame.measurements[channel], channel, camera)
        sweeps = (
            (
                self._static_points(index, channel),
                camera_from_global @ self._scene.lidar[index].global_from_sensor,
            )
            for index in others
        )
        return accumulate(scan, sweeps, blocked_from, camera)

    def _blocked_from(self, image: Measurement, channel: str, camera: Camera) -> np.ndarray:
        """From which depth on a point of another time is hidden by something movable now."""
        if self._options.masks:
            return np.where(self._mask(image, channel, camera), 0.0, np.inf)
        boxes = self._movable(image.stamp).moved(np.linalg.inv(image.global_from_sensor))
        return boxes.entry_depth(camera)

    def _static_points(self, index: int, channel: str) -> np.ndarray:
        """(3, N) points of a sweep without movable things and the vehicle itself."""
        key = (index, channel if self._options.masks else "")
        if key in self._static:
            return self._static[key]
        row = self._scene.lidar[index]
        points = self._points(row)
        points = points[:, ~self._on_vehicle(row, points)]
        if self._options.masks:
            points = points[:, self._unmasked(row, points, channel)]
        else:
            boxes = self._movable(row.stamp).moved(np.linalg.inv(row.global_from_sensor))
            points = points[:, boxes.first_containing(points) == 0]
        self._static[key] = points
        if len(self._static) > self._remembered:
            self._static.popitem(last=False)
        return points

    def _movable(self, stamp: int) -> Boxes3D:
        boxes = self._scene.tracks.at(stamp)
        movable = [name.partition(".")[0] in MOVABLE for name in boxes.category]
        return boxes[np.array(movable, bool)].enlarged(BOX_MARGIN)

    def _on_vehicle(self, row: Measurement, points: np.ndarray) -> np.ndarray:
        ego_from_sensor = row.ego_from_sensor
        ego = ego_from_sensor[:3, :3] @ points + ego_from_sensor[:3, 3:]
        low, high = np.array(EGO_BOX)[..., None]
        return ((ego > low) & (ego < high)).all(axis=0)

    def _unmasked(self, row: Measurement, points: np.ndarray, channel: str) -> np.ndarray:
        """Which points the camera's image nearest in time shows, outside its mask."""
        images = self._scene.images[channel]
        image = min(images, key=lambda candidate: abs(candidate.stamp - row.stamp))
        camera = image.camera
        assert camera is not None
        camera_from_lidar = np.linalg.inv(image.global_from_sensor) @ row.global_from_sensor
        seen = project(points, camera_from_lidar, camera)
        return seen.number[~self._mask(image, channel, camera).ravel()[seen.pixel]]

    def _mask(self, image: Measurement, channel: str, camera: Camera) -> np.ndarray:
        """(H, W) bool, where something movable is."""
        assert self._options.masks is not None
        path = self._options.masks / channel / f"{Path(image.file).stem}.png"
        mask = cv2.imdecode(np.frombuffer(_read(path), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != (camera.height, camera.width):
            raise InputError(f"{path}: no mask of {camera.width}x{camera.height}; make it again")
        return mask > 0

    def _points(self, row: Measurement) -> np.ndarray:
        """(3, N) float64 metres in the lidar's frame, finite."""
        points = read_lidar(_existing(self._dataroot / row.file))
        xyz = np.stack([points["x"], points["y"], points["z"]]).astype(np.float64)
        return xyz[:, np.isfinite(xyz).all(axis=0)]


def objects_in_view(boxes: Boxes3D, camera: Camera) -> tuple[Boxes3D, np.ndarray]:
    """The boxes of the seven classes that a camera sees, nearest first, at most `MAX_BOXES`.

    In view is, as in the devkit's `box_in_image` (ANY), a box with every corner in front of the
    camera (> 0.1 m) and one inside the image at more than 1 m.

    Args:
        boxes: in the camera's optical frame.
        camera: the camera.

    Returns:
        The boxes, and (B, 4) float32 x1, y1, x2, y2: the corners' extent, cut at the image's edge.
    """
    wanted = [
        any(name == kind or name.startswith(f"{kind}.") for kind in OBJECT_CLASSES)
        for name in boxes.category
    ]
    boxes = boxes[np.array(wanted, bool)]
    corners = boxes.corners()
    uv, depth = camera.project(corners)
    uv, depth = uv.reshape(-1, 8, 2), depth.reshape(-1, 8)
    with np.errstate(invalid="ignore"):
        inside = ((uv > 0) & (uv < (camera.width, camera.height))).all(axis=2) & (depth > 1)
    seen = np.flatnonzero(inside.any(axis=1) & (depth > 0.1).all(axis=1))
    seen = seen[np.argsort(boxes.centre[seen, 2], kind="stable")][:MAX_BOXES]
    edge = np.array([camera.width - 1, camera.height - 1])
    low, high = uv[seen].min(axis=1), uv[seen].max(axis=1)
    rectangles = np.hstack([np.clip(low, 0, edge), np.clip(high, 0, edge)])
    return boxes[seen], rectangles.astype(np.float32)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: missing; unpack it again")
    return path


def _read(path: Path) -> bytes:
    return _existing(path).read_bytes()
