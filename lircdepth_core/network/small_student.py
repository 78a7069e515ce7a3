"""A student of less than a quarter of the multiplications, for small computers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.blocks import ConvInFloat32, affinity, tap_by_tap
from lircdepth_core.network.mobilenet import InvertedResidual, MobileNetV2, conv_bn_relu6
from lircdepth_core.network.output import MAX_DEPTH
from lircdepth_core.network.student_network import StudentNetwork
from lircdepth_core.network.uncertainty import UncertaintyHead

WIDTHS = (32, 48, 80, 128, 192)
"""Channels of the image, radar and decoder features at 1/2 ... 1/32."""


class SmallStudent(StudentNetwork):
    """Small radar-camera network: depth and its uncertainty, both made at 1/2.

    What the student spends most on is gone: its bottlenecks widen the concatenated features
    sixfold before they narrow them, its radar encoder is a second MobileNetV2 though radar is
    nearly empty, and its last layers run at full size. Here features are narrowed first, the radar
    encoder is slim, and the last layers run at 1/2, where each pixel answers for the four that it
    covers (sub-pixel convolution: Shi et al. 2016, arXiv 1609.05158).

    The image encoder is the student's MobileNetV2 and may begin with a trained student's.

    Args:
        uncertainty_shapes_features: see `StudentNetwork`.
    """

    encoder: SmallImageEncoder

    def __init__(self, uncertainty_shapes_features: bool = False) -> None:
        super().__init__(
            SmallImageEncoder(),
            SmallRadarEncoder(),
            SmallDecoder(),
            UncertaintyHead(
                context_channels=WIDTHS[2], feature_channels=WIDTHS[0], compared=3, step=2
            ),
            uncertainty_shapes_features,
        )


class SmallImageEncoder(nn.Module):
    """MobileNetV2, its taps brought to `WIDTHS`."""

    def __init__(self) -> None:
        super().__init__()
        self.base_model = MobileNetV2()
        self.conv_image = affinity(MobileNetV2.TAP_CHANNELS, WIDTHS)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to five features, 1/2 to 1/32."""
        return tap_by_tap(self.conv_image, self.base_model(image))


class SmallRadarEncoder(nn.Module):
    """A few inverted residuals, their taps brought to `WIDTHS`."""

    TAP_CHANNELS = (16, 24, 32, 48, 64)

    def __init__(self) -> None:
        super().__init__()
        widths = self.TAP_CHANNELS
        self.scales = nn.ModuleList(
            [
                conv_bn_relu6(4, widths[0], kernel=3, stride=2),
                InvertedResidual(widths[0], widths[1], stride=2, expansion=3),
                *map(deeper_scale, widths[1:], widths[2:]),
            ]
        )
        self.conv_radar = affinity(widths, WIDTHS)

    def forward(self, radar: Tensor) -> tuple[Tensor, ...]:
        """(N, 4, H, W) to five features, 1/2 to 1/32."""
        taps = []
        for scale in self.scales:
            radar = scale(radar)
            taps.append(radar)
        return tap_by_tap(self.conv_radar, tuple(taps))


class SmallDecoder(nn.Module):
    """Adds image and radar features scale by scale on the way up to 1/2."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, deepest = WIDTHS
        self.up5 = UpStage(deepest, sixteenth)
        self.up4 = UpStage(sixteenth, eighth)
        self.scale8 = inter_depth_head(eighth)
        self.up3 = UpStage(eighth, quarter)
        self.scale4 = inter_depth_head(quarter)
        self.up2 = conv_bn_relu6(quarter, half, kernel=1)
        self.scale2 = inter_depth_head(half)
        self.last = nn.Sequential(
            conv_bn_relu6(half + 3, half, kernel=3), conv_bn_relu6(half, half, kernel=3)
        )
        self.get_depth = ConvInFloat32(half, 4, 3, padding=1)

    def forward(
        self, image_features: tuple[Tensor, ...], radar_features: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Depth (N, 1, H, W) in metres; d8, d4, d2 at 1/2 in units of 100 m; the five features."""
        half, quarter, eighth, sixteenth, deepest = (
            image + radar for image, radar in zip(image_features, radar_features, strict=True)
        )
        up5 = self.up5(deepest, sixteenth)
        up4 = self.up4(up5, eighth)
        up3 = self.up3(up4, quarter)
        up2 = doubled(self.up2(up3)) + half

        d8 = functional.interpolate(self.scale8(up4), scale_factor=4.0)
        d4 = functional.interpolate(self.scale4(up3), scale_factor=2.0)
        d2 = self.scale2(up2)
        feature = self.last(torch.cat([up2, d8, d4, d2], 1))
        depth = MAX_DEPTH * functional.pixel_shuffle(torch.sigmoid(self.get_depth(feature)), 2)
        return depth, (d8, d4, d2), (up5, up4, up3, up2, feature)


class UpStage(nn.Module):
    """Narrows a feature, doubles its size, and merges it with that of the finer scale.

    Args:
        inputs: channels of the coarser feature.
        outputs: channels of the finer one, and of the result.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = conv_bn_relu6(inputs, outputs, kernel=1)
        self.merge = nn.Sequential(
            InvertedResidual(2 * outputs, outputs, stride=1, expansion=2),
            InvertedResidual(outputs, outputs, stride=1, expansion=3),
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, outputs, 2 H, 2 W) to (N, outputs, 2 H, 2 W)."""
        merged: Tensor = self.merge(torch.cat([doubled(self.narrow(coarse)), fine], 1))
        return merged


def inter_depth_head(inputs: int) -> nn.Sequential:
    """One channel of depth, 0..1: unlike the student's ReLU it cannot fall silent for good."""
    return nn.Sequential(nn.Conv2d(inputs, 1, 1), nn.Sigmoid())


def deeper_scale(inputs: int, outputs: int) -> nn.Sequential:
    """Two inverted residuals, the first of which halves the size."""
    return nn.Sequential(
        InvertedResidual(inputs, outputs, stride=2, expansion=3),
        InvertedResidual(outputs, outputs, stride=1, expansion=3),
    )


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W), each pixel four times."""
    return functional.interpolate(x, scale_factor=2.0)
