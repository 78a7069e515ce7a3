from __future__ import annotations

import cv2
import numpy as np
import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.rectification import MAX_SIDE, Rectifier

K = np.array([[420.0, 0, 322.5], [0, 430, 238.0], [0, 0, 1]])
NEW_K = np.array([[380.0, 0, 318.0], [0, 380, 241.0], [0, 0, 1]])
WIDTH, HEIGHT = 640, 480
DISTORTIONS = {
    "plumb_bob": [-0.28, 0.09, 0.0012, -0.0008, -0.01],
    "rational_polynomial": [1.2, -0.3, 0.0005, -0.0004, 0.02, 1.5, -0.1, 0.05],
    "equidistant": [-0.02, 0.005, -0.002, 0.0004],
}


def rays() -> np.ndarray:
    """(N, 3) directions of a grid of rectified pixels."""
    u, v = np.meshgrid(np.arange(120, 521, 40), np.arange(100, 381, 40))
    pixels = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], axis=1)
    return pixels @ np.linalg.inv(NEW_K).T


def distort(points: np.ndarray, model: str) -> np.ndarray:
    """(N, 2) pixels of the distorted image that OpenCV's own projection gives."""
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    still = np.zeros(3)
    if model == "equidistant":
        uv, _ = project(points[None], still, still, K, np.array(DISTORTIONS[model]))
    else:
        uv, _ = project(points, still, still, K, np.array(DISTORTIONS[model]))
    return uv.reshape(-1, 2)


@pytest.mark.parametrize("model", DISTORTIONS)
def test_a_distorted_point_comes_back_at_its_pinhole_place(model):
    """Images that hold their own column and row tell where each rectified pixel came from."""
    rectifier = Rectifier(K, DISTORTIONS[model], model, WIDTH, HEIGHT, NEW_K)
    points = rays()
    uv, _ = rectifier.camera.project(points)
    column, row = np.rint(uv).astype(int).T
    positions = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)[::-1]
    read_from = np.stack([rectifier(axis)[row, column] for axis in positions], axis=1)
    expected = distort(points, model)
    assert np.abs(expected - uv).max() > 5
    np.testing.assert_allclose(read_from, expected, atol=0.1)


@pytest.mark.parametrize("D", [[], [0.0] * 5])
def test_an_image_without_distortion_stays_as_it_is(D):
    image = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    assert Rectifier(K, D, "plumb_bob", WIDTH, HEIGHT)(image) is image


def test_an_equidistant_lens_is_straightened_even_with_zero_coefficients():
    assert Rectifier(K, [0.0] * 4, "equidistant", WIDTH, HEIGHT).maps is not None


def test_another_focal_length_is_applied_without_distortion():
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    image[238, 322] = 255
    shifted = K + np.array([[0, 0, 10], [0, 0, -20], [0, 0, 0]])
    out = Rectifier(K, [], "plumb_bob", WIDTH, HEIGHT, shifted)(image)
    assert np.unravel_index(out.argmax(), out.shape) == (218, 332)


@pytest.mark.parametrize(
    ("D", "model", "complaint"),
    [
        ([0.1] * 5, "fov", "distortion_model"),
        ([0.1] * 3, "plumb_bob", "3 coefficients"),
        ([], "equidistant", "0 coefficients"),
        ([0.1, np.nan, 0, 0], "plumb_bob", "finite"),
    ],
)
def test_an_unusable_calibration_is_refused(D, model, complaint):
    with pytest.raises(InputError, match=complaint):
        Rectifier(K, D, model, WIDTH, HEIGHT)


@pytest.mark.parametrize("model", DISTORTIONS)
def test_an_image_that_opencv_cannot_rectify_is_refused(model):
    for width, height in ((MAX_SIDE + 1, 2), (2, MAX_SIDE + 1)):
        with pytest.raises(InputError, match=rf"image: size {width}x{height}; images of up to"):
            Rectifier(K, DISTORTIONS[model], model, width, height)
    image = np.zeros((2, MAX_SIDE), np.uint8)
    assert Rectifier(K, DISTORTIONS[model], model, MAX_SIDE, 2)(image).shape == image.shape
    Rectifier(K, [], "plumb_bob", MAX_SIDE + 1, 2)  # nothing has to move


def test_an_image_of_another_size_is_refused():
    rectifier = Rectifier(K, DISTORTIONS["plumb_bob"], "plumb_bob", WIDTH, HEIGHT)
    with pytest.raises(InputError, match="320x240"):
        rectifier(np.zeros((240, 320, 3), np.uint8))


def test_what_the_distorted_image_does_not_show_is_known():
    """A pinhole camera of a wider view: its outer pixels lie beyond the image."""
    wide = np.array([[210.0, 0, 322.5], [0, 215, 238.0], [0, 0, 1]])
    rectifier = Rectifier(K, [], "plumb_bob", WIDTH, HEIGHT, wide)
    column = 322.5 + 2 * (np.arange(WIDTH) - 322.5)
    row = 238.0 + 2 * (np.arange(HEIGHT) - 238.0)
    shown = (np.abs(row - 239.5) <= 240)[:, None] & (np.abs(column - 319.5) <= 320)
    np.testing.assert_array_equal(rectifier.unseen, ~shown)
    image = rectifier(np.full((HEIGHT, WIDTH), 200, np.uint8))
    assert (image[shown] > 99).all()

    half = rectifier.camera.resized(WIDTH // 2, HEIGHT // 2).cropped(0, 60, WIDTH // 2, 100)
    smaller = rectifier.unseen_by(half)
    expected = ~shown[121 : 121 + 200 : 2, 1::2]  # of two as near, the even one
    assert smaller.shape == (100, WIDTH // 2)
    assert (smaller != expected).mean() < 0.02
    assert rectifier.unseen_by(rectifier.camera) is rectifier.unseen


def test_where_the_lens_model_folds_back_the_image_shows_nothing():
    """Beyond its range a barrel distortion leads back into the image."""
    center, wide = 319.5, np.array([[380.0, 0, 319.5], [0, 380, 239.5], [0, 0, 1]])
    lens = np.array([[600.0, 0, center], [0, 600, 239.5], [0, 0, 1]])
    k1 = -0.35
    rectifier = Rectifier(lens, [k1, 0, 0, 0], "plumb_bob", WIDTH, HEIGHT, wide)
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    radius2 = ((u - center) / 380) ** 2 + ((v - 239.5) / 380) ** 2
    # r (1 + k1 r²) grows up to r² = -1 / (3 k1); a pixel on that circle may be either.
    beyond = radius2 > -1 / (3 * k1) * 1.02
    assert beyond.any()
    assert rectifier.unseen[beyond].all()
    within = radius2 < 0.15
    assert not rectifier.unseen[within].any()


def test_an_image_that_shows_all_hides_nothing():
    narrow = np.array([[840.0, 0, 322.5], [0, 860, 238.0], [0, 0, 1]])
    assert Rectifier(K, [], "plumb_bob", WIDTH, HEIGHT, narrow).unseen is None
    assert Rectifier(K, [], "plumb_bob", WIDTH, HEIGHT).unseen_by(None) is None
