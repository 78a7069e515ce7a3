"""The sensors of a generated drive: nuScenes' vehicle, its mounting, rates and phases.

Source: the sensor set-up of https://www.nuscenes.org/nuscenes#data-collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive.nuscenes_tables import Sensor
from lircdepth_core.drive.rotations import matrix_of, quaternion_of, rotation_about_z

RATES = {"camera": 12, "radar": 13, "lidar": 20}
"""Measurements per second."""

SAMPLE_RATE = 2
"""Key frames per second."""

FIRST_SAMPLE = 0.2
"""Seconds from a scene's start to its first key frame."""

LAST_SAMPLE = 0.1
"""Seconds that a scene goes on after its last key frame, at least."""

Sweeps = Literal["all", "lidar", "none"]
"""Of which sensors there are measurements between the key frames."""

SWEEPS: tuple[Sweeps, ...] = get_args(Sweeps)


@dataclass(frozen=True)
class _Mount:
    """Where a sensor sits on the vehicle and when it measures.

    Attributes:
        position: metres in the ego frame, on the ground below the rear axle's middle.
        yaw: degrees to the left of ahead.
        phase: seconds from a key frame's lidar sweep to this sensor's measurement. A camera is
            exposed as the lidar turns past its view.
        focal: of a camera, pixels at 1600x900.
    """

    position: tuple[float, float, float]
    yaw: float
    phase: float
    focal: float = 0.0


_CAMERAS = {
    "CAM_FRONT": _Mount((1.70, 0.0, 1.51), 0, -0.035, 1266),
    "CAM_FRONT_RIGHT": _Mount((1.55, -0.49, 1.50), -56, -0.027, 1261),
    "CAM_BACK_RIGHT": _Mount((1.01, -0.48, 1.56), -111, -0.020, 1260),
    "CAM_BACK": _Mount((0.03, 0.0, 1.58), 180, -0.010, 809),
    "CAM_BACK_LEFT": _Mount((1.04, 0.48, 1.59), 109, -0.001, 1257),
    "CAM_FRONT_LEFT": _Mount((1.52, 0.49, 1.51), 55, -0.043, 1273),
}
_RADARS = {
    "RADAR_FRONT": _Mount((3.41, 0.0, 0.50), 0, 0.016),
    "RADAR_FRONT_LEFT": _Mount((2.42, 0.80, 0.78), 89, -0.021),
    "RADAR_FRONT_RIGHT": _Mount((2.42, -0.80, 0.77), -91, 0.005),
    "RADAR_BACK_LEFT": _Mount((-0.56, 0.63, 0.53), 174, -0.009),
    "RADAR_BACK_RIGHT": _Mount((-0.56, -0.62, 0.53), -176, 0.024),
}
# nuScenes' lidar has x to the right and y ahead.
_LIDARS = {"LIDAR_TOP": _Mount((0.94, 0.0, 1.84), -90, 0.0)}
_PHASES = {name: mount.phase for name, mount in (_CAMERAS | _RADARS | _LIDARS).items()}

CAMERAS = tuple(_CAMERAS)
RADARS = tuple(_RADARS)
LIDAR = "LIDAR_TOP"

_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
_PRINCIPAL_POINT = (816.0, 491.0)


def sensor_rig(
    cameras: tuple[str, ...] = CAMERAS,
    radars: tuple[str, ...] = RADARS,
    width: int = 1600,
    height: int = 900,
) -> tuple[Sensor, ...]:
    """The vehicle's sensors: the lidar, and the chosen cameras and radars.

    Args:
        cameras: channels out of `CAMERAS`.
        radars: channels out of `RADARS`.
        width: of the images; intrinsics are scaled with it.
        height: of the images.
    """
    sensors = []
    for modality, mounts in (
        ("lidar", _LIDARS),
        ("camera", {channel: _CAMERAS[channel] for channel in cameras}),
        ("radar", {channel: _RADARS[channel] for channel in radars}),
    ):
        for channel, mount in mounts.items():
            turn = rotation_about_z(np.deg2rad(mount.yaw))
            K, size = None, (0, 0)
            if modality == "camera":
                turn = turn @ _OPTICAL
                K = _camera(mount.focal).resized(width, height).K
                size = (width, height)
            sensors.append(Sensor(channel, modality, mount.position, quaternion_of(turn), K, size))
    return tuple(sensors)


def sample_times(duration: float) -> np.ndarray:
    """Seconds of the key frames of a scene, at which the lidar sweeps too."""
    return np.arange(FIRST_SAMPLE, duration - LAST_SAMPLE + 1e-9, 1 / SAMPLE_RATE)


def measurement_times(sensor: Sensor, duration: float) -> np.ndarray:
    """Seconds of all measurements of a sensor in a scene, ascending, within 0 to `duration`."""
    rate = RATES[sensor.modality]
    first = FIRST_SAMPLE + _PHASES[sensor.channel]
    # Velocities are taken by differences, which need a little time on either side.
    margin = 0.005
    before = np.floor((first - margin) * rate)
    after = np.floor((duration - margin - first) * rate)
    return first + np.arange(-before, after + 1) / rate


def mounting(sensor: Sensor) -> np.ndarray:
    """(4, 4) ego_from_sensor."""
    pose = np.eye(4)
    pose[:3, :3] = matrix_of(sensor.rotation)
    pose[:3, 3] = sensor.translation
    return pose


def _camera(focal: float) -> Camera:
    """A camera at nuScenes' size."""
    K = np.array([[focal, 0, _PRINCIPAL_POINT[0]], [0, focal, _PRINCIPAL_POINT[1]], [0, 0, 1]])
    return Camera(K, 1600, 900)
