"""Images that show next to nothing: almost black, almost white, or through a veil."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Exposure = Literal["as it is", "black", "saturated", "veiled"]
"""Veiled is what a camera sees whose lens is fogged up or covered: grey, of next to no contrast."""

BLACK_GAIN = 0.04
"""Largest, of an image that is almost black; of one in four nothing is left at all."""

SATURATED_GAIN = (8.0, 200.0)
"""Least and largest gain of a saturated image, before it is cut at white."""


VEIL_GAIN = 0.06
"""Largest, of an image behind a veil; of one in four nothing is left at all."""

VEIL_LIGHT = (0.1, 0.9)
"""Least and most light of the veil itself, of white."""

MOST_NOISE = 10.0
"""Of 255 steps, standard deviation of a sensor's noise; one in two images has none."""


class Exposed(NamedTuple):
    """What became of an image's light: it is multiplied by `gain`, then `light` is added.

    Attributes:
        gain: 1 leaves it.
        light: 0..1 of white.
    """

    gain: float = 1.0
    light: float = 0.0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An image so exposed.

        Args:
            image: (H, W, 3) uint8.

        Returns:
            (H, W, 3) uint8, cut at white.
        """
        values = np.arange(256) * self.gain + 255 * self.light
        return values.round().clip(0, 255).astype(np.uint8)[image]


def draw_exposure(exposure: Exposure, rng: np.random.Generator) -> Exposed:
    """How much light an image of some exposure has, at random."""
    part = rng.random()
    if exposure == "as it is":
        return Exposed()
    # Of one in four, nothing.
    little = max(part * 4 / 3 - 1 / 3, 0)
    if exposure == "black":
        return Exposed(BLACK_GAIN * little)
    if exposure == "veiled":
        gain = VEIL_GAIN * little
        return Exposed(gain, (1 - gain) * rng.uniform(*VEIL_LIGHT))
    low, high = np.log(SATURATED_GAIN)
    return Exposed(float(np.exp(low + (high - low) * part)))


def draw_noise(rng: np.random.Generator) -> float:
    """Standard deviation, of 255 steps, of the noise of a badly exposed image, at random.

    A camera in the dark turns up its gain, so that a black image is seldom an even one.
    """
    return MOST_NOISE * max(2 * rng.random() - 1, 0)


def with_noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """An image with a sensor's noise, of every pixel and channel its own.

    Args:
        image: (H, W, 3) uint8.
        deviation: standard deviation, of 255 steps.
        rng: draws it.

    Returns:
        (H, W, 3) uint8, cut at black and white; the image itself if there is no noise.
    """
    if not deviation:
        return image
    noise = deviation * rng.standard_normal(image.shape, np.float32)
    return (image + noise).round().clip(0, 255).astype(np.uint8)
