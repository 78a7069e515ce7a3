"""How much an image shows, against images made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.inference.visible_structure import BLOCK, LEAST_STEP, structure_share


def grey(luma: np.ndarray) -> np.ndarray:
    return np.repeat(luma.astype(np.uint8)[:, :, None], 3, axis=2)


def blocks(means: list[list[int]]) -> np.ndarray:
    return grey(np.kron(means, np.ones((BLOCK, BLOCK))))


def test_the_share_of_places_where_blocks_differ_enough_is_told():
    # Of the 2 x 3 places the last two of the upper row and the first of the lower one differ.
    steps = [[100, 100, 100, 100 + LEAST_STEP], [100, 100, 100, 98], [97, 100, 99, 100]]
    assert structure_share(blocks(steps)) == pytest.approx(2 / 6)


def test_a_step_too_small_shows_nothing():
    assert structure_share(blocks([[100, 100 + LEAST_STEP - 1], [100, 100]])) == 0
    assert structure_share(blocks([[100, 100 + LEAST_STEP], [100, 100]])) == 1


@pytest.mark.parametrize("light", [0, 128, 255])
def test_an_even_image_shows_nothing(light):
    assert structure_share(np.full((100, 130, 3), light, np.uint8)) == 0


@pytest.mark.parametrize("light", [0, 60, 128, 255])
def test_noise_of_a_sensor_is_no_structure(light):
    noise = np.random.default_rng(1).normal(0, 5, (192, 352, 3))
    assert structure_share((light + noise).round().clip(0, 255).astype(np.uint8)) < 0.02


def test_what_lies_beyond_whole_blocks_does_not_count():
    luma = np.zeros((2 * BLOCK + 7, 2 * BLOCK + 1))
    luma[2 * BLOCK :], luma[:, 2 * BLOCK] = 200, 200
    assert structure_share(grey(luma)) == 0


@pytest.mark.parametrize("shape", [(2 * BLOCK - 1, 100, 3), (100, 2 * BLOCK - 1, 3)])
def test_an_image_smaller_than_a_place_is_taken_for_one_that_shows_something(shape):
    assert structure_share(np.zeros(shape, np.uint8)) == 1


def test_a_picture_that_is_no_contiguous_array_is_taken():
    image = blocks([[0, 50, 0, 50], [50, 0, 50, 0], [0, 50, 0, 50]])
    assert structure_share(image[::-1, :, ::-1]) == 1
