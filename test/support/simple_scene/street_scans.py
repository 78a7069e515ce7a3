"""Radar and lidar sweeps over the simple street."""

from __future__ import annotations

import numpy as np

from lircdepth_core.nuscenes_files import RADAR_DTYPE
from simple_scene.boxes import Boxes, azimuth_windows, cast
from simple_scene.street import Pose

MAX_RETURNS = 125

_RAYS = 1200
_RADAR_VIEW = np.deg2rad(120.0)
_LIDAR_COLUMNS = 1084
_LIDAR_ELEVATION = np.deg2rad(np.linspace(-30.67, 10.67, 32))


def radar_sweep(
    boxes: Boxes, ego: Pose, translation: np.ndarray, rng: np.random.Generator, noise: bool
) -> np.ndarray:
    """What a radar looking forward, level and unrotated on the vehicle, returns.

    Rays in the radar's horizontal plane find what it sees within ±60° to 20 m, ±45° to 70 m and
    ±9° to 250 m; of each object it returns the nearest point in every cell of its resolution.

    Args:
        boxes: the street at the time of the sweep.
        ego: base_link at that time.
        translation: (3,) of the radar in base_link.
        rng: for which cells answer, for the cross-sections and the noise.
        noise: add noise to the positions and round all values as the sensor does.

    Returns:
        (N,) of `RADAR_DTYPE`, at most 125, in the radar's frame (x forward, y left), z = 0;
        vx, vy relative to the moving radar.
    """
    axes = _rotation(ego.yaw)
    arm = axes @ translation[:2]
    origin = np.append(ego.position[:2] + arm, translation[2])
    azimuth = _RADAR_VIEW * ((np.arange(_RAYS) + 0.5) / _RAYS - 0.5)
    cos, sin = np.cos(azimuth + ego.yaw), np.sin(azimuth + ego.yaw)
    directions = np.stack([cos, sin, np.zeros(_RAYS)]).astype(np.float32)[:, None]
    boxes = boxes.near(origin, 260.0)
    windows = azimuth_windows(origin, boxes, ego.yaw, _RAYS, _RADAR_VIEW)
    distance, hit = (grid[0] for grid in cast(origin, directions, boxes, windows))

    degrees = np.abs(np.rad2deg(azimuth))
    reach = np.select([degrees < 9, degrees < 45], [250.0, 70.0], 20.0)
    seen = (hit >= 0) & (distance < reach)
    azimuth, degrees, distance, hit = azimuth[seen], degrees[seen], distance[seen], hit[seen]

    width = np.where((degrees < 9) & (distance > 20), 1.6, 3.2)
    cells = np.stack([hit, np.floor(distance / 1.0), np.floor(np.rad2deg(azimuth) / width)])
    order = np.argsort(distance, kind="stable")
    _, first = np.unique(cells[:, order], axis=1, return_index=True)
    found = np.sort(order[first])
    # Strong and near cells answer more often.
    weight = rng.random(len(found)) / (
        10 ** (boxes.rcs[hit[found]] / 20) / (1 + distance[found] / 60)
    )
    found = np.sort(found[np.argsort(weight)[:MAX_RETURNS]])
    azimuth, degrees, distance, hit = azimuth[found], degrees[found], distance[found], hit[found]

    rcs = boxes.rcs[hit] + rng.normal(0, 4, len(hit))
    if noise:
        distance = distance + rng.normal(0, 0.08, len(hit))
        azimuth = azimuth + np.deg2rad(
            np.interp(degrees, [0, 9, 60], [0.1, 0.15, 1.0])
        ) * rng.normal(size=len(hit))
    position = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth)], axis=-1)
    radar_velocity = ego.velocity + ego.yaw_rate * np.array([-arm[1], arm[0]])
    velocity = (boxes.velocity[hit] - radar_velocity) @ axes
    ray = position / np.linalg.norm(position, axis=1, keepdims=True)
    over_ground = ((velocity + radar_velocity @ axes) * ray).sum(axis=1, keepdims=True) * ray
    if noise:
        position, rcs = _rounded(position, 0.2), _rounded(rcs, 0.5)
        velocity, over_ground = _rounded(velocity, 0.25), _rounded(over_ground, 0.25)

    returns = np.zeros(len(hit), RADAR_DTYPE)
    returns["x"], returns["y"] = position.T
    returns["vx"], returns["vy"] = velocity.T
    returns["vx_comp"], returns["vy_comp"] = over_ground.T
    returns["rcs"] = rcs
    returns["id"] = np.arange(len(hit))
    moves = np.linalg.norm(boxes.velocity[hit], axis=1) > 0.5
    oncoming = moves & (boxes.velocity[hit] @ ego.velocity < 0)
    returns["dyn_prop"] = np.select([oncoming, moves], [2, 0], 1)
    # Valid, unambiguous, false alarm below 25 %; rms codes as most nuScenes returns have them.
    for name, value in (("is_quality_valid", 1), ("ambig_state", 3), ("pdh0", 1)):
        returns[name] = value
    for name, value in (("x_rms", 19), ("y_rms", 19), ("vx_rms", 16), ("vy_rms", 3)):
        returns[name] = value
    return returns


def lidar_sweep(
    boxes: Boxes, ego: Pose, translation: np.ndarray, yaw: float, rng: np.random.Generator
) -> np.ndarray:
    """A sweep of a 32-beam lidar, taken at one instant.

    Args:
        boxes: the street at the time of the sweep.
        ego: base_link at that time.
        translation: (3,) of the lidar in base_link.
        yaw: of the lidar in base_link, radians.
        rng: for the range noise of 2 cm.

    Returns:
        (N, 5) float32 x, y, z in metres in the lidar's frame, intensity (0 to 255), ring.
    """
    origin = np.append(
        ego.position[:2] + _rotation(ego.yaw) @ translation[:2], ego.position[2] + translation[2]
    )
    heading = ego.yaw + yaw
    turn = 2 * np.pi * ((np.arange(_LIDAR_COLUMNS) + 0.5) / _LIDAR_COLUMNS - 0.5)
    flat, up = np.cos(_LIDAR_ELEVATION)[:, None], np.sin(_LIDAR_ELEVATION)[:, None]
    local = np.stack(
        [flat * np.cos(turn), flat * np.sin(turn), np.broadcast_to(up, (32, len(turn)))]
    )
    directions = local.copy()
    directions[:2] = np.einsum("ij,jhw->ihw", _rotation(heading), local[:2])
    boxes = boxes.near(origin, 90.0)
    windows = azimuth_windows(origin, boxes, heading, _LIDAR_COLUMNS, 2 * np.pi)
    distance, hit = cast(origin, directions.astype(np.float32), boxes, windows)
    seen = distance < 70
    # The roof of the vehicle itself hides the ground close by.
    seen &= distance > 3
    reach = distance + rng.normal(0, 0.02, distance.shape)
    ring = np.broadcast_to(np.arange(32)[:, None], distance.shape)
    brightness = np.append(boxes.colour.mean(axis=1), 0.15)[np.where(hit >= 0, hit, -1)]
    points = np.stack([*(local * reach), 90 * brightness, ring], axis=-1)
    return points[seen].astype(np.float32)


def _rotation(yaw: float) -> np.ndarray:
    """(2, 2) rotation by yaw."""
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])


def _rounded(values: np.ndarray, step: float) -> np.ndarray:
    """Values as multiples of a step."""
    return np.round(values / step) * step + 0.0  # no negative zeros
