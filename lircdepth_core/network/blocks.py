"""Small pieces that the networks are built of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PointwiseReLU(nn.Module):
    """1x1 convolution without bias, then ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return self.conv(x)


class ConvInFloat32(nn.Conv2d):
    """A convolution in float32, under autocast and in a network of half precision too.

    For the last one before a depth: from a logit in bfloat16, depth comes in steps of 10 cm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) of any precision to float32."""
        with torch.autocast(x.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(x.float(), self.weight.float(), bias)


class TransposedBottleneck(nn.Module):
    """The student's up-block: an inverted bottleneck of transposed convolutions, no residual.

    1x1 convolution to six times the inputs; 3x3 depthwise transposed convolution of the stride;
    1x1 transposed convolution to the outputs. Each without bias and with batch normalisation,
    ReLU6 after the first two.
    """

    EXPANSION = 6

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * self.EXPANSION
        self.expansion_layer = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
        )
        self.depthwise_layer_transpose = nn.Sequential(
            nn.ConvTranspose2d(
                hidden,
                hidden,
                3,
                stride,
                padding=1,
                output_padding=stride - 1,
                groups=hidden,
                bias=False,
            ),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
        )
        self.pointwise_layer_transpose = nn.Sequential(
            nn.ConvTranspose2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H * stride, W * stride)."""
        x = self.expansion_layer(x)
        x = self.depthwise_layer_transpose(x)
        return self.pointwise_layer_transpose(x)


def affinity(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.ModuleList:
    """One pointwise layer per tap."""
    return nn.ModuleList(map(PointwiseReLU, inputs, outputs))


def tap_by_tap(layers: nn.ModuleList, taps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Each tap through its own layer."""
    return tuple(layer(tap) for layer, tap in zip(layers, taps, strict=True))


def xavier_uniform_(module: nn.Module) -> None:
    """Start every convolution of a module from Xavier-uniform weights."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
