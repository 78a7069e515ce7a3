"""How images are scaled, in training and at run time alike."""

import numpy as np
import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import INTERPOLATIONS, scaled_image


def stripes(period, width=1600, height=900):
    """White and black columns, (height, width, 3)."""
    white = np.arange(width) % period < period // 2
    return np.broadcast_to(np.where(white, 255, 0).astype(np.uint8)[:, None], (height, width, 3))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_evenly_lit_image_stays_so(interpolation):
    for size in ((704, 396), (800, 450), (97, 33), (2000, 1200)):
        scaled = scaled_image(np.full((900, 1600, 3), 77, np.uint8), *size, interpolation)
        assert scaled.shape == (*size[::-1], 3)
        assert (scaled == 77).all()


@pytest.mark.parametrize("interpolation", ["area", "area_linear"])
def test_what_is_finer_than_the_new_pixels_fades(interpolation):
    fine = stripes(2)
    assert scaled_image(fine, 704, 396, interpolation).std() < 35
    assert scaled_image(fine, 704, 396, "linear").std() > 60


@pytest.mark.parametrize("interpolation", ["area", "area_linear"])
def test_what_is_coarser_stays(interpolation):
    assert scaled_image(stripes(40), 704, 396, interpolation).std() > 110


def test_whole_blocks_are_averaged():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    halved = scaled_image(image, 3, 2, "area_linear")
    np.testing.assert_allclose(halved, image.reshape(2, 2, 3, 2, 3).mean((1, 3)), atol=0.5)
    # Blocks of 3 would leave it smaller than asked for, blocks of 2 do not divide it.
    odd = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    np.testing.assert_array_equal(
        scaled_image(odd, 3, 2, "area_linear"), scaled_image(odd, 3, 2, "linear")
    )


@pytest.mark.parametrize("interpolation", ["area", "area_linear"])
def test_an_image_is_enlarged_linearly(interpolation):
    image = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    for size in ((40, 20), (40, 5)):
        np.testing.assert_array_equal(
            scaled_image(image, *size, interpolation), scaled_image(image, *size, "linear")
        )


def test_an_image_of_the_right_size_is_left():
    image = stripes(2, 64, 32)
    assert scaled_image(image, 64, 32, "area_linear") is image


@pytest.mark.parametrize("size", [(40, 30), (10, 7), (80, 60)])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_bgr_that_is_seen_as_rgb_is_scaled_to_the_same_rgb(interpolation, size):
    bgr = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    scaled = scaled_image(bgr[..., ::-1], *size, interpolation)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    np.testing.assert_array_equal(scaled, scaled_image(rgb, *size, interpolation))
    assert scaled.flags.c_contiguous


def test_an_unknown_way_is_refused():
    with pytest.raises(InputError, match="'nearest': choose from area, area_linear"):
        scaled_image(stripes(2, 64, 32), 32, 16, "nearest")
