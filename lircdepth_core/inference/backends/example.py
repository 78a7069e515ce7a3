"""Images and radar that back ends are measured with."""

from __future__ import annotations

import numpy as np
import torch

from lircdepth_core.radar import RADAR_CHANNELS

RETURNS = 100
_COARSENESS = 32


def example(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image that is smooth as photographs are, and a hundred radar returns.

    Args:
        rows: a multiple of 32.
        columns: a multiple of 32.
        seed: of what is drawn.

    Returns:
        (rows, columns, 3) uint8 and (4, rows, columns) float32, as a `Backend` takes them.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (1, 3, rows // _COARSENESS, columns // _COARSENESS))
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(coarse), size=(rows, columns), mode="bilinear"
    )
    image = np.ascontiguousarray(smooth[0].permute(1, 2, 0).numpy().astype(np.uint8))
    radar = np.zeros((len(RADAR_CHANNELS), rows, columns), np.float32)
    hit_rows, hit_columns = rng.integers(0, rows, RETURNS), rng.integers(0, columns, RETURNS)
    radar[:, hit_rows, hit_columns] = rng.uniform([2, -5, -10, -2], [90, 30, 10, 2], (RETURNS, 4)).T
    return image, radar
