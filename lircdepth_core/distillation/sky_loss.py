"""What the student learns of the sky, which has no depth."""

from __future__ import annotations

from torch import Tensor

from lircdepth_core.distillation.pixels import check_same_shape, sample_mean
from lircdepth_core.network.output import MAX_DEPTH


def sky_loss(depth: Tensor, exact: Tensor) -> Tensor:
    """How far before the farthest that a network can say the sky is taken to be.

    Neither a lidar nor the depth losses say anything there; untaught, a network takes a part of the
    sky to be as near as an obstacle.

    Args:
        depth: (N, 1, H, W) metres, predicted.
        exact: (N, 1, H, W) metres, +Inf at the sky, which only generated drives know.

    Returns:
        (N,) metres, the mean over the sky's pixels, 0 for a sample without.

    Raises:
        InputError: the shapes differ.
    """
    check_same_shape(depth=depth, exact=exact)
    return sample_mean(MAX_DEPTH - depth.float(), exact.isposinf())
