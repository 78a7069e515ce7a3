"""Batches some of whose samples have lost radar, so that the network learns to do without."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import IterableDataset

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.radar import VisibleReturns
from lircdepth_core.training.config import RadarDropout

# First number of the seeds; the reader uses 1 to 3.
_RADAR = 4


class BatchesWithDropout(IterableDataset[Batch]):
    """The batches of a data set, with some radar taken away.

    What goes is a pure function of seed, epoch and the sample's key: the number of processes and of
    loader workers changes nothing.

    Args:
        batches: the data set.
        dropout: how often.
        seed: of the choice.
    """

    def __init__(self, batches: TrainingBatches, dropout: RadarDropout, seed: int) -> None:
        self._batches, self._dropout, self._seed = batches, dropout, seed
        self._epoch = 0

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """See `TrainingBatches.set_epoch`."""
        self._epoch = epoch
        self._batches.set_epoch(epoch, first_batch)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this loader worker."""
        for batch in self._batches:
            yield without_some_radar(batch, self._dropout, self._seed, self._epoch)


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
    for number, key in enumerate(batch.keys):
        rng = np.random.default_rng([_RADAR, seed, epoch, zlib.crc32(key.encode())])
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
