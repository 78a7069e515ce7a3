"""Images go black or white as a pure function of seed, epoch and sample."""

from __future__ import annotations

import pytest
import torch

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.errors import InputError
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.training.config import ExposureFaults
from lircdepth_core.training.exposure_faults import with_exposure_faults


@pytest.fixture
def batch(tiny_data) -> Batch:
    """All 11 samples."""
    return next(iter(TrainingBatches(tiny_data / "train", InputSpec(64, 96, 200.0), 11)))


@pytest.fixture
def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lircdepth_core.training.exposure_faults.draw_noise", lambda rng: 0.0)


def grey(batch: Batch) -> torch.Tensor:
    """(N, pixels) 0..255."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    return ((batch.image * std + mean) * 255).flatten(1)


def test_no_fault_changes_nothing(batch):
    assert with_exposure_faults(batch, ExposureFaults(), 0, 0) is batch


def test_a_black_image_keeps_next_to_nothing_and_all_else_stays(batch, without_noise):
    changed = with_exposure_faults(batch, ExposureFaults(black=1.0), 0, 0)
    assert grey(changed).max() <= 0.04 * 255 + 0.01
    assert (grey(changed).amax(1) > 1).any()
    assert (grey(changed).amax(1) < 0.01).any()
    assert torch.equal(changed.radar, batch.radar)
    assert torch.equal(changed.exact, batch.exact)


def test_a_saturated_image_is_mostly_white(batch, without_noise):
    changed = grey(with_exposure_faults(batch, ExposureFaults(saturated=1.0), 0, 0))
    assert changed.max() <= 255.01
    assert (changed > 254.9).float().mean() > 0.7


def test_a_veiled_image_is_grey_and_flat(batch, without_noise):
    changed = grey(with_exposure_faults(batch, ExposureFaults(veiled=1.0), 0, 0))
    assert (changed.amax(1) - changed.amin(1)).max() <= 0.06 * 255 + 1.01
    assert (changed.amax(1) - changed.amin(1)).max() > 2
    assert changed.min() >= 0.1 * 255 - 1
    assert changed.max() <= 0.9 * 255 + 0.06 * 255
    assert changed.mean(1).std() > 20  # veils of different light


def test_a_black_image_has_noise_of_every_pixel_or_none(batch):
    changed = grey(with_exposure_faults(batch, ExposureFaults(black=1.0), 0, 0))
    even, noisy = changed[changed.std(1) < 1], changed[changed.std(1) > 1.5]
    assert len(even)
    assert len(noisy)
    assert (noisy[:, 1:] != noisy[:, :-1]).float().mean() > 0.5
    assert noisy.max() < 0.04 * 255 + 6 * 5  # six deviations of the most noise


def test_it_depends_on_seed_and_epoch_but_not_on_the_batch(batch):
    faults = ExposureFaults(black=0.3, saturated=0.3)
    one = with_exposure_faults(batch, faults, 3, 4)
    changed = (one.image != batch.image).flatten(1).any(1)
    assert 0 < changed.sum() < 11
    assert torch.equal(one.image, with_exposure_faults(batch, faults, 3, 4).image)
    assert not torch.equal(one.image, with_exposure_faults(batch, faults, 4, 4).image)
    assert not torch.equal(one.image, with_exposure_faults(batch, faults, 3, 5).image)
    part = Batch(batch.keys[4:7], *(values[4:7] for values in batch[1:]))
    assert torch.equal(with_exposure_faults(part, faults, 3, 4).image, one.image[4:7])


def test_more_than_all_images_cannot_be_faulty():
    with pytest.raises(InputError, match=r"saturated: 0\.6, give a number from 0 to 0\.5"):
        ExposureFaults(black=0.5, saturated=0.6)
    with pytest.raises(InputError, match=r"veiled: 0\.6, give a number from 0 to 0\.5"):
        ExposureFaults(black=0.25, saturated=0.25, veiled=0.6)
