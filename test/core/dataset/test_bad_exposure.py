"""Badly exposed images: what is left of the light."""

import numpy as np
import pytest

from lircdepth_core.dataset.bad_exposure import exposed, exposure_gain


def test_an_image_as_it_is_keeps_its_light():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(exposed(image, exposure_gain("as it is", 0.3)), image)


@pytest.mark.parametrize(
    ("part", "white_becomes"), [(0.0, 0), (0.25, 0), (0.625, 5), (1.0, 10)]
)  # gains 0, 0, 0.02 and 0.04
def test_black_leaves_a_few_steps_of_light_or_none(part, white_becomes):
    image = np.full((2, 2, 3), 255, np.uint8)
    assert (exposed(image, exposure_gain("black", part)) == white_becomes).all()


def test_saturated_is_cut_at_white():
    assert exposure_gain("saturated", 0.0) == pytest.approx(8)
    assert exposure_gain("saturated", 1.0) == pytest.approx(200)
    image = np.array([[[0, 1, 2]], [[31, 32, 200]]], np.uint8)
    assert exposed(image, 8.0).tolist() == [[[0, 8, 16]], [[248, 255, 255]]]
