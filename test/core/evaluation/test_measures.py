from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import laplace, norm

from lircdepth_core.evaluation.depth_metrics import DEPTH_METRICS
from lircdepth_core.evaluation.measures import PredictedMaps, measure
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.totals import Totals

SHARES = (0.5, 0.683, 0.9, 0.95)
NO_BOXES = np.zeros((0, 4), np.float32)


def _map(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def _maps(
    depth: np.ndarray, sigma: np.ndarray | None = None, score: np.ndarray | None = None
) -> PredictedMaps:
    """Half-widths are 0.5, 1, 2 and 3 times sigma."""
    if sigma is None:
        return PredictedMaps(depth, score, None, {})
    widths = {share: factor * sigma for share, factor in zip(SHARES, (0.5, 1, 2, 3), strict=True)}
    return PredictedMaps(depth, sigma, sigma, widths)


def _summary(
    images: list[tuple[PredictedMaps, np.ndarray]],
    shares: tuple[float, ...] = (),
    boxes: np.ndarray = NO_BOXES,
    **options: Any,
) -> dict[str, Any]:
    chosen = EvaluationOptions(**options)
    totals = Totals()
    for maps, truth in images:
        measured = measure(maps, truth, boxes, chosen)
        assert measured is not None
        totals.add(measured)
    return totals.summary(chosen, shares)


def test_caps_limit_the_truth_and_include_it() -> None:
    maps = _maps(_map([11, 52, 200, 99]))
    summary = _summary([(maps, _map([10, 50, 80, 80.5]))])
    assert summary["depth"]["50"]["mae"] == pytest.approx((1 + 2) / 2)
    assert summary["depth"]["70"]["mae"] == pytest.approx((1 + 2) / 2)
    assert summary["depth"]["80"]["mae"] == pytest.approx((1 + 2 + 120) / 3)
    assert summary["pixels"] == 3


def test_clamping_limits_predictions_to_each_cap() -> None:
    maps = _maps(_map([11, 52, 200]))
    summary = _summary([(maps, _map([10, 50, 79]))], clamp_to_cap=True)
    assert summary["depth"]["50"]["mae"] == pytest.approx((1 + 0) / 2)
    assert summary["depth"]["80"]["mae"] == pytest.approx((1 + 2 + 1) / 3)


def test_pixels_without_truth_or_prediction_do_not_count() -> None:
    depth = _map([5, 6, 7, np.nan, 9])
    truth = _map([0, np.inf, np.nan, 9, 10])
    summary = _summary([(_maps(depth), truth)])
    assert summary["pixels"] == 1
    assert summary["depth"]["80"]["mae"] == 1
    assert summary["answered"] == 0.5


@pytest.mark.parametrize("truth", [0, np.inf, 81])
def test_no_pixel_with_truth_gives_nothing(truth: float) -> None:
    assert measure(_maps(_map([10])), _map([truth]), NO_BOXES, EvaluationOptions()) is None


def test_an_image_without_a_prediction_counts_as_not_answered_and_for_nothing_else() -> None:
    images = [(_maps(_map([11, np.nan])), _map([10, 10])), (_maps(_map([np.nan])), _map([20]))]
    summary = _summary(images)
    assert summary["answered"] == 0.25
    assert summary["images"] == 1
    assert summary["depth"]["80"]["mae"] == 1


def test_images_weigh_the_same_in_averages_and_by_pixels_in_breakdowns() -> None:
    # Three pixels with error 1, one pixel with error 5, all at 10 to 20 m.
    images = [(_maps(_map([11, 11, 11])), _map([10, 12, 10])), (_maps(_map([20])), _map([15]))]
    summary = _summary(images)
    assert summary["depth"]["80"]["mae"] == pytest.approx((1 + 5) / 2)
    assert summary["by_range"][1]["mae"] == pytest.approx((3 * 1 + 5) / 4)
    assert summary["by_range"][1]["rmse"] == pytest.approx(np.sqrt((3 * 1 + 25) / 4))
    assert summary["images"] == 2


def test_an_image_without_truth_up_to_a_cap_is_left_out_of_that_average() -> None:
    images = [(_maps(_map([61])), _map([60])), (_maps(_map([12])), _map([10]))]
    summary = _summary(images)
    assert summary["depth"]["50"]["mae"] == pytest.approx(2)
    assert summary["depth"]["70"]["mae"] == pytest.approx(1.5)


def test_ranges_hold_their_lower_edge_and_the_last_one_the_cap() -> None:
    truth = _map([5, 9.99, 10, 24.9, 25])
    summary = _summary([(_maps(truth + 1), truth)], caps=(25.0,))
    assert [(row["from"], row["to"], row["pixels"]) for row in summary["by_range"]] == [
        (0, 10, 2),
        (10, 20, 1),
        (20, 25, 2),
    ]
    assert summary["by_range"][0]["abs_rel"] == pytest.approx((1 / 5 + 1 / 9.99) / 2)


def test_objects_are_the_pixels_whose_centre_lies_in_a_box() -> None:
    truth = np.full((4, 6), 10, np.float32)
    depth = truth + 1
    depth[1:3, 2:4] += 2
    boxes = np.array([[1.2, 0.6, 3, 2.9], [2, 1, 3, 2], [-9, -9, -2, 2], [9, 1, 12, 3]], np.float32)
    summary = _summary([(_maps(depth), truth)], boxes=boxes)
    assert summary["by_content"]["object"]["pixels"] == 4
    assert summary["by_content"]["object"]["mae"] == pytest.approx(3)
    assert summary["by_content"]["background"]["pixels"] == 20
    assert summary["by_content"]["background"]["mae"] == pytest.approx(1)


def test_without_annotation_nothing_is_known_of_content() -> None:
    truth = np.full((4, 6), 10, np.float32)
    options = EvaluationOptions()
    boxes = np.array([[1, 1, 2, 2]], np.float32)
    unknown, known = (measure(_maps(truth + 1), truth, b, options) for b in (None, boxes))
    assert unknown is not None
    assert known is not None
    totals = Totals()
    totals.add(unknown)
    summary = totals.summary(options, ())
    assert summary["by_content"] is None
    assert summary["by_range"][1]["pixels"] == 24
    totals.add(known)
    by_content = totals.summary(options, ())["by_content"]
    assert {content: row["pixels"] for content, row in by_content.items()} == {
        "background": 20, "object": 4, "unknown": 24,
    }  # fmt: skip


def test_coverage_and_likelihood_by_hand() -> None:
    # Errors 1 and 3 at sigma 2: half-widths 1, 2, 4, 6 hold 1/2, 1/2, 1 and 1.
    summary = _summary([(_maps(_map([11, 13]), _map([2, 2])), _map([10, 10]))], SHARES)
    found = summary["uncertainty"]
    assert found["score"] == "sigma"
    assert found["coverage"] == pytest.approx({"0.5": 0.5, "0.683": 0.5, "0.9": 1, "0.95": 1})
    assert found["calibration_error"] == pytest.approx((0 + 0.183 + 0.1 + 0.05) / 4)
    assert found["within_sigma"] == 0.5
    # ln 2 + e² / 8 + ln(2 pi) / 2, and with b = 2 / 1.148854: ln 2b + e / b.
    assert found["nll_gaussian"] == pytest.approx((1.737086 + 2.737086) / 2, abs=1e-5)
    assert found["nll_laplace"] == pytest.approx((1.821957 + 2.970810) / 2, abs=1e-5)
    (row,) = found["by_sigma"]
    assert row == pytest.approx(
        {"from": 2, "to": 4, "pixels": 2, "coverage": 0.5, "interval_coverage": 1,
             "mean_sigma": 2, "mae": 2,
         "rmse": np.sqrt(5)}
    )  # fmt: skip
    assert summary["by_range"][1]["coverage"] == 0.5


def test_sigma_falls_into_the_bin_that_holds_its_lower_edge() -> None:
    sigma = _map([0, 0.1, 0.125, 0.99, 1, 15.9, 16, 400])
    truth = np.full_like(sigma, 10)
    found = _summary([(_maps(truth, sigma), truth)], SHARES)["uncertainty"]["by_sigma"]
    assert [(row["from"], row["to"], row["pixels"]) for row in found] == [
        (0, 0.125, 2),
        (0.125, 0.25, 1),
        (0.5, 1, 1),
        (1, 2, 1),
        (8, 16, 1),
        (16, None, 2),
    ]


def test_coverage_is_told_by_the_depth_that_was_predicted() -> None:
    # Truth up to 100 m counts here, the network's range: of what is predicted at 95 m the cap of
    # 80 m would leave only what is too far.
    predicted, truth = _map([9, 11, 19, 95, 96, 79, 97]), _map([10, 10, 10, 70, 92, 75, 101])
    sigma = _map([2, 2, 2, 30, 3, 3, 9])
    found = _summary([(_maps(predicted, sigma), truth)], SHARES)["uncertainty"]
    rows = found["by_predicted_depth"]
    assert [(row["from"], row["to"], row["pixels"], row["coverage"]) for row in rows] == [
        (0, 10, 1, 1),
        (10, 20, 2, 0.5),
        (70, 80, 1, 0),
        (80, None, 2, 0.5),
    ]
    assert [row["interval_coverage"] for row in rows] == [1, 0.5, 1, 1]  # of three sigma, 0.95
    assert found["coverage"]["0.683"] == 3 / 5


def test_without_an_interval_asked_for_its_coverage_is_not_told() -> None:
    maps = PredictedMaps(_map([9, 11]), _map([2, 2]), _map([2, 2]), {0.8: _map([3, 3])})
    found = _summary([(maps, _map([10, 10]))], (0.8,))["uncertainty"]
    assert [row["interval_coverage"] for row in found["by_predicted_depth"]] == [None, None]


@pytest.mark.parametrize(
    ("errors", "likelihood"),
    [(norm, "nll_gaussian"), (laplace, "nll_laplace")],
    ids=["normal", "Laplace"],
)
def test_the_right_sigma_is_found_to_be_calibrated(errors: Any, likelihood: str) -> None:
    rng = np.random.default_rng(1)
    shape = (200, 300)
    truth = rng.uniform(20, 60, shape).astype(np.float32)
    sigma = rng.uniform(0.2, 8, shape).astype(np.float32)
    unit = errors.ppf((1 + 0.683) / 2)
    error = errors.rvs(size=shape, random_state=rng) * sigma / unit
    widths = {
        share: (sigma * errors.ppf((1 + share) / 2) / unit).astype(np.float32) for share in SHARES
    }
    maps = PredictedMaps((truth + error).astype(np.float32), sigma, sigma, widths)
    found = _summary([(maps, truth)], SHARES)["uncertainty"]
    assert found["coverage"] == pytest.approx({f"{share:g}": share for share in SHARES}, abs=0.005)
    assert found["calibration_error"] < 0.004
    assert all(row["coverage"] == pytest.approx(0.683, abs=0.03) for row in found["by_sigma"])
    # The entropy of the distribution, which no other sigma undercuts.
    entropy = np.log(sigma / unit).mean() + errors.entropy()
    assert found[likelihood] == pytest.approx(entropy, abs=0.02)
    doubled = PredictedMaps(maps.depth, sigma, 2 * sigma, widths)
    assert _summary([(doubled, truth)], SHARES)["uncertainty"][likelihood] > found[likelihood] + 0.1


def test_shares_that_the_model_cannot_give_are_none_not_perfect() -> None:
    maps = _maps(_map([11, 13]), _map([2, 2]))
    found = _summary([(maps, _map([10, 10]))], SHARES, coverage_shares=(0.5, 0.99))["uncertainty"]
    assert found["coverage"]["0.5"] == 0.5
    assert np.isnan(found["coverage"]["0.99"])
    assert np.isnan(found["calibration_error"])


def test_without_calibration_the_score_ranks_and_coverage_does_not_exist() -> None:
    score = _map([0.1, 0.2, 0.3])
    summary = _summary([(_maps(_map([11, 12, 13]), score=score), _map([10, 10, 10]))])
    found = summary["uncertainty"]
    assert (found["score"], found["calibrated"]) == ("expected_uncertainty", False)
    assert found["ause"]["mae"] == pytest.approx(0, abs=1e-7)
    assert found["spearman"] == pytest.approx(1)
    assert found["mean_score"] == pytest.approx(0.2)
    assert "coverage" not in found
    assert summary["by_range"][1]["coverage"] is None


def test_a_network_without_uncertainty_has_none() -> None:
    assert _summary([(_maps(_map([11])), _map([10]))])["uncertainty"] is None


def test_a_perfect_prediction() -> None:
    truth = _map([10, 20, 30])
    summary = _summary([(_maps(truth, _map([1, 2, 3])), truth)], SHARES)
    expected = dict.fromkeys(DEPTH_METRICS, 0.0) | {"delta1": 1, "delta2": 1, "delta3": 1}
    assert summary["depth"]["80"] == expected
    assert summary["uncertainty"]["ause"] == {"rmse": 0, "mae": 0, "abs_rel": 0}
    assert np.isnan(summary["uncertainty"]["ause_normalised"]["mae"])
    assert set(summary["uncertainty"]["coverage"].values()) == {1}
