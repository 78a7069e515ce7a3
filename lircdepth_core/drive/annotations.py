"""Boxes of the things in a scene: where they are, how well they are seen, what lies in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.drive.nuscenes_tables import Annotation
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.rotations import quaternion_of
from lircdepth_core.drive.sensor_rig import mounting, sensor_rig
from lircdepth_core.drive.world import Thing, World

BOX_MARGIN = 0.05
"""Metres of air around an object in its box, as annotators leave it; none below it."""

_RANGE = 100.0
_GRID = 12


@dataclass(frozen=True, eq=False)
class SampleScans:
    """What lidar and radars measured for one sample, unfiltered, in the world frame.

    Attributes:
        lidar: (N, 3) metres.
        radar: (M, 3) metres, of all radars.
    """

    lidar: np.ndarray
    radar: np.ndarray


def annotate(
    world: World,
    caster: RayCaster,
    times: Sequence[float],
    scans: Sequence[SampleScans],
) -> list[Annotation]:
    """The boxes of a scene, in the world frame.

    A thing is annotated from the first to the last sample in which a lidar point or radar return
    lies in its box. Visibility is the share of its surface, as seen from the vehicle, that the six
    cameras see, whether they are recorded or not.

    Args:
        world: with the things; those without a category are left out.
        caster: of the same world.
        times: seconds of the samples.
        scans: of each sample.

    Returns:
        By sample and thing; `instance` is the thing's index.
    """
    found: list[Annotation] = []
    counts = [_count(world, time, scan) for time, scan in zip(times, scans, strict=True)]
    held = [{index for index, points in one.items() if any(points)} for one in counts]
    for sample, time in enumerate(times):
        before, after = set().union(*held[: sample + 1]), set().union(*held[sample:])
        indices = sorted(before & after & set(counts[sample]))
        shares = _visible_shares(world, caster, indices, time)
        for index, share in zip(indices, shares, strict=True):
            thing = world.things[index]
            center, size, rotation = box(thing, thing.pose(time))
            lidar, radar = counts[sample][index]
            found.append(
                Annotation(
                    sample=sample,
                    instance=index,
                    category=str(thing.category),
                    translation=tuple(center.tolist()),
                    size=tuple(size.tolist()),
                    rotation=quaternion_of(rotation),
                    visibility=1 + int(np.searchsorted([0.4, 0.6, 0.8], share, side="right")),
                    attribute=thing.attribute(time),
                    num_lidar_pts=lidar,
                    num_radar_pts=radar,
                )
            )
    return found


def box(thing: Thing, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A thing's annotated box at a pose (4, 4): centre (3,), size (3,) as width, length, height,
    and rotation (3, 3) of the box's axes.
    """
    width, length, height = thing.size
    size = np.array([width + 2 * BOX_MARGIN, length + 2 * BOX_MARGIN, height + BOX_MARGIN])
    center = pose[:3, :3] @ (0.0, 0.0, size[2] / 2) + pose[:3, 3]
    return center, size, pose[:3, :3]


def count_inside(
    points: np.ndarray, center: np.ndarray, size: np.ndarray, rotation: np.ndarray
) -> int:
    """How many of (N, 3) points lie in a box; the devkit's `points_in_box` counts the same."""
    reach = np.linalg.norm(size) / 2
    near = points[(np.abs(points[:, :2] - center[:2]) <= reach).all(axis=1)]
    local = (near - center) @ rotation
    return int((np.abs(local) <= size[[1, 0, 2]] / 2).all(axis=1).sum())


def _count(world: World, time: float, scan: SampleScans) -> dict[int, tuple[int, int]]:
    """Lidar points and radar returns in the box of each thing with a category near the vehicle."""
    ego = world.ego_pose(time)
    counts = {}
    for index, thing in enumerate(world.things):
        pose = thing.pose(time)
        if thing.category and np.linalg.norm(pose[:3, 3] - ego[:3, 3]) < _RANGE:
            bounds = box(thing, pose)
            counts[index] = count_inside(scan.lidar, *bounds), count_inside(scan.radar, *bounds)
    return counts


def _visible_shares(
    world: World, caster: RayCaster, indices: Sequence[int], time: float
) -> np.ndarray:
    """The share of each thing's surface that the cameras see."""
    ego, moment = world.ego_pose(time), caster.at(time)
    cameras = [sensor for sensor in sensor_rig(radars=()) if sensor.K is not None]
    poses = [ego @ mounting(sensor) for sensor in cameras]
    middle = np.mean([pose[:3, 3] for pose in poses], axis=0)
    patches = [_surface(caster, index, world.things[index], middle, time) for index in indices]
    points = np.concatenate([np.zeros((0, 3)), *patches])
    owner = np.repeat(np.arange(len(indices)), [len(patch) for patch in patches])
    visible = np.zeros(len(points), dtype=bool)
    for sensor, pose in zip(cameras, poses, strict=True):
        width, height = sensor.size
        uv, depth = Camera(np.asarray(sensor.K), width, height).project(
            (points - pose[:3, 3]) @ pose[:3, :3]
        )
        inside = (depth > 0) & ((uv > -0.5) & (uv < (width - 0.5, height - 0.5))).all(axis=1)
        chosen = np.flatnonzero(inside & ~visible)
        rays = points[chosen] - pose[:3, 3]
        distance = np.linalg.norm(rays, axis=1)
        hits = moment.cast(pose[:3, 3], rays / distance[:, None])
        itself = hits.thing == np.array(indices, dtype=int)[owner[chosen]]
        visible[chosen] = itself | (hits.distance > distance - 0.05)
    total = np.bincount(owner, minlength=len(indices))
    return np.bincount(owner, visible, minlength=len(indices)) / np.maximum(total, 1)


def _surface(
    caster: RayCaster, index: int, thing: Thing, origin: np.ndarray, time: float
) -> np.ndarray:
    """(N, 3) points of a thing's surface evenly spread over its view from `origin`."""
    pose = thing.pose(time)
    center, size, rotation = box(thing, pose)
    corners = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]), -1).reshape(-1, 3)
    corners = center + (corners * size[[1, 0, 2]]) @ rotation.T - origin
    ahead = center - origin
    distance = np.linalg.norm(ahead)
    ahead = ahead / distance
    across = np.cross(ahead, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    view = np.stack([across, np.cross(across, ahead), ahead])
    # The extent of a box around the vehicle's own place has no end.
    local = corners @ view.T
    local = local[:, :2] / np.maximum(local[:, 2:], 0.1 * distance)
    steps = (np.arange(_GRID) + 0.5) / _GRID
    low, high = local.min(axis=0), local.max(axis=0)
    grid = np.stack(np.meshgrid(*(low + np.outer(steps, high - low)).T), -1).reshape(-1, 2)
    directions = np.column_stack([grid, np.ones(len(grid))]) @ view
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = caster.alone(index, pose).cast(origin, directions)
    hit = hits.material >= 0
    return origin + directions[hit] * hits.distance[hit, None]
