"""What the student's uncertainty head learns."""

from __future__ import annotations

import torch
from torch import Tensor

from lircdepth_core.distillation.pixels import (
    check_same_shape,
    disagreement,
    is_measured,
    sample_mean,
)

LEAST_PROBABILITY = 1e-6
"""A sigmoid that rounds to 0 or 1 counts as this far from it: the logarithm stays finite, and so
does the gradient in half precision."""


def uncertainty_loss(
    uncertainty: Tensor, depth: Tensor, dense: Tensor, single_scan: Tensor, exact: Tensor
) -> Tensor:
    """Cross-entropy of the predicted against the true U, which the expected U minimises.

    Learned only where there is truth: the exact depth of generated drives, else the single scan,
    else the dense depth. At the sky of the exact depth the true U is 1. The depth is taken as
    given, so that it cannot be made worse to be more predictable.

    Args:
        uncertainty: (N, 1, H, W) in 0..1, predicted.
        depth: (N, 1, H, W) metres, predicted.
        dense: (N, 1, H, W) metres, 0 where there is none.
        single_scan: the same.
        exact: the same, +Inf at the sky.

    Returns:
        (N,), the mean over the pixels with truth, 0 for a sample without.

    Raises:
        InputError: the shapes differ.
    """
    check_same_shape(
        uncertainty=uncertainty, depth=depth, dense=dense, single_scan=single_scan, exact=exact
    )
    sky = exact.isposinf()
    truth = torch.where(is_measured(single_scan), single_scan, dense)
    truth = torch.where(is_measured(exact), exact, truth)
    target = disagreement(depth.detach().float(), truth, is_measured(truth) & ~sky)
    return sample_mean(cross_entropy(uncertainty, target), is_measured(truth))


def cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Of every pixel, -t ln p - (1 - t) ln(1 - p); both in 0..1.

    NaN gives NaN, for the training loop to name; torch's own raises, and on CUDA ends the process.
    """
    p = probability.float().clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return -target * p.log() - (1 - target) * torch.log1p(-p)
