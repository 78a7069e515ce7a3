"""Badly exposed images: what is left of the light."""

import numpy as np
import pytest

from lircdepth_core.dataset.bad_exposure import (
    MOST_NOISE,
    Exposed,
    draw_exposure,
    draw_noise,
    with_noise,
)


class Drawn:
    """A generator that draws what it is told."""

    def __init__(self, part: float, light: float = 0.5) -> None:
        self._part, self._light = part, light

    def random(self) -> float:
        return self._part

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._light


def test_an_image_as_it_is_keeps_its_light():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(draw_exposure("as it is", Drawn(0.3))(image), image)


@pytest.mark.parametrize(
    ("part", "white_becomes"), [(0.0, 0), (0.25, 0), (0.625, 5), (1.0, 10)]
)  # gains 0, 0, 0.02 and 0.04
def test_black_leaves_a_few_steps_of_light_or_none(part, white_becomes):
    image = np.full((2, 2, 3), 255, np.uint8)
    assert (draw_exposure("black", Drawn(part))(image) == white_becomes).all()


def test_saturated_is_cut_at_white():
    assert draw_exposure("saturated", Drawn(0.0)).gain == pytest.approx(8)
    assert draw_exposure("saturated", Drawn(1.0)).gain == pytest.approx(200)
    image = np.array([[[0, 1, 2]], [[31, 32, 200]]], np.uint8)
    assert Exposed(8.0)(image).tolist() == [[[0, 8, 16]], [[248, 255, 255]]]


@pytest.mark.parametrize(
    ("part", "black_becomes", "white_becomes"),
    [(0.25, 128, 128), (1.0, 120, 135)],  # gains 0 and 0.06, half of white added to the rest
)
def test_a_veil_leaves_little_contrast_around_its_own_light(part, black_becomes, white_becomes):
    image = np.array([[[0, 0, 255]]], np.uint8)
    veiled = draw_exposure("veiled", Drawn(part))(image)
    assert veiled.tolist() == [[[black_becomes, black_becomes, white_becomes]]]


@pytest.mark.parametrize(("part", "deviation"), [(0.0, 0), (0.5, 0), (0.75, 5), (1.0, MOST_NOISE)])
def test_one_in_two_has_noise(part, deviation):
    assert draw_noise(Drawn(part)) == pytest.approx(deviation)


def test_noise_is_of_every_pixel_and_cut_at_black_and_white():
    image = np.full((100, 100, 3), 100, np.uint8)
    noisy = with_noise(image, 5.0, np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(100, abs=0.1)
    assert noisy.std() == pytest.approx(5, abs=0.1)
    assert with_noise(image, 0.0, np.random.default_rng(0)) is image
    for light in (0, 255):
        cut = with_noise(np.full_like(image, light), 5.0, np.random.default_rng(0))
        assert (cut == light).mean() == pytest.approx(0.54, abs=0.02)  # half, and what rounds to it
