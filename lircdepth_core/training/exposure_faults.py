"""Images that show next to nothing, so that depth leans on radar and uncertainty grows."""

from __future__ import annotations

import numpy as np
import torch

from lircdepth_core.dataset.bad_exposure import Exposure, draw_exposure, draw_noise
from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.training.config import ExposureFaults
from lircdepth_core.training.draws import Purpose, draws


def with_exposure_faults(batch: Batch, faults: ExposureFaults, seed: int, epoch: int) -> Batch:
    """A batch in which some images are almost black, almost white, or behind a veil.

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
    for number, rng in draws(batch.keys, Purpose.EXPOSURE_FAULTS, seed, epoch):
        exposure = _chosen(faults, rng.random())
        gain, added = draw_exposure(exposure, rng)
        if exposure == "as it is":
            continue
        light = (image[number] * std + mean) * gain + added
        # Of a camera's image, which is at least twice as large as the network's, half is left.
        noise = draw_noise(rng) / 2 / 255
        if noise:
            drawn = rng.standard_normal(tuple(light.shape), np.float32)
            light += noise * torch.from_numpy(drawn)
        eight_bits = (light.clamp(0, 1) * 255).round() / 255
        image[number] = (eight_bits - mean) / std
    return batch._replace(image=image)


def _chosen(faults: ExposureFaults, chance: float) -> Exposure:
    """The exposure that a number from 0 to 1 stands for."""
    if chance < faults.black:
        return "black"
    if chance < faults.black + faults.saturated:
        return "saturated"
    return "veiled" if chance < faults.black + faults.saturated + faults.veiled else "as it is"
