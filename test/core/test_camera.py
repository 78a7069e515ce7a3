from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import scaled_image

K = np.array([[1000.0, 0, 800], [0, 900, 450], [0, 0, 1]])
POINT = np.array([[2.0, -1.0, 10.0]])  # lands on u = 1000 * 0.2 + 800, v = 900 * -0.1 + 450


def blob(u: float, v: float, width: int, height: int) -> np.ndarray:
    """An image with a soft spot centred on (u, v)."""
    row, column = np.mgrid[:height, :width]
    return np.exp(-((column - u) ** 2 + (row - v) ** 2) / (2 * 12.0**2)).astype(np.float32)


def centre(image: np.ndarray) -> tuple[float, float]:
    """(u, v) of an image's centre of mass."""
    row, column = np.mgrid[: image.shape[0], : image.shape[1]]
    mass = image.astype(np.float64)
    return (mass * column).sum() / mass.sum(), (mass * row).sum() / mass.sum()


def test_a_point_lands_where_the_pinhole_puts_it():
    uv, depth = Camera(K, 1600, 900).project(POINT)
    np.testing.assert_allclose(uv, [[1000.0, 360.0]], atol=1e-9)
    np.testing.assert_array_equal(depth, [10.0])


def test_points_behind_the_camera_land_nowhere():
    uv, depth = Camera(K, 1600, 900).project([[1, 1, -5], [1, 1, 0]])
    assert np.isnan(uv).all()
    np.testing.assert_array_equal(depth, [-5, 0])


@pytest.mark.parametrize(
    ("width", "height", "interpolation"),
    [
        (704, 396, "area"),
        (800, 450, "area"),
        (704, 396, "area_linear"),
        (400, 225, "area_linear"),
        (2000, 1000, "linear"),
    ],
)
def test_a_point_moves_as_the_picture_does_when_resized(width, height, interpolation):
    camera = Camera(K, 1600, 900)
    picture = scaled_image(blob(1000, 360, 1600, 900), width, height, interpolation)
    (uv,), _ = camera.resized(width, height).project(POINT)
    np.testing.assert_allclose(uv, centre(picture), atol=0.01)


def test_a_point_moves_as_the_picture_does_when_cropped_padded_and_flipped():
    camera = Camera(K, 1600, 900)
    picture = np.pad(blob(1000, 360, 1600, 900)[200:700, 600:1400], ((0, 12), (0, 32)))
    changed = camera.cropped(600, 200, 832, 512)
    (uv,), _ = changed.project(POINT)
    np.testing.assert_allclose(uv, (400, 160), atol=1e-9)
    np.testing.assert_allclose(uv, centre(picture), atol=0.01)
    (uv,), _ = changed.flipped().project(POINT * (-1, 1, 1))
    np.testing.assert_allclose(uv, centre(picture[:, ::-1]), atol=0.01)


def test_resizing_back_gives_the_same_camera():
    camera = Camera(K, 1600, 900)
    back = camera.resized(704, 396).resized(1600, 900)
    np.testing.assert_allclose(back.K, camera.K, rtol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "width", "complaint"),
    [
        (np.eye(4), 10, "3x3"),
        (np.diag([0.0, 100, 1]), 10, "focal"),
        (np.diag([100, np.nan, 1]), 10, "finite"),
        (np.array([[100, 2.0, 5], [0, 100, 5], [0, 0, 1]]), 10, "skew"),
        (np.diag([1e-310, 100, 1]), 10, "focal"),
        (np.diag([100.0, 1e300, 1]), 10, "focal"),
        (np.array([[100, 0, 1e300], [0, 100, 5], [0, 0, 1]]), 10, "principal point"),
        ([[10**400, 0, 5], [0, 100, 5], [0, 0, 1]], 10, "no matrix of numbers"),
        ("none", 10, "no matrix of numbers"),
        (np.diag([100.0, 100, 1]), 0, "size"),
        (np.diag([100.0, 100, 1]), 10**400, "size"),
        (np.diag([100.0, 100, 1]), np.inf, "size"),
        (np.diag([100.0, 100, 1]), "10", "size"),
    ],
)
def test_an_impossible_camera_is_refused(matrix, width, complaint):
    with pytest.raises(InputError, match=complaint):
        Camera(matrix, width, 10)
