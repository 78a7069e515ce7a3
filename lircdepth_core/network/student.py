"""The student network of LiRCDepth (ICASSP 2025, arXiv 2412.16380)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.blocks import (
    ConvInFloat32,
    TransposedBottleneck,
    affinity,
    tap_by_tap,
    xavier_uniform_,
)
from lircdepth_core.network.mobilenet import MobileNetV2
from lircdepth_core.network.output import MAX_DEPTH
from lircdepth_core.network.student_network import StudentNetwork
from lircdepth_core.network.uncertainty import UncertaintyHead

IMAGE_WIDTHS = (64, 64, 128, 256, 512)
"""Channels of the image features at 1/2 ... 1/32, the teacher's too."""

RADAR_WIDTHS = (64, 128, 128, 512, 512)
"""Channels of the radar features at 1/2 ... 1/32, the teacher's gated ones too."""


class Student(StudentNetwork):
    """Small radar-camera network: depth and its uncertainty.

    12.65 million parameters under the names of the published checkpoint, and 0.02 million more
    under `uncertainty_head`, which no published checkpoint holds.

    Args:
        uncertainty_shapes_features: see `StudentNetwork`.
    """

    encoder: ImageEncoder
    encoder_radar: RadarEncoder

    def __init__(self, uncertainty_shapes_features: bool = False) -> None:
        super().__init__(
            ImageEncoder(),
            RadarEncoder(),
            Decoder(),
            UncertaintyHead(context_channels=128, feature_channels=32, compared=4),
            uncertainty_shapes_features,
        )


class ImageEncoder(nn.Module):
    """MobileNetV2, its taps brought to `IMAGE_WIDTHS`."""

    def __init__(self) -> None:
        super().__init__()
        self.base_model = MobileNetV2()
        self.conv_image = affinity(MobileNetV2.TAP_CHANNELS, IMAGE_WIDTHS)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to five features, 1/2 to 1/32."""
        return tap_by_tap(self.conv_image, self.base_model(image))


class RadarEncoder(nn.Module):
    """A convolution to three channels, MobileNetV2, its taps brought to `RADAR_WIDTHS`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(4, 3, 3, padding=1, bias=False), nn.ReLU(inplace=True))
        self.base_model = MobileNetV2()
        self.conv_radar = affinity(MobileNetV2.TAP_CHANNELS, RADAR_WIDTHS)

    def forward(self, radar: Tensor) -> tuple[Tensor, ...]:
        """(N, 4, H, W) to five features, 1/2 to 1/32."""
        return tap_by_tap(self.conv_radar, self.base_model(self.conv(radar)))


class Decoder(nn.Module):
    """Adds image and radar features scale by scale on the way up to full size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_radar = affinity(RADAR_WIDTHS, IMAGE_WIDTHS)
        self.upconv5 = up_stage(512, inner=32, blocks=3, outputs=512)
        self.upconv4 = up_stage(512 + 256, inner=16, blocks=8, outputs=128)
        self.scale8 = depth_head(128)
        self.upconv3 = up_stage(128 + 128, inner=32, blocks=3, outputs=128)
        self.scale4 = depth_head(128)
        self.upconv2 = up_stage(128 + 64, inner=32, blocks=2, outputs=64)
        self.scale2 = depth_head(64)
        self.upconv1 = nn.Sequential(
            nn.ConvTranspose2d(64 + 64, 32, 3, 2, padding=1, output_padding=1, bias=False)
        )
        self.scale1 = depth_head(32)
        self.conv1 = nn.Sequential(
            nn.Conv2d(32 + 4, 32, 3, padding=1, bias=False), nn.ReLU(inplace=True)
        )
        self.get_depth = nn.Sequential(ConvInFloat32(32, 1, 3, padding=1, bias=False), nn.Sigmoid())
        xavier_uniform_(self)

    def forward(
        self, image_features: tuple[Tensor, ...], radar_features: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Depth (N, 1, H, W) in metres; d8, d4, d2, d1 in units of 100 m; the five features."""
        radar_features = tap_by_tap(self.conv_radar, radar_features)
        half, quarter, eighth, sixteenth, deepest = (
            image + radar for image, radar in zip(image_features, radar_features, strict=True)
        )
        up5 = self.upconv5(deepest)
        up4 = self.upconv4(torch.cat([up5, sixteenth], 1))
        up3 = self.upconv3(torch.cat([up4, eighth], 1))
        up2 = self.upconv2(torch.cat([up3, quarter], 1))
        up1 = self.upconv1(torch.cat([up2, half], 1))

        d8 = functional.interpolate(self.scale8(up4), scale_factor=8.0)
        d4 = functional.interpolate(self.scale4(up3), scale_factor=4.0)
        d2 = functional.interpolate(self.scale2(up2), scale_factor=2.0)
        d1 = self.scale1(up1)
        feature = self.conv1(torch.cat([up1, d8, d4, d2, d1], 1))
        depth = MAX_DEPTH * self.get_depth(feature)
        return depth, (d8, d4, d2, d1), (up5, up4, up3, up2, feature)


def up_stage(inputs: int, inner: int, blocks: int, outputs: int) -> nn.Sequential:
    """Bottlenecks in a row, narrow inside; the last one doubles the size."""
    widths = [inputs] + [inner] * (blocks - 1)
    narrow = map(TransposedBottleneck, widths[:-1], widths[1:], [1] * (blocks - 1))
    return nn.Sequential(*narrow, TransposedBottleneck(inner, outputs, stride=2))


def depth_head(inputs: int) -> nn.Sequential:
    """One channel of depth, not negative."""
    return nn.Sequential(nn.Conv2d(inputs, 1, 1, bias=False), nn.ReLU(inplace=True))
