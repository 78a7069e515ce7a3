"""What preparation needs to know of one scene, taken out of the devkit's tables once.

A `Scene` is small and can be sent to another process or machine, where the tables of a whole data
set (gigabytes for v1.0-trainval) need not be loaded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.box_tracks import Annotation, Boxes3D, BoxTracks
from lircdepth_core.dataset.devkit import (
    chain,
    cited,
    is_original,
    listed,
    name_of,
    reading_tables,
    samples_of,
    stamp_of,
    text_of,
)
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.plain_json import parse_plain_json

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

LIDAR = "LIDAR_TOP"

_UNIT_TOLERANCE = 1e-3

_FARTHEST = 1e9
"""Metres: more than any coordinate on Earth, and the squares of far larger ones overflow."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """One file of one sensor.

    Attributes:
        file: relative to the data set's root.
        stamp: microseconds.
        ego_from_sensor: (4, 4) mounting.
        global_from_sensor: (4, 4) pose at its own stamp: sensor -> ego -> global.
        camera: of an image, with the size that the tables say; None for other sensors.
    """

    file: str
    stamp: int
    ego_from_sensor: np.ndarray
    global_from_sensor: np.ndarray
    camera: Camera | None = None


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A sample.

    Attributes:
        token: of the sample.
        measurements: by channel: the wanted cameras and radars, and LIDAR_TOP.
        lidar_sweep: which of the scene's lidar sweeps is this sample's.
        boxes: the annotations, global frame, in the order of the table.
    """

    token: str
    measurements: Mapping[str, Measurement]
    lidar_sweep: int
    boxes: Boxes3D


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene.

    Attributes:
        name: such as scene-0061.
        token: of the scene.
        key_frames: in the order of time.
        lidar: all sweeps of LIDAR_TOP, key frames' included, in the order of time.
        images: by camera all images, key frames' and others, in the order of time; empty unless
            asked for.
        tracks: the annotated boxes at any time.
        conditions: weather, light; empty if unknown.
    """

    name: str
    token: str
    key_frames: tuple[KeyFrame, ...]
    lidar: tuple[Measurement, ...]
    images: Mapping[str, tuple[Measurement, ...]]
    tracks: BoxTracks
    conditions: Mapping[str, str]

    @property
    def annotated(self) -> bool:
        """Whether anything is annotated; nothing is in the test split of nuScenes."""
        return any(len(frame.boxes) for frame in self.key_frames)


def read_scene(
    nusc: NuScenes,
    row: dict[str, Any],
    channels: Sequence[str],
    *,
    all_images: Sequence[str] = (),
    conditions: Mapping[str, Mapping[str, str]] | None = None,
) -> Scene:
    """Take one scene out of the tables.

    Args:
        nusc: the data set.
        row: of the scene table.
        channels: cameras and radars that every sample must have, besides LIDAR_TOP.
        all_images: cameras whose images between the key frames are wanted too.
        conditions: by the scenes' names; of nuScenes' own scenes, which have none, the description
            says them.

    Raises:
        InputError: a sample lacks a sensor or has a token that cannot name a file, a table names
            what is not there, or a pose, an intrinsic matrix or a category is damaged.
    """
    name = row["name"]
    with reading_tables(nusc):
        samples = samples_of(nusc, row)
        lidar_rows = _sweeps(nusc, samples, LIDAR)
        number = {sweep["token"]: index for index, sweep in enumerate(lidar_rows)}
        annotations = [
            [_annotation(nusc, token, stamp_of("sample", sample)) for token in sample["anns"]]
            for sample in samples
        ]
        key_frames = tuple(
            KeyFrame(
                name_of("sample", sample, "token"),
                {
                    channel: measurement(nusc, key_row(nusc, sample, channel))
                    for channel in (*channels, LIDAR)
                },
                number[sample["data"][LIDAR]],
                Boxes3D.of_annotations(boxes),
            )
            for sample, boxes in zip(samples, annotations, strict=True)
        )
        return Scene(
            name=name,
            token=row["token"],
            key_frames=key_frames,
            lidar=tuple(measurement(nusc, sweep) for sweep in lidar_rows),
            images={
                channel: tuple(
                    measurement(nusc, image) for image in _sweeps(nusc, samples, channel)
                )
                for channel in all_images
            },
            tracks=BoxTracks([box for boxes in annotations for box in boxes]),
            conditions=dict((conditions or {}).get(name) or _described(nusc, row)),
        )


def key_row(nusc: NuScenes, sample: dict[str, Any], channel: str) -> dict[str, Any]:
    """The sample_data row of a sensor's key frame.

    Raises:
        InputError: the sample lacks the sensor.
    """
    if channel not in sample["data"]:
        raise InputError(
            f"sample {cited(sample['token'])} has no {channel}; it has "
            f"{listed(sorted(sample['data'])) or 'none'}"
        )
    return nusc.get("sample_data", sample["data"][channel])


def measurement(nusc: NuScenes, row: dict[str, Any]) -> Measurement:
    """What a sample_data row tells of a file.

    Raises:
        InputError: a stamp, a pose or an intrinsic matrix is damaged, or the file lies outside the
            data set.
        KeyError: a row or a field is not there.
    """
    calibration = nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
    pose = nusc.get("ego_pose", row["ego_pose_token"])
    ego_from_sensor = _transform("calibrated_sensor", calibration)
    camera = None
    if row["sensor_modality"] == "camera":
        camera = _camera(calibration, row)
    return Measurement(
        _inside(row["filename"]),
        stamp_of("sample_data", row),
        ego_from_sensor,
        _transform("ego_pose", pose) @ ego_from_sensor,
        camera,
    )


def _inside(file: str) -> str:
    """A file's name relative to the data set's root, if it stays below it."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"sample_data: {file!r:.80} lies outside the data set; unpack it again")
    if not file.isprintable():  # an error that names it would have several lines
        raise InputError(f"sample_data: filename {file!a:.80} is none; unpack the tables again")
    return file


def read_conditions(dataroot: Path) -> dict[str, dict[str, str]]:
    """conditions.json beside the data set's folders: {scene: {weather, light, ...}}; {} if none.

    Raises:
        InputError: it is there and not such a file.
    """
    path = dataroot / "conditions.json"
    if not path.is_file():
        return {}
    try:
        found = parse_plain_json(path.read_bytes())
        return {
            scene: {name: str(value) for name, value in values.items()}
            for scene, values in found.items()
        }
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not {{scene: {{name: value}}}} in JSON; mend or remove it"
        ) from error


def _described(nusc: NuScenes, scene: dict[str, Any]) -> dict[str, str]:
    """Weather and light by the description of one of nuScenes' own scenes, which name rain and
    night where they were; some say "after rain".
    """
    if not is_original(nusc, scene):
        return {}
    text = scene["description"].lower()
    return {
        "weather": "rain" if re.search(r"(?<!after )\brain", text) else "dry",
        "light": "night" if "night" in text else "day",
    }


def _sweeps(nusc: NuScenes, samples: list[dict[str, Any]], channel: str) -> list[dict[str, Any]]:
    """All sample_data rows of a channel, from before the first sample to after the last."""
    key = key_row(nusc, samples[0], channel)
    *_, first = chain(nusc, "sample_data", key["token"], "prev")
    return list(chain(nusc, "sample_data", first["token"]))


def _camera(calibration: dict[str, Any], row: dict[str, Any]) -> Camera:
    """Of an image."""
    try:
        return Camera(np.array(calibration["camera_intrinsic"]), row["width"], row["height"])
    except (ValueError, TypeError) as error:  # InputError too, which does not name the rows
        raise InputError(
            f"calibrated_sensor {cited(calibration['token'])}, sample_data {cited(row['token'])}: "
            f"no camera_intrinsic or size ({first_line(error)}); unpack the tables again"
        ) from error


def _transform(table: str, row: dict[str, Any]) -> np.ndarray:
    """(4, 4) of a row's translation and rotation."""
    from nuscenes.utils.geometry_utils import transform_matrix
    from pyquaternion import Quaternion

    _check_pose(table, row)
    return transform_matrix(np.array(row["translation"]), Quaternion(row["rotation"]))


def _annotation(nusc: NuScenes, token: str, stamp: int) -> Annotation:
    row = nusc.get("sample_annotation", token)
    _check_pose("sample_annotation", row)
    w, x, y, z = row["rotation"]
    width, length, height = row["size"]
    if not all(0 < side < _FARTHEST for side in row["size"]):
        raise InputError(
            f"sample_annotation {cited(token)}: size {cited(row['size'])} is none; unpack the "
            "tables again"
        )
    return Annotation(
        instance=row["instance_token"],
        category=text_of("sample_annotation", row, "category_name"),
        stamp=stamp,
        centre=tuple(row["translation"]),
        rotation=(x, y, z, w),
        size=(length, width, height),
    )


def _check_pose(table: str, row: dict[str, Any]) -> None:
    """See that a row's translation is a place and its rotation a unit quaternion."""
    translation, rotation = row["translation"], row["rotation"]
    unit = abs(np.linalg.norm(rotation) - 1) < _UNIT_TOLERANCE
    if not (
        len(translation) == 3
        and len(rotation) == 4
        and np.isfinite(translation).all()
        and np.abs(translation).max() < _FARTHEST
        and unit
    ):
        raise InputError(
            f"{table} {cited(row['token'])}: translation {translation} with rotation {rotation} is "
            "no pose; unpack the tables again"
        )
