"""Convolution that only counts the pixels that hold something."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SparseConv(nn.Module):
    """Sparsity-invariant convolution and ELU (Uhrig et al. 2017, arXiv 1708.06500).

    The convolution of the masked input is divided by how many pixels under the kernel are in the
    mask; then comes the bias. `sparsity` holds the ones that count; it does not train.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.sparsity = nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.ones_(self.sparsity.weight).requires_grad_(False)
        self.kernel = kernel

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve.

        Args:
            x: (N, inputs, H, W).
            mask: (N, 1, H, W), 1 where x holds something, else 0.

        Returns:
            (N, outputs, H, W), and the mask grown by the kernel.
        """
        # In float32: half precision has no 1e-8, and no pixel at all would be 0 / 0.
        y = self.conv(x * mask).float() / (self.sparsity(mask).float() + 1e-8)
        y = functional.elu(y + self.bias[:, None, None])
        return y, functional.max_pool2d(mask, self.kernel, stride=1, padding=self.kernel // 2)
