"""Colours for maps and returns: near is red, far is blue, none is black."""

from __future__ import annotations

import cv2
import numpy as np

_COLOURS = np.ascontiguousarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[::-1, :, ::-1]
)
"""(256, 1, 3) RGB, from near to far."""


def colourise(values: np.ndarray, near: float, far: float) -> np.ndarray:
    """Colour numbers between two limits; beyond them the limits' colours are kept.

    Args:
        values: (H, W) numbers, such as depth or sigma in metres.
        near: the value that is drawn red.
        far: the value that is drawn blue; it may be the smaller one, so that large sigma is red.

    Returns:
        (H, W, 3) uint8 RGB, black where the value is NaN.
    """
    if not values.size:  # OpenCV 4.11 divides by its rows and ends the process
        return np.zeros((*values.shape, 3), np.uint8)
    place = (values - near) * (255.0 / (far - near))
    missing = np.isnan(place)
    index = np.clip(np.where(missing, 0, place), 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(index, _COLOURS)
    colours[missing] = 0
    return colours
