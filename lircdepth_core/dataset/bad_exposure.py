"""Images that show next to nothing: almost black, or almost white."""

from __future__ import annotations

from typing import Literal

import numpy as np

Exposure = Literal["as it is", "black", "saturated"]

BLACK_GAIN = 0.04
"""Largest, of an image that is almost black; of one in four nothing is left at all."""

SATURATED_GAIN = (8.0, 200.0)
"""Least and largest gain of a saturated image, before it is cut at white."""


def exposure_gain(exposure: Exposure, part: float) -> float:
    """By what light is multiplied.

    Args:
        exposure: how the image is.
        part: 0..1, where in the range of gains; draw it at random.
    """
    if exposure == "as it is":
        return 1.0
    if exposure == "black":
        return BLACK_GAIN * max(part * 4 / 3 - 1 / 3, 0)
    low, high = np.log(SATURATED_GAIN)
    return float(np.exp(low + (high - low) * part))


def exposed(image: np.ndarray, gain: float) -> np.ndarray:
    """An image of more or less light.

    Args:
        image: (H, W, 3) uint8.
        gain: by what light is multiplied.

    Returns:
        (H, W, 3) uint8, cut at white.
    """
    values = (np.arange(256) * gain).round().clip(0, 255).astype(np.uint8)
    return values[image]
