"""Annotated boxes against the devkit's boxes and against what can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import START, car, street_block, tiny_world

from lircdepth_core.drive.annotations import SampleScans, annotate, count_inside
from lircdepth_core.drive.nuscenes_tables import Annotation
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.world import World

NOTHING = np.zeros((0, 3))


def annotations(world: World, times: list[float], lidar: np.ndarray) -> list[Annotation]:
    scans = [SampleScans(lidar, NOTHING) for _ in times]
    return annotate(world, RayCaster(world), times, scans)


def above(x: float, y: float) -> np.ndarray:
    """A point 1 m up at x, y from the start."""
    return np.array([[START[0] + x, START[1] + y, 1.0]])


def test_points_are_counted_as_the_devkit_counts_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rotation = Quaternion.random()
        center, size = rng.uniform(-5, 5, 3) + 500, rng.uniform(1, 8, 3)
        points = center + rng.uniform(-6, 6, (500, 3))
        expected = points_in_box(Box(center, size, rotation), points.T).sum()
        assert 0 < expected < 500
        assert count_inside(points, center, size, rotation.rotation_matrix) == expected


def test_boxes_stand_around_the_thing_with_a_little_air() -> None:
    (found,) = annotations(tiny_world([car(20, 3, speed=5, yaw=np.pi / 2)]), [1.0], above(20, 8))
    np.testing.assert_allclose(found.size, [1.9, 4.5, 1.55])
    np.testing.assert_allclose(found.translation, [START[0] + 20, START[1] + 8, 0.775], atol=1e-9)
    turned = Quaternion(found.rotation).rotate([1, 0, 0])
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-9)
    assert (found.category, found.attribute) == ("vehicle.car", "vehicle.moving")
    assert (found.num_lidar_pts, found.num_radar_pts) == (1, 0)


@pytest.mark.parametrize(
    ("wall", "level"),
    [
        (None, 4),
        # The car's rear is seen from the front camera; the wall leaves a part of its 1.8 m.
        ((15, -0.2, (0.3, 5, 4)), 1),
        ((15, 0.45, (0.3, 5, 4)), 3),
        ((15, 0.15, (0.3, 5, 4)), 2),
        ((15, -5, (0.3, 10, 4)), 1),
    ],
)
def test_visibility_is_the_share_that_the_cameras_see(wall: tuple | None, level: int) -> None:
    static = [street_block(*wall)] if wall else []
    (found,) = annotations(tiny_world([car(20, 0)], static=static), [0.0], above(20, 0))
    assert found.visibility == level


def test_things_are_annotated_from_their_first_point_to_their_last() -> None:
    world = tiny_world([car(20, 0), car(30, 3), car(300, 0)])
    inside, outside = above(20, 0), above(0, 50)
    scans = [SampleScans(lidar, NOTHING) for lidar in (outside, inside, outside, inside, outside)]
    found = annotate(world, RayCaster(world), [0.0, 0.1, 0.2, 0.3, 0.4], scans)
    assert [(a.instance, a.sample, a.num_lidar_pts) for a in found] == [
        (0, 1, 1),
        (0, 2, 0),
        (0, 3, 1),
    ]


def test_radar_returns_count_too() -> None:
    world = tiny_world([car(20, 0)])
    scan = SampleScans(NOTHING, np.repeat(above(20, 0), 3, axis=0))
    (found,) = annotate(world, RayCaster(world), [0.0], [scan])
    assert (found.num_lidar_pts, found.num_radar_pts) == (0, 3)
