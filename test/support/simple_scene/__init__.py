"""A small generated drive, written as a nuScenes data set with the exact depth of every pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive.exact_depth import depth_path, read_depth, write_depth
from lircdepth_core.drive.nuscenes_tables import (
    Measurement,
    SceneRecord,
    Sensor,
    assign_to_samples,
    map_filename,
    measurement_filename,
    scene_rows,
    write_map,
    write_radar,
    write_tables,
)
from lircdepth_core.errors import InputError
from simple_scene.street import FACADE, Street, ego_pose, street_coordinates
from simple_scene.street_camera import View, render
from simple_scene.street_scans import lidar_sweep, radar_sweep

SCENE = "scene-0001"
VERSION = "v1.0-mini"

CAMERA_RATE, RADAR_RATE, LIDAR_RATE, SAMPLE_RATE = 12, 13, 20, 2

_LOG = "simple-street"
_START = 1_577_836_800_000_000
_LEVEL = (1.0, 0.0, 0.0, 0.0)
_FORWARD_OPTICAL = (0.5, -0.5, 0.5, -0.5)
_TO_THE_RIGHT = (float(np.sqrt(0.5)), 0.0, 0.0, -float(np.sqrt(0.5)))
_NUSCENES_CAMERA = Camera(np.array([[1266.0, 0, 816], [0, 1266, 491], [0, 0, 1]]), 1600, 900)


def write_scene(
    dataroot: Path,
    *,
    frames: int = 24,
    width: int = 1600,
    height: int = 900,
    seed: int = 0,
    lidar: bool = True,
    radar_noise: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a data set with one scene, `SCENE`: a drive along a curved street with traffic.

    The vehicle has CAM_FRONT (12 Hz), RADAR_FRONT (13 Hz) and LIDAR_TOP (20 Hz), mounted about as
    in nuScenes, each with its own stamps and ego poses; samples come at 2 Hz. Radar and lidar begin
    before the first image and end after the last. `true_depth` reads the depth of an image.

    Args:
        dataroot: folder of the data set, to be made or empty.
        frames: number of images.
        width: of the images; the focal length of nuScenes' CAM_FRONT is scaled with it.
        height: of the images.
        seed: of houses, parked cars and noise; the same arguments give the same files.
        lidar: whether to write LIDAR_TOP.
        radar_noise: whether radar positions are noisy and radar values rounded as in nuScenes.
        progress: called with the number of measurements done and of all.

    Raises:
        InputError: `dataroot` is not empty, or `frames` is not positive.
    """
    if frames < 1:
        raise InputError(f"frames: {frames}; give at least 1")
    if dataroot.exists() and (not dataroot.is_dir() or any(dataroot.iterdir())):
        raise InputError(f"{dataroot}: exists and is not an empty folder; choose another")
    camera = _NUSCENES_CAMERA.resized(width, height)
    street = Street(seed)
    sample_times = np.arange(0, frames / CAMERA_RATE, 1 / SAMPLE_RATE)
    sample_stamps = [_stamp(time) for time in sample_times]
    measurements = _plan(camera, frames, sample_stamps, lidar)
    for index, measurement in enumerate(measurements):
        _measure(dataroot, measurement, street, camera, radar_noise, [seed, index])
        if progress:
            progress(index + 1, len(measurements))
    record = SceneRecord(
        name=SCENE,
        description="Generated: ring road between houses, parked cars, traffic both ways",
        log=_LOG,
        location="generated-ring",
        sample_stamps=sample_stamps,
        measurements=measurements,
    )
    write_map(dataroot / map_filename(_LOG), _street_map())
    write_tables(dataroot, VERSION, [scene_rows(record)])


def true_depth(dataroot: Path, image: str) -> np.ndarray:
    """The exact depth of an image.

    Args:
        dataroot: root of the data set.
        image: file name of the image, as in its sample_data row.

    Returns:
        (H, W) float32 metres along the optical axis at the pixels' centres, +Inf at the sky.
    """
    return read_depth(dataroot, image)


def _plan(camera: Camera, frames: int, sample_stamps: list[int], lidar: bool) -> list[Measurement]:
    """All measurements in the order of their stamps."""
    end = (frames - 1) / CAMERA_RATE + 0.12
    # A sample's time is its lidar's; nuScenes' front camera is exposed 35 ms before it.
    front = Sensor(
        "CAM_FRONT", "camera", (1.70, 0.0, 1.51), _FORWARD_OPTICAL, camera.K,
        (camera.width, camera.height),
    )  # fmt: skip
    sensors = [
        (front, -0.035 + np.arange(frames) / CAMERA_RATE),
        (
            Sensor("RADAR_FRONT", "radar", (3.41, 0.0, 0.5), _LEVEL),
            np.arange(-0.137, end, 1 / RADAR_RATE),
        ),
    ]
    if lidar:
        mount = Sensor("LIDAR_TOP", "lidar", (0.94, 0.0, 1.84), _TO_THE_RIGHT)
        sensors.append((mount, np.arange(-0.1, end, 1 / LIDAR_RATE)))
    measurements = []
    for sensor, times in sensors:
        stamps = [_stamp(time) for time in times]
        for stamp, (sample, key) in zip(
            stamps, assign_to_samples(stamps, sample_stamps), strict=True
        ):
            pose = ego_pose((stamp - _START) * 1e-6)
            x, y, z = (float(value) for value in pose.position)
            half = pose.yaw / 2
            measurements.append(
                Measurement(
                    sensor=sensor,
                    stamp=stamp,
                    sample=sample,
                    is_key_frame=key,
                    filename=measurement_filename(_LOG, sensor, stamp, key),
                    position=(x, y, z),
                    rotation=(float(np.cos(half)), 0.0, 0.0, float(np.sin(half))),
                )
            )
    return sorted(measurements, key=lambda measurement: measurement.stamp)


def _measure(
    dataroot: Path,
    measurement: Measurement,
    street: Street,
    camera: Camera,
    radar_noise: bool,
    seed: list[int],
) -> None:
    """Make the file of one measurement, and for an image its depth."""
    time = (measurement.stamp - _START) * 1e-6
    boxes, ego = street.boxes(time), ego_pose(time)
    rng = np.random.default_rng(seed)
    sensor, path = measurement.sensor, dataroot / measurement.filename
    translation = np.array(sensor.translation)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sensor.modality == "radar":
        write_radar(path, radar_sweep(boxes, ego, translation, rng, radar_noise))
    elif sensor.modality == "lidar":
        lidar_sweep(boxes, ego, translation, -np.pi / 2, rng).tofile(path)
    else:
        cos, sin = np.cos(ego.yaw), np.sin(ego.yaw)
        axes = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        optical = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        view = View(camera, ego.position + axes @ translation, axes @ optical)
        image, depth = render(boxes, view, rng)
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        exact = dataroot / depth_path(measurement.filename)
        exact.parent.mkdir(parents=True, exist_ok=True)
        write_depth(exact, depth)


def _stamp(time: float) -> int:
    """Microseconds of a time in seconds since the start."""
    return _START + round(time * 1e6)


def _street_map() -> np.ndarray:
    """Where the street is, drawn at 1 m and enlarged to the map's 0.1 m per pixel."""
    y, x = np.mgrid[519.5:0:-1, 0.5:520]
    _, left = street_coordinates(x, y)
    street = np.where(np.abs(left) < FACADE, 255, 0).astype(np.uint8)
    return street.repeat(10, axis=0).repeat(10, axis=1)
