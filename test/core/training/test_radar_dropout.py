"""Radar is taken away as a pure function of seed, epoch and sample."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils.data import DataLoader

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.training.config import ExposureFaults, RadarDropout, TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.disturbed_batches import DisturbedBatches
from lircdepth_core.training.radar_dropout import without_some_radar


@pytest.fixture
def batch(tiny_data) -> Batch:
    """All 11 samples, with radar at the image's size."""
    return next(iter(TrainingBatches(tiny_data / "train", InputSpec(64, 96, 200.0), 11)))


def test_no_dropout_changes_nothing(batch):
    assert without_some_radar(batch, RadarDropout(), 0, 0) is batch


def test_all_radar_goes(batch):
    assert (batch.radar[:, 0] > 0).flatten(1).any(1).all()
    changed = without_some_radar(batch, RadarDropout(all_returns=1.0), 0, 0)
    assert not changed.radar.any()
    assert not changed.returns.any()
    assert torch.equal(changed.image, batch.image)


def test_half_of_the_returns_go_and_the_rest_is_as_it_was(batch):
    changed = without_some_radar(batch, RadarDropout(half_of_returns=1.0), 0, 0)
    before, after = batch.returns[..., 2] > 0, changed.returns[..., 2] > 0
    assert 0.3 < after.sum() / before.sum() < 0.7
    assert torch.equal(changed.returns[after], batch.returns[after])
    drawn = changed.radar[:, 0] > 0
    assert torch.equal(
        changed.radar.permute(0, 2, 3, 1)[drawn], batch.radar.permute(0, 2, 3, 1)[drawn]
    )
    for number in range(len(batch.keys)):
        u, v = changed.returns[number, after[number], :2].long().T
        assert drawn[number, v, u].all()
        assert drawn[number].sum() == len(set(zip(u.tolist(), v.tolist(), strict=True)))


def test_a_return_that_was_hidden_shows_when_the_nearer_one_goes():
    returns = torch.zeros(64, 2, 7)
    returns[:, 0] = torch.tensor([4, 3, 10, 1, -1, 0, 0])
    returns[:, 1] = torch.tensor([4, 3, 20, 2, -2, 0, 0])
    radar = torch.zeros(64, 4, 32, 32)
    radar[:, :, 3, 4] = torch.tensor([10.0, 1, -1, 0])
    blank = torch.zeros(64, 1, 32, 32)
    keys = [str(number) for number in range(64)]
    K = torch.tensor([[50.0, 0, 16], [0, 50, 16], [0, 0, 1]]).expand(64, 3, 3)
    whole = Batch(keys, blank, radar, blank, blank, blank, returns, torch.zeros(64, 0, 4), K)
    changed = without_some_radar(whole, RadarDropout(half_of_returns=1.0), 1, 0)
    seen = set()
    for number in range(64):
        near, far = (changed.returns[number, :, 2] > 0).tolist()
        expected = [10, 1, -1, 0] if near else [20, 2, -2, 0] if far else [0, 0, 0, 0]
        assert changed.radar[number, :, 3, 4].tolist() == expected
        seen.add((near, far))
    assert len(seen) == 4


def test_it_depends_on_seed_and_epoch_but_not_on_the_batch(batch):
    dropout = RadarDropout(all_returns=0.4, half_of_returns=0.5)
    one = without_some_radar(batch, dropout, 3, 4)
    assert torch.equal(one.radar, without_some_radar(batch, dropout, 3, 4).radar)
    assert not torch.equal(one.radar, without_some_radar(batch, dropout, 4, 4).radar)
    assert not torch.equal(one.radar, without_some_radar(batch, dropout, 3, 5).radar)
    part = Batch(batch.keys[4:7], *(values[4:7] for values in batch[1:]))
    assert torch.equal(without_some_radar(part, dropout, 3, 4).radar, one.radar[4:7])


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_workers_change_nothing(workers, tiny_data, tiny_config):
    def epoch(workers: int) -> list[Batch]:
        batches = TrainingBatches(tiny_data / "train", InputSpec(32, 64, 200.0), 2, seed=1)
        data = dataclasses.replace(
            read_config(TrainingConfig, tiny_config).data,
            radar_dropout=RadarDropout(half_of_returns=1.0),
            exposure_faults=ExposureFaults(0.5, 0.5),
        )
        source = DisturbedBatches(batches, data, 1)
        source.set_epoch(2, first_batch=1)
        return list(DataLoader(source, batch_size=None, num_workers=workers))

    for one, other in zip(epoch(0), epoch(workers), strict=True):
        assert one.keys == other.keys
        assert torch.equal(one.radar, other.radar)
        assert torch.equal(one.image, other.image)
