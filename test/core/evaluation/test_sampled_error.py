"""The error of a model with a back end, on a few samples."""

from __future__ import annotations

import numpy as np
import pytest
from training_rig import write_shards

from lircdepth_core.evaluation import sampled_error as module
from lircdepth_core.evaluation.sampled_error import sampled_error, spread_samples


class Answers:
    """A predictor of which depth and sigma are known."""

    def __init__(self, depth, sigma, calibration):
        self.depth, self.sigma = depth, sigma
        self.model = type("Model", (), {"calibration": calibration})


@pytest.fixture
def samples(tmp_path):
    pytest.importorskip("webdataset", reason="needs the extra 'train'")
    write_shards(tmp_path / "samples", [2])
    return spread_samples([str(tmp_path / "samples")], 2)


@pytest.mark.parametrize("calibrated", [True, False])
def test_errors_are_averaged_over_images_and_sigma_over_pixels(samples, calibrated, monkeypatch):
    one, two = samples
    for sample in samples:
        object.__setattr__(sample, "exact", np.zeros_like(sample.exact))
    one.exact[0, :4] = [10, 20, 30, 81]  # the last is beyond the cap
    two.exact[0, :2] = [40, 50]
    depth, sigma = (np.zeros_like(one.exact) for _ in range(2))
    depth[0, :4] = [12, 20, np.nan, 0]
    sigma[0, :4] = [2, 1, np.nan, 1000]  # holds an error as large as itself
    answers = Answers(depth, sigma, object() if calibrated else None)
    monkeypatch.setattr(module.Predictor, "load", lambda *_, **__: answers)
    monkeypatch.setattr(module, "predict_sample", lambda predictor, *_: predictor)
    error = sampled_error("model", "cpu", "torch", samples)
    # Of one: 2 and 0; of two: 28 and 30.
    assert error.mae == pytest.approx((1 + 29) / 2)
    if calibrated:
        assert error.within_sigma == pytest.approx(2 / 4)
    else:
        assert np.isnan(error.within_sigma)
