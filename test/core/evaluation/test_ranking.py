from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lircdepth_core.evaluation.ranking import REMOVED, SPARSIFIED, rank

ONES = np.ones(4, np.float32)


def _array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_curves_at_whole_pixels_equal_the_numbers_worked_out_by_hand() -> None:
    # Least uncertain first, the errors are 4, 1, 3, 2; the truth is 2 m everywhere.
    found = rank(_array(20, 10, 40, 30), _array(1, 4, 2, 3), 2 * ONES)
    at = [0, 25, 50, 75, 100]
    assert REMOVED[at] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    by = dict(zip(SPARSIFIED, found.by_score[:, at], strict=True))
    oracle = dict(zip(SPARSIFIED, found.oracle[:, at], strict=True))
    assert by["mae"] == pytest.approx([10 / 4, 8 / 3, 5 / 2, 4, 4])
    assert by["rmse"] == pytest.approx(np.sqrt([30 / 4, 26 / 3, 17 / 2, 16, 16]))
    assert by["abs_rel"] == pytest.approx([10 / 8, 8 / 6, 5 / 4, 2, 2])
    assert oracle["mae"] == pytest.approx([10 / 4, 6 / 3, 3 / 2, 1, 1])
    assert oracle["rmse"] == pytest.approx(np.sqrt([30 / 4, 14 / 3, 5 / 2, 1, 1]))
    assert oracle["abs_rel"] == pytest.approx([10 / 8, 6 / 6, 3 / 4, 1 / 2, 1 / 2])


def test_areas_of_two_pixels_in_the_wrong_order() -> None:
    # k pixels kept: the score's curve is 1 up to k = 1, then 1 / k; the oracle's 0, then
    # (k - 1) / k. Over the share removed their difference has the area ln 2.
    found = rank(_array(1, 2), _array(1, 0), _array(1, 1))
    assert found.ause[1] == pytest.approx(np.log(2), abs=1e-4)
    # Random is 1/2: its area less the score's, 1/2 - (1/2 + ln 2 / 2).
    assert found.aurg[1] == pytest.approx(-np.log(2) / 2, abs=1e-4)
    assert found.scale == pytest.approx([np.sqrt(0.5), 0.5, 0.5])
    assert found.spearman == pytest.approx(-1)


def test_an_oracle_has_no_area_and_gains_over_random() -> None:
    error = np.random.default_rng(1).exponential(size=5000).astype(np.float32)
    truth = np.full(5000, 10, np.float32)
    found = rank(error * 3, error, truth)
    assert found.ause == pytest.approx(np.zeros(3), abs=1e-6)
    assert (found.aurg > 0).all()
    assert found.spearman == pytest.approx(1)


def test_abs_rel_has_an_oracle_of_its_own() -> None:
    rng = np.random.default_rng(1)
    error, truth = rng.exponential(size=(2, 500)).astype(np.float32) + 1
    found = rank(error / truth, error, truth)
    assert found.ause[2] == pytest.approx(0, abs=1e-6)
    assert found.ause[1] > 0.01


def test_a_constant_score_gains_nothing_wherever_the_errors_are() -> None:
    error = np.arange(1000, dtype=np.float32)
    found = rank(np.full(1000, 0.5, np.float32), error, np.ones(1000, np.float32))
    assert found.aurg == pytest.approx(np.zeros(3), abs=1e-9)
    assert np.isnan(found.spearman)


def test_ties_stand_for_their_mean() -> None:
    # Sorted by score: error 1; then 2 and 6 tied; then 3.
    found = rank(_array(2, 2, 1, 9), _array(2, 6, 1, 3), ONES)
    assert found.by_score[1, [0, 25, 50, 75]] == pytest.approx([3, 3, 2.5, 1])


def test_curves_equal_a_slow_removal_one_by_one() -> None:
    rng = np.random.default_rng(2)
    score = rng.permutation(100).astype(np.float32)
    error = rng.exponential(size=100).astype(np.float32)
    truth = rng.uniform(1, 9, 100).astype(np.float32)
    found = rank(score, error, truth)
    for removed in range(100):
        kept = np.argsort(score)[: 100 - removed]
        expected = (
            np.sqrt(np.mean(error[kept] ** 2)),
            np.mean(error[kept]),
            np.mean(error[kept] / truth[kept]),
        )
        assert found.by_score[:, removed] == pytest.approx(expected, rel=1e-5)


def test_spearman_by_hand_and_as_scipy_has_it() -> None:
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / sqrt(4.5 * 5).
    found = rank(_array(1, 2, 2, 3), _array(1, 3, 2, 4), ONES)
    assert found.spearman == pytest.approx(0.948683, rel=1e-5)
    rng = np.random.default_rng(3)
    score, error = rng.integers(0, 40, (2, 1000)).astype(np.float32)
    found = rank(score, error, np.ones(1000, np.float32))
    assert found.spearman == pytest.approx(spearmanr(score, error).statistic, abs=1e-12)


def test_a_perfect_prediction_has_no_area_and_no_normalised_area() -> None:
    found = rank(_array(1, 2, 3, 4), 0 * ONES, ONES)
    assert found.ause.tolist() == found.aurg.tolist() == [0, 0, 0]
    assert np.isnan(found.scale).all()
    assert np.isnan(found.spearman)


def test_one_pixel_is_enough() -> None:
    found = rank(_array(1), _array(2), _array(4))
    assert found.by_score[:, 0] == pytest.approx([2, 2, 0.5])
    assert found.ause.tolist() == [0, 0, 0]
