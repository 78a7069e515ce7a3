"""Images look as another camera's as a pure function of seed, epoch and sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.training.camera_variation import of_another_camera, with_other_cameras


@pytest.fixture
def batch(tiny_data) -> Batch:
    """All 11 samples."""
    return next(iter(TrainingBatches(tiny_data / "train", InputSpec(64, 96, 200.0), 11)))


def test_without_a_share_nothing_changes(batch):
    assert with_other_cameras(batch, 0.0, 0, 0) is batch


def test_only_images_change_and_stay_images(batch):
    changed = with_other_cameras(batch, 1.0, 0, 0)
    assert (changed.image != batch.image).flatten(1).any(1).sum() >= 9
    assert changed.image.isfinite().all()
    low, high = batch.image.new_tensor([-2.12]), batch.image.new_tensor([2.65])
    assert ((changed.image >= low) & (changed.image <= high)).all()  # black and white, normalised
    for name in ("radar", "dense", "single_scan", "exact"):
        assert torch.equal(getattr(changed, name), getattr(batch, name))


def test_it_depends_on_seed_and_epoch_but_not_on_the_batch(batch):
    one = with_other_cameras(batch, 0.6, 3, 4)
    changed = (one.image != batch.image).flatten(1).any(1)
    assert 0 < changed.sum() < 11
    assert torch.equal(one.image, with_other_cameras(batch, 0.6, 3, 4).image)
    assert not torch.equal(one.image, with_other_cameras(batch, 0.6, 4, 4).image)
    assert not torch.equal(one.image, with_other_cameras(batch, 0.6, 3, 5).image)
    part = Batch(batch.keys[4:7], *(values[4:7] for values in batch[1:]))
    assert torch.equal(with_other_cameras(part, 0.6, 3, 4).image, one.image[4:7])


def test_edges_stay_where_they_are():
    """A white square on black: wherever it is bright, the square was, but for a soft rim."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:50] = 255
    rows, columns = np.mgrid[:60, :80]
    for seed in range(40):
        with np.errstate(invalid="raise"):
            seen = of_another_camera(image, np.random.default_rng(seed))
        assert seen.shape == image.shape
        assert seen.dtype == np.uint8
        weight = np.clip(seen.mean(2) - np.median(seen), 0, None)
        assert (weight * rows).sum() / weight.sum() == pytest.approx(29.5, abs=1.0)
        assert (weight * columns).sum() / weight.sum() == pytest.approx(39.5, abs=1.0)


def test_cameras_differ():
    image = np.random.default_rng(0).integers(40, 200, (30, 40, 3), dtype=np.uint8)
    seen = [of_another_camera(image, np.random.default_rng(seed)) for seed in range(20)]
    assert len({picture.tobytes() for picture in seen}) >= 17  # some change nothing
