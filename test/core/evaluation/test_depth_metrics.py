import numpy as np
import pytest

from lircdepth_core.evaluation.depth_metrics import DEPTH_METRICS, depth_metrics


def _metrics(predicted: list[float], truth: list[float]) -> dict[str, float]:
    values = depth_metrics(np.array(predicted, np.float32), np.array(truth, np.float32))
    return dict(zip(DEPTH_METRICS, values.tolist(), strict=True))


def test_every_metric_equals_the_number_worked_out_by_hand() -> None:
    # Errors 0, 1, -1; ratios 1, 2, 1.25; logarithms of them 0, 0.693147, -0.223144.
    assert _metrics([1, 2, 4], [1, 1, 5]) == pytest.approx(
        {
            "mae": 2 / 3,
            "rmse": 0.816497,
            "abs_rel": 0.4,
            "sq_rel": 0.4,
            "rmse_log": 0.420415,
            "log10": 0.132647,
            "silog": 39.0133,
            "delta1": 1 / 3,  # 1.25 itself does not count
            "delta2": 2 / 3,
            "delta3": 2 / 3,
        },
        rel=1e-5,
    )


def test_a_perfect_prediction_has_no_error() -> None:
    found = _metrics([3, 40, 79.5], [3, 40, 79.5])
    assert found == dict.fromkeys(DEPTH_METRICS, 0.0) | {"delta1": 1, "delta2": 1, "delta3": 1}


def test_silog_ignores_a_wrong_scale_and_the_others_do_not() -> None:
    found = _metrics([6, 20, 80], [3, 10, 40])
    assert found["silog"] == pytest.approx(0, abs=1e-4)
    assert found["rmse_log"] == pytest.approx(np.log(2))
    assert found["abs_rel"] == pytest.approx(1)
    assert found["delta3"] == 0


def test_a_prediction_of_zero_counts_as_a_millimetre() -> None:
    assert _metrics([0], [1])["rmse_log"] == pytest.approx(np.log(1000), rel=1e-6)


def test_a_million_pixels_are_summed_as_exactly_as_in_double_precision() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 80, 1_000_000).astype(np.float32)
    predicted = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    t, p = truth.astype(np.float64), np.maximum(predicted.astype(np.float64), 1e-3)
    d = np.log(p) - np.log(t)
    found = depth_metrics(predicted, truth)
    expected = {
        "mae": np.abs(p - t).mean(),
        "rmse": np.sqrt(((p - t) ** 2).mean()),
        "sq_rel": ((p - t) ** 2 / t).mean(),
        "silog": 100 * np.sqrt((d**2).mean() - d.mean() ** 2),
    }
    for name, value in expected.items():
        assert found[DEPTH_METRICS.index(name)] == pytest.approx(value, rel=1e-6)
