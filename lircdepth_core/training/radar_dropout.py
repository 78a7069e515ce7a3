"""Taking radar away from samples, so that the network learns to do without."""

from __future__ import annotations

import numpy as np
import torch

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.reader import Batch
from lircdepth_core.radar import VisibleReturns
from lircdepth_core.training.config import RadarDropout
from lircdepth_core.training.draws import Purpose, draws


def without_some_radar(batch: Batch, dropout: RadarDropout, seed: int, epoch: int) -> Batch:
    """A batch with returns taken out of `returns` and `radar`; where one hid another, that shows.

    Args:
        batch: is left as it is.
        dropout: how often.
        seed: of the choice, with epoch and each sample's key.
        epoch: its number.
    """
    if dropout == RadarDropout():
        return batch
    returns, radar = batch.returns.clone(), batch.radar.clone()
    for number, rng in draws(batch.keys, Purpose.RADAR_DROPOUT, seed, epoch):
        loses_all, loses_half = rng.random(2) < (dropout.all_returns, dropout.half_of_returns)
        stays = rng.random(returns.shape[1]) < 0.5
        if loses_all:
            stays[:] = False
        elif not loses_half:
            continue
        returns[number, torch.from_numpy(~stays)] = 0
        radar[number] = _radar_image(returns[number].numpy(), batch.K[number].numpy(), radar.shape)
    return batch._replace(returns=returns, radar=radar)


def _radar_image(returns: np.ndarray, K: np.ndarray, shape: torch.Size) -> torch.Tensor:
    """(4, h, w) of the returns that have a depth."""
    uv, depth, rcs, velocity, _ = np.split(returns[returns[:, 2] > 0], (2, 3, 4, 6), axis=1)
    camera = Camera(K.astype(np.float64), shape[3], shape[2])
    every = np.ones(len(uv), bool)
    seen = VisibleReturns(uv.astype(np.float64), depth[:, 0], rcs[:, 0], velocity, every)
    return torch.from_numpy(seen.rasterise(camera, camera))
