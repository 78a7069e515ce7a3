"""How much an image shows, against images made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.inference.visible_structure import LEAST_RANGE, structure_share


def grey(luma: np.ndarray) -> np.ndarray:
    return np.repeat(luma.astype(np.uint8)[:, :, None], 3, axis=2)


def test_the_share_of_cells_whose_luma_spans_enough_is_told():
    luma = np.full((24, 32), 100)
    luma[3, 5] += LEAST_RANGE  # a single pixel of the first of 12 cells
    luma[10, 10] -= LEAST_RANGE
    luma[20, 20] += LEAST_RANGE - 1  # too little
    luma[2, 29:31] = (98, 98 + LEAST_RANGE)  # both in one cell
    assert structure_share(grey(luma)) == pytest.approx(3 / 12)


@pytest.mark.parametrize("light", [0, 128, 255])
def test_an_even_image_shows_nothing(light):
    assert structure_share(np.full((100, 130, 3), light, np.uint8)) == 0


def test_what_lies_beyond_whole_cells_does_not_count():
    luma = np.zeros((15, 9))
    luma[8:], luma[:, 8] = 200, 200
    assert structure_share(grey(luma)) == 0


def test_an_image_smaller_than_a_cell_is_taken_for_one_that_shows_something():
    assert structure_share(np.zeros((7, 100, 3), np.uint8)) == 1


def test_a_picture_that_is_no_contiguous_array_is_taken():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert structure_share(image[::-1, :, ::-1]) == 1
