"""Samples get padding as the Predictor pads, as a pure function of seed, epoch and sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.training.taught_padding import with_padding


@pytest.fixture
def batch(tiny_data) -> Batch:
    """All 11 samples."""
    return next(iter(TrainingBatches(tiny_data / "train", InputSpec(64, 96, 200.0), 11)))


def test_no_padding_changes_nothing(batch):
    assert with_padding(batch, 0.0, 0, 0) is batch


def test_padding_repeats_the_image_and_knows_nothing(batch):
    padded = with_padding(batch, 1.0, 0, 0)
    sizes = set()
    for number in range(11):
        known = (padded.exact[number, 0] != 0).numpy()
        bottom = int(np.flatnonzero(known.any(axis=1)).max()) + 1
        right = int(np.flatnonzero(known.any(axis=0)).max()) + 1
        assert 32 < bottom < 64
        assert 64 < right < 96
        sizes.add((bottom, right))
        image, before = padded.image[number], batch.image[number]
        assert torch.equal(image[:, :bottom, :right], before[:, :bottom, :right])
        # What is left of the image, padded as the Predictor does it.
        seen = before[:, :bottom, :right].permute(1, 2, 0).numpy()
        expected = np.pad(seen, ((0, 64 - bottom), (0, 96 - right), (0, 0)), mode="edge")
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
        for maps in (padded.radar, padded.single_scan, padded.dense, padded.exact):
            assert not maps[number, :, bottom:].any()
            assert not maps[number, :, :, right:].any()
        returns = padded.returns[number][padded.returns[number][:, 2] > 0]
        assert (returns[:, 0] < right).all()
        assert (returns[:, 1] < bottom).all()
    assert len(sizes) > 5


def test_it_depends_on_seed_and_epoch_but_not_on_the_batch(batch):
    one = with_padding(batch, 0.5, 3, 4)
    assert torch.equal(one.image, with_padding(batch, 0.5, 3, 4).image)
    assert not torch.equal(one.image, with_padding(batch, 0.5, 4, 4).image)
    assert not torch.equal(one.image, with_padding(batch, 0.5, 3, 5).image)
    part = Batch(batch.keys[4:7], *(values[4:7] for values in batch[1:]))
    assert torch.equal(with_padding(part, 0.5, 3, 4).image, one.image[4:7])
