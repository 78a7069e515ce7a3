"""Which pixels count, how wrong a depth is there, and the mean over one sample's pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from lircdepth_core.errors import InputError

LEAST_DEPTH = 0.01
"""Of a depth map what is above this is a depth, whatever its unit; 0 stands for none."""


def is_measured(depth: Tensor) -> Tensor:
    """Where a depth map holds a depth; bool of its shape."""
    return depth > LEAST_DEPTH


def dense_only(dense: Tensor, single_scan: Tensor) -> Tensor:
    """M_d: where there is dense depth but no single scan; bool of their shape."""
    return is_measured(dense) & ~is_measured(single_scan)


def disagreement(depth: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """U = 1 - exp(-5 |D - depth| / (D + depth + 1e-7)) on the mask, 1 elsewhere.

    LiRCDepth's uncertainty of a map against its target D (arXiv 2412.16380).

    Args:
        depth: (N, 1, H, W), not negative.
        target: D in the same unit; positive on the mask, anything elsewhere.
        mask: bool.
    """
    # Replaced before dividing: a gradient of 0 times infinity would be NaN.
    target = torch.where(mask, target, 1.0)
    relative = (target - depth).abs() / (target + depth + 1e-7)
    return torch.where(mask, 1 - torch.exp(-5 * relative), 1.0)


def sample_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean over each sample's pixels; 0, with gradient 0, where no weight is.

    Args:
        values: (N, C, H, W); finite where the weight is 0.
        weights: (N, C, H, W), bool or not negative.

    Returns:
        (N,), no sample weighing in another's value.
    """
    weights = weights.to(values.dtype)
    total = weights.flatten(1).sum(1)
    return (weights * values).flatten(1).sum(1) / total.clamp(min=1e-12)


def check_same_shape(**maps: Tensor) -> None:
    """Refuse maps that would broadcast: a missing channel axis mixes the samples of a batch.

    Raises:
        InputError: the shapes differ or are not (N, 1, H, W).
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in maps.items()}
    first = next(iter(shapes.values()))
    if len(set(shapes.values())) > 1 or len(first) != 4 or first[1] != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"{listed}: give (batch, 1, height, width), the same of each")
