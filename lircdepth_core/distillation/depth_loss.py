"""Depth against dense and single-scan truth, rectified by uncertainty or plain L1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lircdepth_core.distillation.pixels import (
    check_same_shape,
    dense_only,
    disagreement,
    is_measured,
    sample_mean,
)
from lircdepth_core.network.output import MAX_DEPTH


class DepthTerms(NamedTuple):
    """The two terms of the depth loss, each (N,) metres, 0 for a sample without such truth."""

    dense: Tensor
    single: Tensor


@dataclass(frozen=True)
class DepthLoss:
    """LiRCDepth's uncertainty-rectified depth loss (arXiv 2412.16380).

    Sum over a sample of M_x V_x |depth - D_x| / sum of M_x V_x, x the single scan (M_s where there
    is one) and the dense depth (M_d where there is one and no single scan). (V_d, V_s) is the
    softmax over (U_d, U_s) at each pixel, so a larger error weighs more, by 0.27 to 0.5. The
    published code lets samples of a batch weigh each other's losses by a broadcast; here each
    stands alone.

    Attributes:
        rectified: False sets V to 1: plain L1 on the same pixels.
        detach_uncertainty: whether V is taken as given. The published gradient flows through it.
    """

    rectified: bool = True
    detach_uncertainty: bool = False

    def __call__(self, depth: Tensor, dense: Tensor, single_scan: Tensor) -> DepthTerms:
        """Compare.

        Args:
            depth: (N, 1, H, W) metres, predicted.
            dense: (N, 1, H, W) metres, 0 where there is none.
            single_scan: the same.

        Raises:
            InputError: the shapes differ.
        """
        check_same_shape(depth=depth, dense=dense, single_scan=single_scan)
        depth = depth.float()
        return DepthTerms(
            dense=self._against(depth, dense, dense_only(dense, single_scan)),
            single=self._against(depth, single_scan, is_measured(single_scan)),
        )

    def _against(self, depth: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        weights = mask
        if self.rectified:
            uncertainty = disagreement(depth, target, mask)
            if self.detach_uncertainty:
                uncertainty = uncertainty.detach()
            # The masks do not overlap, so the other U is 1 and the softmax a sigmoid.
            weights = mask * torch.sigmoid(uncertainty - 1)
        return sample_mean((depth - target).abs(), weights)


def plain_l1(depth: Tensor, target: Tensor) -> Tensor:
    """Mean |depth - D| where there is a D, as CaFNet (arXiv 2407.00697) learns.

    Args:
        depth: (N, 1, H, W) metres, predicted.
        target: D, (N, 1, H, W) metres, 0 where there is none.

    Returns:
        (N,) metres, 0 for a sample without truth.

    Raises:
        InputError: the shapes differ.
    """
    check_same_shape(depth=depth, target=target)
    return sample_mean((depth.float() - target).abs(), is_measured(target))


def inter_depth_l1(inter_depths: Sequence[Tensor], target: Tensor) -> Tensor:
    """Mean over the scales of mean |100 m d - D| where there is a D.

    A depth counts as one of 0 to 100 m: planar guidance can answer beyond any depth, and one such
    pixel would outweigh all others.

    Args:
        inter_depths: d8, d4, d2, each (N, 1, H, W) in units of 100 m.
        target: D, (N, 1, H, W) metres, 0 where there is none.

    Returns:
        (N,) metres, 0 for a sample without truth.

    Raises:
        InputError: the shapes differ.
    """
    scales = [plain_l1(MAX_DEPTH * depth.float().clamp(0, 1), target) for depth in inter_depths]
    return torch.stack(scales).mean(0)
