"""Structure-guided, pair-wise decoding distillation (LiRCDepth, arXiv 2412.16380)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lircdepth_core.errors import InputError


@dataclass(frozen=True)
class StructureDistillation:
    """How alike places of the scene are to each other, student against teacher.

    Each decoder feature is max-pooled to a few dozen pixels; A holds the cosine of every two of
    them. The loss is the sum of 2^-i mean (A_T - A_S)², i = 0 at full size.

    Attributes:
        pooling: share of height and width that one pooled pixel spans, 0 < pooling <= 1.
        detach_norm: whether the gradient takes the pooled pixels' norms as given, as published.
            Most of it then only rescales features, of which the loss takes no notice.
    """

    pooling: float = 0.2
    detach_norm: bool = True

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Compare.

        Args:
            student: decoder features, each (N, C, h, w), 1/16 to 1/1.
            teacher: the same of the teacher; C may differ.

        Returns:
            (N,)

        Raises:
            InputError: features of other sizes, as a small student's last, are pooled to other
                numbers of pixels.
        """
        distances = []
        for i, (ours, theirs) in enumerate(zip(student[::-1], teacher[::-1], strict=True)):
            a_s, a_t = self.affinity(ours), self.affinity(theirs)
            if a_s.shape != a_t.shape:
                raise InputError(
                    f"pooling: {self.pooling} makes {a_s.shape[1]} pixels of the student's feature "
                    f"and {a_t.shape[1]} of the teacher's; give another share, such as 0.2"
                )
            distances.append(2.0**-i * (a_t - a_s).square().flatten(1).mean(1))
        return torch.stack(distances).sum(0)

    def affinity(self, feature: Tensor) -> Tensor:
        """(N, C, h, w) to (N, P, P) cosines of the P pooled pixels, row by row."""
        kernel = tuple(max(int(self.pooling * size), 1) for size in feature.shape[2:])
        pooled = functional.max_pool2d(feature, kernel, ceil_mode=True).flatten(2).float()
        measured = pooled.detach() if self.detach_norm else pooled
        unit = pooled / (measured.norm(dim=1, keepdim=True) + 1e-8)
        return unit.transpose(1, 2) @ unit
