"""Single-modal, pixel-wise feature distillation (LiRCDepth, arXiv 2412.16380).

Features are those of `StudentOutput` and `TeacherOutput`, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def image_feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Sum of 2^-i mean |F_S - F_T| over the image features, i = 0 the deepest.

    Args:
        student: image features, each (N, C, h, w), 1/2 to 1/32.
        teacher: the same of the teacher.

    Returns:
        (N,)
    """
    return _pixel_wise(student[::-1], teacher[::-1])


def radar_feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Sum of 2^-i mean |F_S - F_T| over the radar features, i = 0 the shallowest.

    Args:
        student: radar features, each (N, C, h, w), 1/2 to 1/32.
        teacher: the teacher's gated ones, 1/32 to 1/2.

    Returns:
        (N,)
    """
    return _pixel_wise(student, teacher[::-1])


def _pixel_wise(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    distances = [
        2.0**-i * (ours.float() - theirs.float()).abs().flatten(1).mean(1)
        for i, (ours, theirs) in enumerate(zip(student, teacher, strict=True))
    ]
    return torch.stack(distances).sum(0)
