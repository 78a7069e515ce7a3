"""Depth is smooth where the image is."""

from __future__ import annotations

import torch
from torch import Tensor


def smoothness(depth: Tensor, image: Tensor) -> Tensor:
    """Edge-aware smoothness: mean exp(-mean_c |∂x I|) |∂x depth|, and the same in y, added.

    With forward differences, as LiRCDepth and CaFNet have it (after Godard et al. 2017,
    arXiv 1609.03677).

    Args:
        depth: (N, 1, H, W) metres.
        image: (N, 3, H, W), normalised as the networks take it.

    Returns:
        (N,) metres per pixel.
    """
    slopes = []
    for axis in (3, 2):
        image_step = image.float().diff(dim=axis).abs().mean(1, keepdim=True)
        depth_step = depth.float().diff(dim=axis).abs()
        slopes.append((torch.exp(-image_step) * depth_step).flatten(1).mean(1))
    return slopes[0] + slopes[1]
