"""Writes data sets in nuScenes' format: its thirteen tables, its map and its radar files.

Source: https://www.nuscenes.org/nuscenes#data-format (schema); checked by the official devkit.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lircdepth_core.nuscenes_files import RADAR_DTYPE

_DATA = b"\nDATA binary\n"
_EXTENSIONS = {"camera": "jpg", "radar": "pcd", "lidar": "pcd.bin"}
_VISIBILITY = ("v0-40", "v40-60", "v60-80", "v80-100")

Tables = dict[str, list[dict[str, Any]]]
"""Rows by the name of their table."""

CATEGORIES = {
    "human.pedestrian.adult": "Adult.",
    "human.pedestrian.child": "Child.",
    "human.pedestrian.wheelchair": "Wheelchair with the person in it.",
    "human.pedestrian.stroller": "Stroller.",
    "human.pedestrian.personal_mobility": "Skateboard, scooter and the like with its rider.",
    "human.pedestrian.police_officer": "Police officer.",
    "human.pedestrian.construction_worker": "Construction worker.",
    "animal": "Animal.",
    "vehicle.car": "Passenger car or van for up to ten people.",
    "vehicle.motorcycle": "Motorcycle, moped or motor scooter, with its rider if there is one.",
    "vehicle.bicycle": "Bicycle, with its rider if there is one.",
    "vehicle.bus.bendy": "Section of an articulated bus.",
    "vehicle.bus.rigid": "Bus.",
    "vehicle.truck": "Vehicle built to carry cargo.",
    "vehicle.construction": "Construction vehicle.",
    "vehicle.emergency.ambulance": "Ambulance.",
    "vehicle.emergency.police": "Police vehicle.",
    "vehicle.trailer": "Trailer.",
    "movable_object.barrier": "Temporary road barrier.",
    "movable_object.trafficcone": "Traffic cone.",
    "movable_object.pushable_pullable": "Something that a person pushes or pulls.",
    "movable_object.debris": "Debris on the road.",
    "static_object.bicycle_rack": "Bicycle rack with what stands in it.",
}
"""nuScenes' categories and what they mean."""

ATTRIBUTES = {
    "vehicle.moving": "Vehicle is moving.",
    "vehicle.stopped": "Vehicle stands still, meaning to go on.",
    "vehicle.parked": "Vehicle is parked.",
    "cycle.with_rider": "Somebody is on the bicycle or motorcycle.",
    "cycle.without_rider": "Nobody is on the bicycle or motorcycle.",
    "pedestrian.sitting_lying_down": "Person sits or lies.",
    "pedestrian.standing": "Person stands.",
    "pedestrian.moving": "Person is moving.",
}
"""nuScenes' attributes and what they mean."""


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


@dataclass(frozen=True)
class Annotation:
    """The box of one object in one sample.

    Attributes:
        sample: number of the sample.
        instance: number of the object in its scene.
        category: one of `CATEGORIES`.
        translation: x, y, z of the centre in the global frame, metres.
        size: width, length, height, metres.
        rotation: quaternion w, x, y, z from the box's frame (x along its length) to the global one.
        visibility: 1 to 4: up to 40, 60, 80 and 100 % seen by the cameras.
        attribute: one of `ATTRIBUTES`, or "".
        num_lidar_pts: lidar points in the box in the sample's own sweep.
        num_radar_pts: radar returns in the box in the sample's own sweeps of all radars.
    """

    sample: int
    instance: int
    category: str
    translation: tuple[float, float, float]
    size: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    visibility: int
    attribute: str
    num_lidar_pts: int
    num_radar_pts: int


@dataclass(frozen=True, eq=False)
class SceneRecord:
    """What the tables say about one scene, which is a log of its own.

    Attributes:
        name: such as scene-0001.
        description: what is in it.
        log: name of the log.
        location: name of the place.
        sample_stamps: microseconds, ascending.
        measurements: of all sensors, those of one sensor in the order of their stamps.
        annotations: those of one instance in the order of their samples.
    """

    name: str
    description: str
    log: str
    location: str
    sample_stamps: Sequence[int]
    measurements: Sequence[Measurement]
    annotations: Sequence[Annotation] = ()


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


def scene_rows(record: SceneRecord) -> Tables:
    """The rows that one scene adds to the tables; the same record gives the same tokens."""
    log = record.log

    def token(*parts: object) -> str:
        return _token(log, *parts)

    def chain(table: str, numbers: Sequence[object]) -> list[dict[str, Any]]:
        tokens = ["", *(token(table, number) for number in numbers), ""]
        return [
            {"token": own, "prev": before, "next": after}
            for before, own, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        ]

    samples = chain("sample", range(len(record.sample_stamps)))
    sensors = {m.sensor.channel: m.sensor for m in record.measurements}
    sample_data: list[dict[str, Any]] = []
    ego_poses: list[dict[str, Any]] = []
    for channel in sensors:
        own = [m for m in record.measurements if m.sensor.channel == channel]
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
    annotations: list[dict[str, Any]] = []
    instances: list[dict[str, Any]] = []
    for instance in sorted({a.instance for a in record.annotations}):
        seen = [a for a in record.annotations if a.instance == instance]
        links = chain("sample_annotation", [(instance, a.sample) for a in seen])
        instances.append(
            {
                "token": token("instance", instance),
                "category_token": _token("category", seen[0].category),
                "nbr_annotations": len(seen),
                "first_annotation_token": links[0]["token"],
                "last_annotation_token": links[-1]["token"],
            }
        )
        annotations += [
            link
            | {
                "sample_token": samples[annotation.sample]["token"],
                "instance_token": token("instance", instance),
                "visibility_token": str(annotation.visibility),
                "attribute_tokens": [_token("attribute", annotation.attribute)]
                if annotation.attribute
                else [],
                "translation": list(annotation.translation),
                "size": list(annotation.size),
                "rotation": list(annotation.rotation),
                "num_lidar_pts": annotation.num_lidar_pts,
                "num_radar_pts": annotation.num_radar_pts,
            }
            for annotation, link in zip(seen, links, strict=True)
        ]
    return {
        "instance": instances,
        "sample_annotation": annotations,
        "calibrated_sensor": [
            {
                "token": token("calibrated_sensor", channel),
                "sensor_token": _token("sensor", channel),
                "translation": list(sensor.translation),
                "rotation": list(sensor.rotation),
                "camera_intrinsic": [] if sensor.K is None else sensor.K.tolist(),
            }
            for channel, sensor in sensors.items()
        ],
        "sensor": [
            {"token": _token("sensor", channel), "channel": channel, "modality": sensor.modality}
            for channel, sensor in sensors.items()
        ],
        "ego_pose": ego_poses,
        "log": [
            {
                "token": token("log"),
                "logfile": log,
                "vehicle": log.partition("-")[0],
                "date_captured": "2020-01-01",
                "location": record.location,
            }
        ],
        "scene": [
            {
                "token": token("scene"),
                "log_token": token("log"),
                "nbr_samples": len(samples),
                "first_sample_token": samples[0]["token"],
                "last_sample_token": samples[-1]["token"],
                "name": record.name,
                "description": record.description,
            }
        ],
        "sample": [
            link | {"timestamp": stamp, "scene_token": token("scene")}
            for link, stamp in zip(samples, record.sample_stamps, strict=True)
        ],
        "sample_data": sample_data,
        "map": [
            {
                "token": token("map"),
                "log_tokens": [token("log")],
                "category": "semantic_prior",
                "filename": map_filename(log),
            }
        ],
    }


def map_filename(log: str) -> str:
    """Where the map of a log lies, relative to the data set's root."""
    return f"maps/{_token(log, 'map')}.png"


def write_map(path: Path, street_map: np.ndarray) -> None:
    """Write a map.

    Args:
        path: of the file.
        street_map: (H, W) uint8, 255 on the street, 0.1 m per pixel, row 0 at the largest y, the
            last row and column 0 at the global frame's origin.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", street_map)
    path.write_bytes(png.tobytes())  # imwrite does not say if it could not


def write_tables(dataroot: Path, version: str, scenes: Iterable[Tables]) -> None:
    """Write the tables of a data set; where there are some, they are replaced at the end.

    Args:
        dataroot: root of the data set.
        version: folder of the tables, such as v1.0-mini.
        scenes: the rows of its scenes, from `scene_rows`.
    """
    tables: dict[str, dict[str, Any]] = {
        table: {
            _token(table, name): {
                "token": _token(table, name),
                "name": name,
                "description": description,
            }
            for name, description in names.items()
        }
        for table, names in (("category", CATEGORIES), ("attribute", ATTRIBUTES))
    }
    tables["visibility"] = {
        token: {"token": token, "level": level, "description": f"{level[1:]} % is visible"}
        for token, level in zip("1234", _VISIBILITY, strict=True)
    }
    for rows in scenes:
        for table, added in rows.items():
            # A sensor stands in every scene's rows and once in the table.
            tables.setdefault(table, {}).update({row["token"]: row for row in added})
    folder, unfinished = dataroot / version, dataroot / f".{version}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, by_token in tables.items():
        (unfinished / f"{name}.json").write_text(json.dumps(list(by_token.values()), indent=0))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


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
    names = RADAR_DTYPE.names or ()
    formats = [RADAR_DTYPE[name] for name in names]
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(names)}",
        "SIZE " + " ".join(str(kind.itemsize) for kind in formats),
        "TYPE " + " ".join(kind.kind.upper() for kind in formats),
        "COUNT " + " ".join("1" for _ in formats),
        f"WIDTH {len(returns)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(returns)}",
    ]
    # The devkit expects bytes after the last return, and nuScenes' files have them.
    path.write_bytes("\n".join(header).encode() + _DATA + returns.tobytes() + bytes(64))


def read_radar(path: Path) -> np.ndarray:
    """The returns that `write_radar` wrote, (N,) of `RADAR_DTYPE`."""
    header, _, data = path.read_bytes().partition(_DATA)
    count = int(header.rpartition(b"POINTS ")[2])
    return np.frombuffer(data, RADAR_DTYPE, count)


def _token(*parts: object) -> str:
    """A token that follows from what it names."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))).hex
