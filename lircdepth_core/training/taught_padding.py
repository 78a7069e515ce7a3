"""Samples that end before the network's input does, as a camera's image may."""

from __future__ import annotations

import numpy as np

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import SIZE_MULTIPLE
from lircdepth_core.training.draws import Purpose, draws


def with_padding(batch: Batch, probability: float, seed: int, epoch: int) -> Batch:
    """A batch in which some samples have fewer rows, or columns, or both, than there is room for.

    What is missing, up to one less than the multiple of 32 that the network takes, is filled as
    the Predictor fills it: the last row or column of the image again, and no radar. Nothing is
    known of its depth.

    Args:
        batch: is left as it is.
        probability: that rows of a sample are missing, and, drawn apart, that columns are.
        seed: of the choice, with epoch and each sample's key.
        epoch: its number.
    """
    if not probability:
        return batch
    image, radar, returns = batch.image.clone(), batch.radar.clone(), batch.returns.clone()
    single, dense, exact = batch.single_scan.clone(), batch.dense.clone(), batch.exact.clone()
    rows, columns = image.shape[2:]
    for number, rng in draws(batch.keys, Purpose.PADDING, seed, epoch):
        lacks = rng.random(2) < probability
        missing = np.where(lacks, rng.integers(1, SIZE_MULTIPLE, 2), 0)
        bottom, right = int(rows - missing[0]), int(columns - missing[1])
        image[number, :, bottom:] = image[number, :, bottom - 1 : bottom]
        image[number, :, :, right:] = image[number, :, :, right - 1 : right]
        for values in (radar, single, dense, exact):
            values[number, :, bottom:] = 0
            values[number, :, :, right:] = 0
        u, v = returns[number, :, 0], returns[number, :, 1]
        returns[number, (u.trunc() >= right) | (v.trunc() >= bottom)] = 0
    return batch._replace(
        image=image, radar=radar, returns=returns, single_scan=single, dense=dense, exact=exact
    )
