"""Drives through one world and records what the sensors measure."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive.annotations import SampleScans, annotate
from lircdepth_core.drive.exact_depth import depth_path, write_depth
from lircdepth_core.drive.lidar import lidar_sweep
from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.nuscenes_tables import (
    Measurement,
    SceneRecord,
    Sensor,
    assign_to_samples,
    map_filename,
    measurement_filename,
    read_radar,
    scene_rows,
    write_map,
    write_radar,
)
from lircdepth_core.drive.radar_sensor import radar_sweep
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.rotations import quaternion_of
from lircdepth_core.drive.sensor_rig import Sweeps, measurement_times, mounting, sample_times
from lircdepth_core.drive.world import World

_JPEG_QUALITY = 92
_MAP_SCALE = 10
_MAP_BORDER = 120.0
_STREET = [INDEX[name] for name in ("asphalt", "marking")]


class Renderer(Protocol):
    """Makes images of a world; `CameraRenderer` is one."""

    def render(
        self,
        camera: Camera,
        world_from_camera: np.ndarray,
        time: float,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """An image (H, W, 3) uint8 RGB and its exact depth (H, W) float32 metres, +Inf at the sky.

        Args:
            camera: intrinsics and size.
            world_from_camera: (4, 4), of the optical frame.
            time: seconds since the scene's start.
            rng: for noise.
        """
        ...


@dataclass(frozen=True)
class SceneName:
    """How a scene is called.

    Attributes:
        scene: such as scene-0001.
        log: begins its files' names.
        start: microseconds of its time 0.
    """

    scene: str
    log: str
    start: int


def record_measurements(
    folder: Path,
    name: SceneName,
    world: World,
    sensors: Sequence[Sensor],
    renderer: Renderer | None,
    *,
    sweeps: Sweeps = "all",
    share: int = 0,
    shares: int = 1,
) -> Iterator[Measurement]:
    """Write the files of a scene's measurements in nuScenes' layout, and the images' exact depths.

    Each measurement is of one instant, its stamp.

    Args:
        folder: becomes the root of these files.
        name: of the scene.
        world: to drive through.
        sensors: of the vehicle, the lidar among them.
        renderer: of the images of this world; None where there is no camera.
        sweeps: of which sensors there are measurements between the key frames.
        share: which of the `shares` of measurements to make; each has some of every sensor's.
        shares: how many there are.

    Yields:
        Each measurement after it was made.
    """
    for sensor in sensors:
        for kind in ("samples", "sweeps", "depth"):
            (folder / kind / sensor.channel).mkdir(parents=True, exist_ok=True)
    caster = RayCaster(world)
    plan = _plan(name, world, sensors, sweeps)
    # By sensor, so that a share is not all of one.
    plan.sort(key=lambda measurement: (measurement.sensor.channel, measurement.stamp))
    # Encoding leaves the interpreter to other threads.
    with ThreadPoolExecutor(max_workers=2) as writers:
        pending: list[Future[None]] = []
        for measurement in plan[share::shares]:
            sensor = measurement.sensor
            time = (measurement.stamp - name.start) * 1e-6
            pose = world.ego_pose(time) @ mounting(sensor)
            path = folder / measurement.filename
            channel = zlib.crc32(sensor.channel.encode())
            rng = np.random.default_rng([world.seed, channel, measurement.stamp])
            if sensor.modality == "camera":
                assert renderer is not None
                camera = Camera(np.asarray(sensor.K), *sensor.size)
                image, depth = renderer.render(camera, pose, time, rng)
                exact = folder / depth_path(measurement.filename)
                pending.append(writers.submit(_write_image, path, image))
                pending.append(writers.submit(write_depth, exact, depth))
                # So many images fit into memory.
                for future in pending[:-6]:
                    future.result()
                pending = pending[-6:]
            elif sensor.modality == "lidar":
                lidar_sweep(caster.at(time), pose, world.conditions, rng).tofile(path)
            else:
                moment, velocity = caster.at(time), _velocity(world, sensor, time)
                write_radar(
                    path,
                    radar_sweep(moment, world.things, time, pose, velocity, world.conditions, rng),
                )
            yield measurement
        for future in pending:
            future.result()


def finish_scene(
    folder: Path,
    name: SceneName,
    world: World,
    sensors: Sequence[Sensor],
    *,
    sweeps: Sweeps = "all",
) -> None:
    """Annotate a scene whose measurements are all written; write its map and `scene.json`.

    `scene.json` holds the scene's rows of the tables and its conditions, and is written last. The
    arguments are those of `record_measurements`.
    """
    plan = _plan(name, world, sensors, sweeps)
    stamps = _sample_stamps(name, world)
    lidar: list[list[np.ndarray]] = [[] for _ in stamps]
    radar: list[list[np.ndarray]] = [[] for _ in stamps]
    for measurement in plan:
        sensor, path = measurement.sensor, folder / measurement.filename
        if not measurement.is_key_frame or sensor.modality == "camera":
            continue
        if sensor.modality == "lidar":
            points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3]
        else:
            returns = read_radar(path)
            points = np.stack([returns[axis] for axis in "xyz"], axis=1)
        pose = world.ego_pose((measurement.stamp - name.start) * 1e-6) @ mounting(sensor)
        (lidar if sensor.modality == "lidar" else radar)[measurement.sample].append(
            points @ pose[:3, :3].T + pose[:3, 3]
        )
    scans = [
        SampleScans(*(np.concatenate([np.zeros((0, 3)), *parts]) for parts in both))
        for both in zip(lidar, radar, strict=True)
    ]
    times = [(stamp - name.start) * 1e-6 for stamp in stamps]
    write_map(folder / map_filename(name.log), _street_map(world))
    conditions = world.conditions
    record = SceneRecord(
        name=name.scene,
        description=f"Generated: {conditions.weather}, {conditions.light}",
        log=name.log,
        location="generated",
        sample_stamps=stamps,
        measurements=plan,
        annotations=annotate(world, RayCaster(world), times, scans),
    )
    content = {
        "conditions": {"weather": conditions.weather, "light": conditions.light},
        "rows": scene_rows(record),
    }
    (folder / "scene.json").write_text(json.dumps(content))


def scene_measurements(sensors: Sequence[Sensor], duration: float, sweeps: Sweeps) -> int:
    """How many measurements a scene has."""
    key_frames = len(sample_times(duration))
    total = 0
    for sensor in sensors:
        between = _measures_between(sensor, sweeps)
        total += len(measurement_times(sensor, duration)) if between else key_frames
    return total


def _measures_between(sensor: Sensor, sweeps: Sweeps) -> bool:
    """Whether a sensor measures between the key frames."""
    return sweeps in ("all", sensor.modality)


def _plan(
    name: SceneName,
    world: World,
    sensors: Sequence[Sensor],
    sweeps: Sweeps,
) -> list[Measurement]:
    """All measurements in the order of their stamps."""
    sample_stamps = _sample_stamps(name, world)
    measurements = []
    for sensor in sensors:
        stamps = [_stamp(name, time) for time in measurement_times(sensor, world.duration)]
        for stamp, (sample, key) in zip(
            stamps, assign_to_samples(stamps, sample_stamps), strict=True
        ):
            if not key and not _measures_between(sensor, sweeps):
                continue
            pose = world.ego_pose((stamp - name.start) * 1e-6)
            measurements.append(
                Measurement(
                    sensor=sensor,
                    stamp=stamp,
                    sample=sample,
                    is_key_frame=key,
                    filename=measurement_filename(name.log, sensor, stamp, key),
                    position=tuple(pose[:3, 3].tolist()),
                    rotation=quaternion_of(pose[:3, :3]),
                )
            )
    return sorted(measurements, key=lambda measurement: measurement.stamp)


def _stamp(name: SceneName, time: float) -> int:
    """Microseconds of a time in seconds since the scene's start."""
    return name.start + round(time * 1e6)


def _sample_stamps(name: SceneName, world: World) -> list[int]:
    """Microseconds of the key frames."""
    return [_stamp(name, time) for time in sample_times(world.duration)]


def _velocity(world: World, sensor: Sensor, time: float) -> np.ndarray:
    """(3,) m/s of a sensor over ground; that of the vehicle's turning is in it."""
    step = 1e-3
    place = mounting(sensor)[:, 3]
    before, after = (world.ego_pose(time + sign * step) @ place for sign in (-1, 1))
    return (after - before)[:3] / (2 * step)


def _write_image(path: Path, image: np.ndarray) -> None:
    """Write an RGB image as JPEG."""
    _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    path.write_bytes(jpeg.tobytes())  # imwrite does not say why it could not


def _street_map(world: World) -> np.ndarray:
    """Carriageways seen from above, as far as sensors reach."""
    path = np.array([world.ego_pose(time)[:2, 3] for time in np.arange(0, world.duration, 0.5)])
    width, height = np.ceil((path.max(axis=0) + _MAP_BORDER) * _MAP_SCALE).astype(int)
    corners = world.static.vertices[world.static.faces[np.isin(world.static.materials, _STREET)]]
    near = (np.abs(corners[:, 0, :2] - path.mean(axis=0)) < np.ptp(path, axis=0) + 300).all(axis=1)
    pixels = (corners[near][:, :, :2] * (1, -1) + (0, height / _MAP_SCALE)) * _MAP_SCALE
    street_map = np.zeros((height, width), np.uint8)
    for triangle in np.round(pixels).astype(np.int32):
        cv2.fillConvexPoly(street_map, triangle, (255,))
    return street_map
