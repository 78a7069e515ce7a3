"""The lidar over flat ground and walls, where everything can be worked out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import CLEAR, street_block, tiny_world

from lircdepth_core.drive.lidar import lidar_sweep
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.sensor_rig import LIDAR, mounting, sensor_rig
from lircdepth_core.drive.world import Conditions, World

RAIN = replace(CLEAR, weather="rain", visibility=1500.0)
FOG = replace(CLEAR, weather="fog", visibility=80.0)


def sweep(world: World, conditions: Conditions = CLEAR, seed: int = 0) -> np.ndarray:
    (mount,) = (sensor for sensor in sensor_rig((), ()) if sensor.channel == LIDAR)
    pose = world.ego_pose(0.0) @ mounting(mount)
    return lidar_sweep(RayCaster(world).at(0.0), pose, conditions, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def walled() -> World:
    """A wall 20 m ahead, and ground."""
    return tiny_world(static=[street_block(20, -200, (5, 400, 60))])


def test_beams_are_the_hdl_32es_numbered_from_below(walled: World) -> None:
    points = sweep(walled)
    elevation = np.rad2deg(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    expected = -30.67 + points[:, 4] * 41.34 / 31
    np.testing.assert_allclose(elevation, expected, atol=1e-3)
    assert set(points[:, 4]) == set(range(32))


def test_points_lie_on_ground_and_wall_within_the_noise(walled: World) -> None:
    points = sweep(walled)
    # x is to the right and y ahead in the lidar's frame; it sits 0.94 m ahead, 1.84 m up.
    wall = points[(points[:, 1] > 18) & (points[:, 2] > -1.5)]
    ground = points[points[:, 1] < 18]
    for error in (wall[:, 1] - 19.06, ground[:, 2] + 1.84):
        assert np.abs(error).max() < 0.12
        assert abs(np.median(error)) < 0.005
    distance = np.linalg.norm(wall[:, :3], axis=1)
    noise = distance - 19.06 / (wall[:, 1] / distance)
    assert np.std(noise) == pytest.approx(0.02, rel=0.1)


def test_intensity_follows_what_is_hit(walled: World) -> None:
    points = sweep(walled)
    intensity = points[:, 3]
    assert intensity.min() >= 0
    assert intensity.max() <= 255
    assert np.array_equal(intensity, np.round(intensity))
    ahead = np.abs(points[:, 0]) < 3
    brick = np.median(intensity[ahead & (points[:, 1] > 18)])
    asphalt = np.median(intensity[ahead & (points[:, 1] < 18)])
    assert brick == pytest.approx(34, abs=3)  # reflectivity 0.35, nearly facing
    assert 2 < asphalt < 12


def test_dark_ground_is_lost_far_away(walled: World) -> None:
    points = sweep(walled)
    behind = points[points[:, 1] < 0]
    distance = np.linalg.norm(behind[:, :3], axis=1)
    assert 25 < distance.max() < 80
    # What is near comes back: the 1084 shots of a ring, less one in a hundred.
    assert np.sum(sweep(tiny_world())[:, 4] == 12) > 0.97 * 1084


def test_the_roof_hides_the_ground_close_by(walled: World) -> None:
    points = sweep(walled)
    assert np.hypot(points[:, 0], points[:, 1]).min() > 3
    straight_ahead = np.abs(points[:, 0]) < 0.3
    assert points[straight_ahead & (points[:, 1] > 0)][:, 1].min() > 4


def test_fog_and_rain_lose_points_and_add_stray_ones(walled: World) -> None:
    clear, rain, fog = (sweep(walled, weather) for weather in (CLEAR, RAIN, FOG))
    assert len(fog) < len(rain) < len(clear)
    far = [np.sum(np.linalg.norm(points[:, :3], axis=1) > 40) for points in (clear, fog)]
    assert far[1] < 0.1 * far[0]
    near = [np.sum(np.linalg.norm(points[:, :3], axis=1) < 3) for points in (clear, rain, fog)]
    assert near[0] == 0
    assert near[1] > 50
    assert near[2] > near[1]


def test_the_same_seed_gives_the_same_sweep(walled: World) -> None:
    assert np.array_equal(sweep(walled, seed=3), sweep(walled, seed=3))
    assert not np.array_equal(sweep(walled, seed=3)[:50], sweep(walled, seed=4)[:50])
