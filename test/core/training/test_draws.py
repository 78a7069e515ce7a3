"""What is drawn for a sample depends on it alone, and on what it is for."""

from __future__ import annotations

import itertools

import numpy as np

from lircdepth_core.training.draws import Purpose, draws

KEYS = [f"scene-{number}" for number in range(400)]


def drawn(purpose, seed=0, epoch=0, keys=KEYS):
    return np.array([rng.random() for _, rng in draws(keys, purpose, seed, epoch)])


def test_a_sample_draws_the_same_wherever_it_lies_in_a_batch():
    backwards = drawn(Purpose.PADDING, keys=KEYS[::-1])
    assert (drawn(Purpose.PADDING) == backwards[::-1]).all()


def test_each_seed_and_epoch_draws_anew():
    first = drawn(Purpose.PADDING)
    assert not np.isin(drawn(Purpose.PADDING, seed=1), first).any()
    assert not np.isin(drawn(Purpose.PADDING, epoch=1), first).any()


def test_one_purpose_tells_nothing_of_another():
    for one, other in itertools.combinations(Purpose, 2):
        assert abs(np.corrcoef(drawn(one), drawn(other))[0, 1]) < 0.2
    assert len({int(purpose) for purpose in Purpose} | {1, 2, 3}) == len(Purpose) + 3
