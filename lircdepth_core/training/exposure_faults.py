"""Images that show next to nothing, so that depth leans on radar and uncertainty grows."""

from __future__ import annotations

import torch

from lircdepth_core.dataset.bad_exposure import exposure_gain
from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.training.config import ExposureFaults
from lircdepth_core.training.draws import Purpose, draws


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
    for number, rng in draws(batch.keys, Purpose.EXPOSURE_FAULTS, seed, epoch):
        chance, part = rng.random(2)
        if chance >= faults.black + faults.saturated:
            continue
        gain = exposure_gain("black" if chance < faults.black else "saturated", float(part))
        light = (image[number] * std + mean) * gain
        eight_bits = (light.clamp(0, 1) * 255).round() / 255
        image[number] = (eight_bits - mean) / std
    return batch._replace(image=image)
