"""MobileNetV2 as a feature pyramid (Sandler et al. 2018, arXiv 1801.04381, table 2)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class MobileNetV2(nn.Sequential):
    """MobileNetV2 of width 1.0 without its classifier.

    Parameter names are those of torchvision's `features`. `forward` takes (N, 3, H, W) and returns
    five taps of 16, 24, 32, 64 and 1280 channels at 1/2, 1/4, 1/8, 1/16 and 1/32.
    """

    TAP_CHANNELS = (16, 24, 32, 64, 1280)

    def __init__(self) -> None:
        blocks: list[nn.Module] = [conv_bn_relu6(3, 32, kernel=3, stride=2)]
        channels = 32
        for stage in STAGES:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, stage.channels, stride, stage.expansion))
                channels = stage.channels
        blocks.append(conv_bn_relu6(channels, 1280, kernel=1))
        super().__init__(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to five taps, shallow to deep."""
        taps = []
        for index, block in enumerate(self):
            x = block(x)
            if index in TAP_BLOCKS:
                taps.append(x)
        return tuple(taps)


class Stage(NamedTuple):
    """A row of the paper's table 2."""

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
TAP_BLOCKS = (1, 3, 6, 10, 18)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise by 3x3, project by 1x1; residual where the shape is kept."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_bn_relu6(inputs, hidden, kernel=1))
        layers += [
            conv_bn_relu6(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        return x + self.conv(x) if self.residual else self.conv(x)


def conv_bn_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )
