from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.radar import RadarReturns

CAMERA = Camera(np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), 100, 80)


def returns_at(uvd: list[tuple[float, float, float]], camera: Camera = CAMERA) -> RadarReturns:
    """Returns that project to (u, v) at a depth; rcs counts up from 1, velocity is (rcs, -rcs)."""
    u, v, depth = np.array(uvd, dtype=np.float64).T
    fx, fy, (cx, cy) = camera.K[0, 0], camera.K[1, 1], camera.K[:2, 2]
    position = np.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], axis=1)
    rcs = np.arange(1, len(u) + 1)
    return RadarReturns(position, rcs, np.stack([rcs, -rcs], axis=1))


def test_seen_is_what_lies_in_front_and_inside():
    returns = returns_at(
        [(50, 40, 10), (50, 40, 1.0), (50, 40, 1.01), (1.0, 40, 9), (1.01, 40, 9), (99, 40, 9)]
        + [(98.9, 40, 9), (50, 79, 9), (50, 78.9, 9), (50, 0.9, 9)]
    )
    visible = returns.visible_in(CAMERA)
    assert visible.kept.tolist() == [
        True,
        False,
        True,
        False,
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    np.testing.assert_allclose(visible.uv[0], (50, 40))
    np.testing.assert_allclose(visible.depth, [10, 1.01, 9, 9, 9])


def test_returns_that_are_not_finite_are_not_seen():
    position = np.tile([0.0, 0, 10], (4, 1))
    position[1, 0] = np.nan
    rcs = [1, 2, np.nan, 4]
    velocity = [[0, 0], [0, 0], [0, 0], [np.inf, 0]]
    visible = RadarReturns(position, rcs, velocity).visible_in(CAMERA)
    assert visible.kept.tolist() == [True, False, False, False]


def test_the_radar_image_holds_the_nearest_return_of_each_pixel():
    returns = returns_at([(20.2, 30.9, 7), (20.9, 30.1, 5), (20.5, 30.5, 9), (21.0, 30.5, 6)])
    image = returns.visible_in(CAMERA).rasterise(CAMERA, CAMERA)
    assert image.shape == (4, 80, 100)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[:, 30, 20], [5, 2, 2, -2])
    np.testing.assert_allclose(image[:, 30, 21], [6, 4, 4, -4])
    assert np.count_nonzero(image[0]) == 2


@given(
    st.lists(
        st.tuples(st.integers(2, 8), st.integers(2, 8), st.floats(2, 90, width=32)), max_size=40
    )
)
def test_nearest_wins_whatever_the_order(uvd):
    if not uvd:
        return
    returns = returns_at([(u + 0.5, v + 0.5, depth) for u, v, depth in uvd])
    image = returns.visible_in(CAMERA).rasterise(CAMERA, CAMERA)
    expected = np.zeros((80, 100))
    for u, v, depth in sorted(uvd, key=lambda row: -row[2]):
        expected[v, u] = depth
    np.testing.assert_allclose(image[0], expected, rtol=1e-6)


def test_returns_follow_the_picture_through_scale_and_crop():
    visible = returns_at([(60.0, 50.0, 10), (60.0, 7.0, 12)]).visible_in(CAMERA)
    half = CAMERA.resized(50, 40)
    image = visible.rasterise(CAMERA, half.cropped(0, 4, 50, 32))
    # (60 + 0.5) / 2 - 0.5 = 29.75; (50 + 0.5) / 2 - 0.5 - 4 = 20.75. The other ends at row -0.75.
    assert np.argwhere(image[0]).tolist() == [[20, 29]]


def test_a_mirrored_scene_lands_mirrored_and_moves_mirrored():
    returns = returns_at([(20.5, 30.5, 10)])
    mirrored = returns.flipped()
    uv, _ = CAMERA.flipped().project(mirrored.position)
    np.testing.assert_allclose(uv, [(99 - 20.5, 30.5)])
    np.testing.assert_allclose(mirrored.velocity, [(1, 1)])


def test_returns_of_a_radar_that_looks_left_are_turned_to_the_camera():
    # 1 m right of the camera and 0.5 m below, its x axis points to the camera's left.
    camera_from_radar = np.array([[-1.0, 0, 0, 1.0], [0, 0, -1, 0.5], [0, -1, 0, 0], [0, 0, 0, 1]])
    returns = RadarReturns.from_sensor(
        [[10.0, -4, 0]], [3], np.array([[2.0, 0.5]]), camera_from_radar, stamp=1.5
    )
    np.testing.assert_allclose(returns.position, [[-9, 0.5, 4]])
    # Along the radar's x is left, along its y is backwards.
    np.testing.assert_allclose(returns.velocity, [[-0.5, 2.0]], atol=1e-6)
    assert returns.stamp == 1.5


def test_a_scalar_doppler_points_along_the_line_of_sight():
    looks_ahead = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    returns = RadarReturns.from_sensor([[3.0, 4, 0], [0, 0, 0]], [0, 0], [-10, 5], looks_ahead)
    np.testing.assert_allclose(returns.velocity, [[-6, -8], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -1.0])
@pytest.mark.parametrize("doppler", [False, True])
def test_a_radar_mounted_upside_down_says_the_same(yaw, doppler):
    camera_from_vehicle = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    turned = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    rolled = np.diag([1.0, -1.0, -1.0])
    position, velocity = np.array([[10.0, 5.0, 0.2]]), np.array([[2.0, 0.5]])
    upright, upside_down = np.eye(4), np.eye(4)
    upright[:3, :3] = camera_from_vehicle @ turned
    upside_down[:3, :3] = camera_from_vehicle @ turned @ rolled
    seen, seen_rolled = ([2.0], [2.0]) if doppler else (velocity, velocity * (1, -1))
    expected = RadarReturns.from_sensor(position, [0], seen, upright)
    found = RadarReturns.from_sensor(position @ rolled, [0], seen_rolled, upside_down)
    np.testing.assert_allclose(found.position, expected.position, atol=1e-9)
    np.testing.assert_allclose(found.velocity, expected.velocity, atol=1e-6)
    assert np.abs(expected.velocity).min() > 0.1


def test_several_radars_make_one_cloud():
    one = RadarReturns([[0, 0, 5]], [1], [[1, 2]], stamp=10.0)
    two = RadarReturns([[0, 0, 6], [0, 0, 7]], [2, 3], [[3, 4], [5, 6]], stamp=11.0)
    both = RadarReturns.concatenate([one, two, RadarReturns.empty()])
    np.testing.assert_array_equal(both.position[:, 2], [5, 6, 7])
    np.testing.assert_array_equal(both.rcs, [1, 2, 3])
    assert both.stamp == 11.0
    assert len(RadarReturns.concatenate([])) == 0


def test_arrays_of_different_length_are_refused():
    with pytest.raises(InputError, match="2 positions, 1 rcs"):
        RadarReturns(np.zeros((2, 3)), [0], np.zeros((2, 2)))


def test_a_return_at_the_border_survives_strong_scaling(make_camera):
    camera = make_camera(1600, 900, 1266.0, cx=800.0, cy=450.0)
    # 1.1 px from the left edge: at an eighth, its position is 0.3 px left of pixel 0's centre.
    position = np.array([[(1.1 - 800.0) / 1266.0 * 20.0, 0.0, 20.0]])
    visible = RadarReturns(position, np.zeros(1), np.zeros((1, 2))).visible_in(camera)
    image = visible.rasterise(camera, camera.resized(200, 112))
    assert image[0].max() == pytest.approx(20.0)
    assert np.argwhere(image[0])[0][1] == 0
