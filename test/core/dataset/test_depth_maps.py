from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.depth_maps import (
    accumulate,
    interpolate,
    project,
    single_scan,
    tie_breaks,
)


@pytest.fixture
def camera():
    return Camera(np.array([[10.0, 0, 20], [0, 10, 15], [0, 0, 1]]), 41, 31)


def at(u: float, v: float, depth: float) -> list[float]:
    """The point that the camera sees at (u, v)."""
    return [(u - 20) / 10 * depth, (v - 15) / 10 * depth, depth]


def cloud(*points: list[float]) -> np.ndarray:
    return np.array(points, float).reshape(-1, 3).T


@pytest.mark.parametrize(
    ("u", "v", "depth", "seen"),
    [
        (20, 15, 5, True),
        (20, 15, 1.01, True),
        (20, 15, 1.0, False),
        (20, 15, -5, False),
        (1.01, 15, 5, True),
        (0.99, 15, 5, False),
        (39.99, 15, 5, True),
        (40.01, 15, 5, False),
        (20, 1.01, 5, True),
        (20, 0.99, 5, False),
        (20, 29.99, 5, True),
        (20, 30.01, 5, False),
    ],
)
def test_a_point_counts_inside_the_image_at_more_than_a_metre(camera, u, v, depth, seen):
    points = cloud(at(20, 10, 7), at(u, v, depth))
    assert (1 in project(points, np.eye(4), camera).number) == seen


def test_points_move_to_the_camera_and_land_on_the_nearest_pixel(camera):
    camera_from_points = np.eye(4)
    camera_from_points[:3, 3] = (0, 0, 2)
    place = at(12.4, 7.6, 5.0)
    scan = single_scan(cloud([place[0], place[1], place[2] - 2]), camera_from_points, camera)
    assert np.argwhere(scan).tolist() == [[8, 12]]
    assert scan[8, 12] == pytest.approx(5.0)


def test_the_nearest_point_of_a_pixel_wins(camera):
    points = cloud(at(10, 10, 8), at(10.2, 9.9, 6), at(9.8, 10, 7))
    assert single_scan(points, np.eye(4), camera)[10, 10] == pytest.approx(6)


def test_sweeps_fill_and_replace_when_nearer_but_not_behind_what_moves(camera):
    scan = np.zeros((31, 41))
    scan[10, 10], scan[10, 11] = 8.0, 8.0
    blocked_from = np.full((31, 41), np.inf)
    blocked_from[20:, :] = 5.0
    sweep = cloud(
        at(10, 10, 6),  # nearer
        at(11, 10, 9),  # farther
        at(5, 5, 30),  # an empty pixel
        at(5, 25, 6),  # behind something movable
        at(6, 25, 4),  # before it
    )
    result = accumulate(scan, [(sweep, np.eye(4))], blocked_from, camera)
    expected = scan.copy()
    expected[10, 10], expected[5, 5], expected[25, 6] = 6, 30, 4
    np.testing.assert_allclose(result, expected)


def test_interpolation_is_exact_on_a_plane_and_nothing_outside_the_hull():
    rows, columns = np.indices((30, 40))
    plane = 5 + 0.5 * rows + 0.25 * columns
    rng = np.random.default_rng(0)
    known = rng.random((30, 40)) < 0.1
    known[:5] = False
    known[:, 30:] = False
    known[[5, 5, 29, 29], [0, 29, 0, 29]] = True
    dense = interpolate(np.where(known, plane, 0))
    # The hull's own edge may be missed by the displacement that settles ties.
    np.testing.assert_allclose(dense[6:29, 1:29], plane[6:29, 1:29], atol=2e-3)
    assert not dense[:5].any()
    assert not dense[:, 30:].any()


def test_interpolation_is_scipys_but_for_ties():
    """Dense areas, holes, lines and lone pixels, as accumulated lidar has them."""
    rng = np.random.default_rng(1)
    rows, columns = np.indices((90, 120))
    depth = 20 + rows / 3 + 5 * np.sin(columns / 9) + 30 * (columns > 60)
    known = rng.random(depth.shape) < 0.9 - 0.8 * (rows > 40)
    known[rng.integers(0, 90, 5)] = True
    known[60:80, 20:50] = False
    sparse = np.where(known, depth, 0)
    dense = interpolate(sparse)
    np.testing.assert_array_equal(dense[known], sparse[known])

    displaced = np.argwhere(known) + tie_breaks(sparse.shape)[known]
    every = LinearNDInterpolator(displaced, sparse[known], fill_value=0)(np.argwhere(~known))
    np.testing.assert_allclose(dense[~known], every, atol=1e-9)
    plain = LinearNDInterpolator(np.argwhere(known), sparse[known], fill_value=0)
    difference = np.abs(dense[~known] - plain(np.argwhere(~known)))
    assert np.quantile(difference, 0.8) < 0.01


@pytest.mark.parametrize("pixels", [[], [(3, 3)], [(3, 3), (3, 8)]])
def test_pixels_without_a_triangle_stay_as_they_are(pixels):
    sparse = np.zeros((10, 10))
    for pixel in pixels:
        sparse[pixel] = 4.0
    np.testing.assert_array_equal(interpolate(sparse), sparse)
