"""Errors of one image's depth, as the literature on monocular and radar-camera depth defines them.

torchmetrics computes those that it defines the same way: MAE, RMSE and AbsRel (its
`mean_absolute_percentage_error`), and by them RMSE log and log10. Its mean squared log error is
another one (of 1 + depth), and it has no SqRel, SILog or threshold accuracy.
"""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.regression import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
)

DEPTH_METRICS = (
    "mae", "rmse", "abs_rel", "sq_rel", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3",
)  # fmt: skip
"""Names and order of what `depth_metrics` returns."""

LEAST_DEPTH = 1e-3
"""Metres; predictions below count as this, so that logarithms exist."""


def depth_metrics(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Depth metrics over one image's pixels.

    With prediction p, truth t, and means over the pixels (Eigen et al. 2014; SILog as in KITTI):
    `mae` |p - t| [m]; `rmse` sqrt (p - t)² [m]; `abs_rel` |p - t| / t; `sq_rel` (p - t)² / t [m];
    `rmse_log` sqrt (ln p - ln t)²; `log10` |log10 p - log10 t|; `silog` 100 times the standard
    deviation of ln p - ln t; `delta<i>` the share with max(p / t, t / p) < 1.25^i.

    Args:
        predicted: (N,) metres, finite; N > 0.
        truth: (N,) metres, positive and finite.

    Returns:
        (10,) float64, in the order of `DEPTH_METRICS`.
    """
    t = torch.from_numpy(truth)
    p = torch.from_numpy(predicted).clamp(min=LEAST_DEPTH)
    log_t, log_p = t.log(), p.log()
    ratio = torch.maximum(p / t, t / p)
    values = [
        mean_absolute_error(p, t),
        mean_squared_error(p, t, squared=False),
        mean_absolute_percentage_error(p, t),
        ((p - t).square_() / t).mean(),
        mean_squared_error(log_p, log_t, squared=False),
        mean_absolute_error(log_p, log_t) / np.log(10),
        100 * (log_p - log_t).std(correction=0),
        *(torch.count_nonzero(ratio < 1.25**power) / len(t) for power in (1, 2, 3)),
    ]
    return np.array([float(value) for value in values])
