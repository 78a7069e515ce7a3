"""Images that show next to nothing, so that depth leans on radar and uncertainty grows."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.training.config import ExposureFaults

# First number of the seeds; radar dropout uses 4.
_EXPOSURE = 5

BLACK_GAIN = 0.04
"""Of an image that is almost black; of one in four nothing is left at all."""

SATURATED_GAIN = (8.0, 200.0)
"""Least and most gain of a saturated image, before it is cut at white."""


def with_exposure_faults(batch: Batch, faults: ExposureFaults, seed: int, epoch: int) -> Batch:
    """A batch in which some images are almost black or almost white.

    Args:
        batch: is left as it is.
        faults: how often.
        seed: of the choice, with epoch and each sample's key.
        epoch: its number.
    """
    if faults == ExposureFaults():
        return batch
    image = batch.image.clone()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    for number, key in enumerate(batch.keys):
        rng = np.random.default_rng([_EXPOSURE, seed, epoch, zlib.crc32(key.encode())])
        chance, part = rng.random(2)
        if chance >= faults.black + faults.saturated:
            continue
        if chance < faults.black:
            gain = BLACK_GAIN * max(float(part) * 4 / 3 - 1 / 3, 0)
        else:
            low, high = np.log(SATURATED_GAIN)
            gain = float(np.exp(low + (high - low) * part))
        light = (image[number] * std + mean) * gain
        eight_bits = (light.clamp(0, 1) * 255).round() / 255
        image[number] = (eight_bits - mean) / std
    return batch._replace(image=image)
