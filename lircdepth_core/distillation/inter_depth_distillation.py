"""Uncertainty-aware inter-depth distillation (LiRCDepth, arXiv 2412.16380)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lircdepth_core.distillation.pixels import (
    check_same_shape,
    disagreement,
    is_measured,
    sample_mean,
)


@dataclass(frozen=True)
class InterDepthDistillation:
    """The student's intermediate depths against the teacher's.

    The sum of 2^-i times the sum of M_d U_T |d - d_T| / sum of M_d U_T, i = 0 at 1/2. U_T is the
    disagreement of the two, 1 where the teacher's depth is not above 0.01. The published sums run
    over the batch, so that a sample's weight hangs on its companions; here over each sample, which
    is the same for a batch of one. A teacher's depth that is not finite (its planar guidance
    divides by what may come to 0) teaches nothing.

    Attributes:
        detach_uncertainty: whether U_T is taken as given. The published gradient flows through it.
    """

    detach_uncertainty: bool = False

    def __call__(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], mask: Tensor
    ) -> Tensor:
        """Compare.

        Args:
            student: d8, d4, d2, each (N, 1, H, W) in units of 100 m.
            teacher: the same of the teacher.
            mask: M_d, (N, 1, H, W) bool, where there is dense depth and no single scan.

        Returns:
            (N,) in units of 100 m, 0 for a sample with an empty mask.

        Raises:
            InputError: the shapes differ.
        """
        distances = []
        for i, (ours, theirs) in enumerate(zip(student[::-1], teacher[::-1], strict=True)):
            check_same_shape(student=ours, teacher=theirs, mask=mask)
            known = theirs.isfinite()
            ours, theirs = ours.float(), theirs.float().where(known, 0.0)
            uncertainty = disagreement(ours, theirs, is_measured(theirs))
            if self.detach_uncertainty:
                uncertainty = uncertainty.detach()
            weights = (mask & known) * uncertainty
            distances.append(2.0**-i * sample_mean((ours - theirs).abs(), weights))
        return torch.stack(distances).sum(0)
