"""What the teacher's radar confidence learns: where a return's depth is that of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lircdepth_core.distillation.pixels import check_same_shape, is_measured, sample_mean
from lircdepth_core.distillation.uncertainty_loss import cross_entropy

_RETURNS_AT_A_TIME = 8


@dataclass(frozen=True)
class ConfidenceLoss:
    """CaFNet's confidence loss (arXiv 2407.00697): cross-entropy where there is dense depth.

    A pixel matches if its dense depth is near that of a return in whose region it lies: the
    return's object box, or without one a window around the return. Where regions overlap, one
    match is enough; the published code lets a later return overwrite an earlier one's matches.

    Attributes:
        tolerance: metres between dense and radar depth.
        window_rows: how far a window reaches up and down, in pixels of the network's input. As
            published for nuScenes at full size (focal length 1266 px); scale both with the images.
        window_columns: the same to the left and right.
    """

    tolerance: float = 0.4
    window_rows: int = 50
    window_columns: int = 150

    def __call__(self, confidence: Tensor, dense: Tensor, returns: Tensor, boxes: Tensor) -> Tensor:
        """Compare.

        Args:
            confidence: (N, 1, H, W) in 0..1, predicted.
            dense: (N, 1, H, W) metres, 0 where there is none.
            returns: (N, P, 7), see `matches`.
            boxes: (N, B, 4), see `matches`.

        Returns:
            (N,), 0 for a sample without dense depth.

        Raises:
            InputError: the shapes differ.
        """
        check_same_shape(confidence=confidence, dense=dense)
        target = self.matches(dense, returns, boxes).float()
        return sample_mean(cross_entropy(confidence, target), is_measured(dense))

    def matches(self, dense: Tensor, returns: Tensor, boxes: Tensor) -> Tensor:
        """Where a return's depth is that of the scene.

        Args:
            dense: (N, 1, H, W) metres, 0 where there is none.
            returns: (N, P, 7) u, v, depth, rcs, vx, vy, box; a depth of 0 is no return; a box of
                i is boxes[i - 1], of 0 none.
            boxes: (N, B, 4) x1, y1, x2, y2 in pixels.

        Returns:
            (N, 1, H, W) bool.
        """
        depth = returns[..., 2]
        in_rows, in_columns = self._regions(returns, boxes, *dense.shape[2:])
        in_rows &= (depth > 0)[..., None]
        found = torch.zeros_like(dense, dtype=torch.bool)
        # Some returns at a time: all returns by all pixels would not fit into memory.
        for first in range(0, depth.shape[1], _RETURNS_AT_A_TIME):
            some = slice(first, first + _RETURNS_AT_A_TIME)
            near = (dense - depth[:, some, None, None]).abs() < self.tolerance
            near &= in_rows[:, some, :, None]
            near &= in_columns[:, some, None, :]
            found |= near.any(1, keepdim=True)
        return found & is_measured(dense)

    def _regions(
        self, returns: Tensor, boxes: Tensor, height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """Which rows (N, P, H) and columns (N, P, W) each return's region takes in, bool."""
        box = returns[..., 6].long()
        reach = returns.new_tensor([self.window_columns, self.window_rows])
        pixel = returns[..., :2].trunc()
        around = torch.cat([pixel - reach, pixel + reach], -1)
        with_none = functional.pad(boxes, (0, 0, 1, 0))
        own = with_none.gather(1, box[..., None].expand(-1, -1, 4))
        left, top, right, bottom = torch.where(box[..., None] > 0, own, around).unbind(-1)
        rows = torch.arange(height, device=returns.device)
        columns = torch.arange(width, device=returns.device)
        return (
            (rows >= top[..., None]) & (rows <= bottom[..., None]),
            (columns >= left[..., None]) & (columns <= right[..., None]),
        )
