"""Writes data sets in nuScenes' format: its thirteen tables, its map and its radar files.

Source: https://www.nuscenes.org/nuscenes#data-format (schema); checked by the official devkit.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_RADAR_FIELDS = (
    "x y z dyn_prop id rcs vx vy vx_comp vy_comp is_quality_valid ambig_state "
    "x_rms y_rms invalid_state pdh0 vx_rms vy_rms"
)
RADAR_DTYPE = np.dtype("<f4,<f4,<f4,i1,<i2,<f4,<f4,<f4,<f4,<f4,i1,i1,i1,i1,i1,i1,i1,i1")
RADAR_DTYPE.names = tuple(_RADAR_FIELDS.split())
"""One return of a radar file: 18 fields packed into 43 bytes."""

_EXTENSIONS = {"camera": "jpg", "radar": "pcd", "lidar": "pcd.bin"}
_VISIBILITY = ("v0-40", "v40-60", "v60-80", "v80-100")


@dataclass(frozen=True, eq=False)
class Sensor:
    """A sensor on the vehicle.

    Attributes:
        channel: such as CAM_FRONT.
        modality: camera, radar or lidar.
        translation: x, y, z in base_link, metres.
        rotation: quaternion w, x, y, z from the sensor's frame to base_link.
        K: (3, 3) for a camera.
        size: width and height of a camera's image.
    """

    channel: str
    modality: str
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    K: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Measurement:
    """One file of one sensor.

    Attributes:
        sensor: whose.
        stamp: microseconds.
        sample: number of the sample (key frame) it belongs to.
        is_key_frame: whether it is that sample's own.
        filename: relative to the data set's root.
        position: x, y, z of base_link in the map at the stamp, metres.
        rotation: quaternion w, x, y, z of base_link in the map at the stamp.
    """

    sensor: Sensor
    stamp: int
    sample: int
    is_key_frame: bool
    filename: str
    position: tuple[float, float, float]
    rotation: tuple[float, float, float, float]


def assign_to_samples(
    stamps: Sequence[int], sample_stamps: Sequence[int]
) -> list[tuple[int, bool]]:
    """For each stamp of one sensor its nearest sample, and whether it is nearest to that sample."""
    distance = np.abs(np.subtract.outer(np.array(stamps), np.array(sample_stamps)))
    key_frames = distance.argmin(axis=0)
    return [
        (int(sample), bool(key_frames[sample] == index))
        for index, sample in enumerate(distance.argmin(axis=1))
    ]


def measurement_filename(log: str, sensor: Sensor, stamp: int, is_key_frame: bool) -> str:
    """Where nuScenes keeps a file: key frames below `samples`, others below `sweeps`."""
    folder = "samples" if is_key_frame else "sweeps"
    name = f"{log}__{sensor.channel}__{stamp}.{_EXTENSIONS[sensor.modality]}"
    return f"{folder}/{sensor.channel}/{name}"


def write_tables(
    dataroot: Path,
    version: str,
    *,
    scene: str,
    description: str,
    log: str,
    location: str,
    sample_stamps: Sequence[int],
    measurements: Sequence[Measurement],
    street_map: np.ndarray,
) -> None:
    """Write the tables and the map of a data set of one scene; there are no annotations.

    Args:
        dataroot: root of the data set.
        version: folder of the tables, such as v1.0-mini.
        scene: its name.
        description: what is in it.
        log: name of the log.
        location: name of the place.
        sample_stamps: microseconds, ascending.
        measurements: of all sensors, those of one sensor in the order of their stamps.
        street_map: (H, W) uint8, 255 on the street, 0.1 m per pixel, row 0 at the largest y.
    """

    def token(*parts: object) -> str:
        return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, (log, *parts)))).hex

    def chain(table: str, numbers: Sequence[object]) -> list[dict[str, str]]:
        tokens = ["", *(token(table, number) for number in numbers), ""]
        return [
            {"token": own, "prev": before, "next": after}
            for before, own, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        ]

    samples = chain("sample", range(len(sample_stamps)))
    sensors = {m.sensor.channel: m.sensor for m in measurements}
    sample_data: list[dict[str, Any]] = []
    ego_poses: list[dict[str, Any]] = []
    for channel in sensors:
        own = [m for m in measurements if m.sensor.channel == channel]
        links = chain("sample_data", [(channel, m.stamp) for m in own])
        for measurement, link in zip(own, links, strict=True):
            width, height = measurement.sensor.size
            sample_data.append(
                link
                | {
                    "sample_token": samples[measurement.sample]["token"],
                    "ego_pose_token": link["token"],
                    "calibrated_sensor_token": token("calibrated_sensor", channel),
                    "timestamp": measurement.stamp,
                    "fileformat": _EXTENSIONS[measurement.sensor.modality].partition(".")[0],
                    "is_key_frame": measurement.is_key_frame,
                    "height": height,
                    "width": width,
                    "filename": measurement.filename,
                }
            )
            ego_poses.append(
                {
                    "token": link["token"],
                    "timestamp": measurement.stamp,
                    "rotation": list(measurement.rotation),
                    "translation": list(measurement.position),
                }
            )
    map_token = token("map")
    tables: dict[str, list[dict[str, Any]]] = {
        "category": [
            {"token": token("category"), "name": "vehicle.car", "description": "Passenger car."}
        ],
        "attribute": [
            {
                "token": token("attribute"),
                "name": "vehicle.moving",
                "description": "Vehicle is moving.",
            }
        ],
        "visibility": [
            {"token": str(number), "level": level, "description": f"{level[1:]} % visible"}
            for number, level in enumerate(_VISIBILITY, start=1)
        ],
        "instance": [],
        "sample_annotation": [],
        "sensor": [
            {"token": token("sensor", channel), "channel": channel, "modality": sensor.modality}
            for channel, sensor in sensors.items()
        ],
        "calibrated_sensor": [
            {
                "token": token("calibrated_sensor", channel),
                "sensor_token": token("sensor", channel),
                "translation": list(sensor.translation),
                "rotation": list(sensor.rotation),
                "camera_intrinsic": [] if sensor.K is None else sensor.K.tolist(),
            }
            for channel, sensor in sensors.items()
        ],
        "ego_pose": ego_poses,
        "log": [
            {
                "token": token("log"),
                "logfile": log,
                "vehicle": log.partition("-")[0],
                "date_captured": "2020-01-01",
                "location": location,
            }
        ],
        "scene": [
            {
                "token": token("scene"),
                "log_token": token("log"),
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": scene,
                "description": description,
            }
        ],
        "sample": [
            link | {"timestamp": stamp, "scene_token": token("scene")}
            for link, stamp in zip(samples, sample_stamps, strict=True)
        ],
        "sample_data": sample_data,
        "map": [
            {
                "token": map_token,
                "log_tokens": [token("log")],
                "category": "semantic_prior",
                "filename": f"maps/{map_token}.png",
            }
        ],
    }
    (dataroot / "maps").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(dataroot / "maps" / f"{map_token}.png"), street_map)
    folder = dataroot / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))


def write_radar(path: Path, returns: np.ndarray) -> None:
    """Write a radar file.

    Args:
        path: ends in .pcd.
        returns: (N,) of `RADAR_DTYPE`; none are written, as in nuScenes, as one return of NaN.
    """
    if not len(returns):
        returns = np.zeros(1, RADAR_DTYPE)
        for name in ("x", "y", "z"):
            returns[name] = np.nan
    formats = [returns.dtype[name] for name in _RADAR_FIELDS.split()]
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {_RADAR_FIELDS}",
        "SIZE " + " ".join(str(kind.itemsize) for kind in formats),
        "TYPE " + " ".join(kind.kind.upper() for kind in formats),
        "COUNT " + " ".join("1" for _ in formats),
        f"WIDTH {len(returns)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(returns)}",
        "DATA binary",
    ]
    # The devkit expects bytes after the last return, and nuScenes' files have them.
    path.write_bytes("\n".join([*header, ""]).encode() + returns.tobytes() + bytes(64))
