"""How much an image shows: next to nothing where it is black, white, or behind a veil."""

from __future__ import annotations

import cv2
import numpy as np

BLOCK = 8
"""Pixels, at the network's size, that are averaged first: noise of a sensor is no structure."""

LEAST_STEP = 3
"""Of 255 steps of luma, between the darkest and the brightest of 2x2 blocks that show something."""


def structure_share(image: np.ndarray) -> float:
    """Share of an image's places that show something, a place being 2x2 blocks that touch.

    Generated images of all weathers and hours have 0.51 and more, 95 of 100 that are almost black
    or seen through a veil 0.14 at most, with a sensor's noise of up to 10 steps (at twice the
    network's size) or without; almost white ones 0.44.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        0..1; 1 for an image of less than 2x2 blocks.
    """
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    if rows < 2 or columns < 2:
        return 1.0
    luma = cv2.cvtColor(image[: rows * BLOCK, : columns * BLOCK], cv2.COLOR_RGB2GRAY)
    means = cv2.resize(luma.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    corners = [means[y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1)]
    step = np.max(corners, axis=0) - np.min(corners, axis=0)
    return float((step >= LEAST_STEP).mean())
