"""The teacher's two decoders: coarse radar depth with confidence, and the fused depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.blocks import ConvInFloat32, xavier_uniform_
from lircdepth_core.network.output import MAX_DEPTH
from lircdepth_core.network.planar_guidance import FullSizeDepth, PlanarGuidance


class RadarDecoder(nn.Module):
    """Coarse radar depth and its confidence from image and radar features."""

    def __init__(self) -> None:
        super().__init__()
        self.upconv5, self.bn5, self.conv5 = radar_step(512 + 512, 256)
        self.upconv4, self.bn4, self.conv4 = radar_step(256 + 256 + 256, 128)
        self.upconv3, self.bn3, self.conv3 = radar_step(128 + 128 + 128, 64)
        self.upconv2, self.bn2, self.conv2 = radar_step(64 + 64 + 64, 32)
        self.upconv1, self.bn1, self.conv1 = radar_step(64 + 64 + 32, 32)
        self.get_depth = nn.Sequential(ConvInFloat32(32, 2, 3, padding=1, bias=False), nn.Sigmoid())
        xavier_uniform_(self)

    def forward(
        self, image_features: tuple[Tensor, ...], radar_features: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """Depth in units of 100 m and confidence in 0..1, each (N, 1, H, W)."""
        steps = (
            (self.upconv5, self.bn5, self.conv5),
            (self.upconv4, self.bn4, self.conv4),
            (self.upconv3, self.bn3, self.conv3),
            (self.upconv2, self.bn2, self.conv2),
            (self.upconv1, self.bn1, self.conv1),
        )
        previous: list[Tensor] = []
        for step, image, radar in zip(
            steps, image_features[::-1], radar_features[::-1], strict=True
        ):
            up, norm, conv = step
            previous = [conv(norm(up(torch.cat([image, radar, *previous], 1))))]
        depth, confidence = self.get_depth(previous[0]).split(1, dim=1)
        return depth, confidence


class FusionDecoder(nn.Module):
    """A BTS decoder (Lee et al. 2019, arXiv 1907.10326) that radar joins through gates."""

    def __init__(self) -> None:
        super().__init__()
        self.weight5, self.project5 = gate_layers(512, 512)
        self.upconv5 = UpConv(512, 512)
        self.bn5 = batch_norm(512)
        self.conv5 = conv_elu(512 + 256, 512)

        self.weight4, self.project4 = gate_layers(256, 512)
        self.upconv4 = UpConv(512, 256)
        self.bn4 = batch_norm(256)
        self.conv4 = conv_elu(256 + 128, 256)
        self.bn4_2 = batch_norm(256)

        self.daspp_3 = DenseAtrous(256, dilation=3, first_norm=False)
        self.daspp_6 = DenseAtrous(384 + 128, dilation=6)
        self.daspp_12 = DenseAtrous(384 + 2 * 128, dilation=12)
        self.daspp_18 = DenseAtrous(384 + 3 * 128, dilation=18)
        self.daspp_24 = DenseAtrous(384 + 4 * 128, dilation=24)
        self.daspp_conv = conv_elu(256 + 5 * 128, 128)
        self.reduc8x8 = PlanarGuidance(128, first=128, scale=8)

        self.weight3, self.project3 = gate_layers(128, 128)
        self.upconv3 = UpConv(128, 128)
        self.bn3 = batch_norm(128)
        self.conv3 = conv_elu(128 + 64 + 1, 128)
        self.reduc4x4 = PlanarGuidance(128, first=64, scale=4)

        self.weight2, self.project2 = gate_layers(64, 128)
        self.upconv2 = UpConv(128, 64)
        self.bn2 = batch_norm(64)
        self.conv2 = conv_elu(64 + 64 + 1, 64)
        self.reduc2x2 = PlanarGuidance(64, first=32, scale=2)

        self.weight1, self.project1 = gate_layers(64, 64)
        self.upconv1 = UpConv(64, 32)
        self.reduc1x1 = FullSizeDepth(32, first=16)
        self.conv1 = conv_elu(32 + 4, 32)
        self.get_depth = nn.Sequential(ConvInFloat32(32, 1, 3, padding=1, bias=False), nn.Sigmoid())
        xavier_uniform_(self)

    def forward(
        self,
        image_features: tuple[Tensor, ...],
        radar_features: tuple[Tensor, ...],
        confidence: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Fuse.

        Returns:
            depth (N, 1, H, W) in metres; d8, d4, d2 in units of 100 m; the five decoder features;
            the gated radar features. In the order of `TeacherOutput`.
        """
        half, quarter, eighth, sixteenth, deepest = image_features
        gates = (
            (self.weight5, self.project5),
            (self.weight4, self.project4),
            (self.weight3, self.project3),
            (self.weight2, self.project2),
            (self.weight1, self.project1),
        )
        radar32, radar16, radar8, radar4, radar2 = gated = tuple(
            weight(tap) * project(tap) * functional.avg_pool2d(confidence, scale)
            for (weight, project), tap, scale in zip(
                gates, radar_features[::-1], (32, 16, 8, 4, 2), strict=True
            )
        )
        up5 = self.bn5(self.upconv5(deepest + radar32))
        feature16 = self.conv5(torch.cat([up5, sixteenth], 1))

        up4 = self.bn4(self.upconv4(feature16 + radar16))
        feature8 = self._atrous(torch.cat([up4, eighth], 1)) + radar8
        d8 = self.reduc8x8(feature8)

        up3 = self.bn3(self.upconv3(feature8))
        seen8 = within_half(d8)
        feature4 = self.conv3(torch.cat([up3, quarter, every_nth(seen8, 4)], 1)) + radar4
        d4 = self.reduc4x4(feature4)

        up2 = self.bn2(self.upconv2(feature4))
        seen4 = within_half(d4)
        feature2 = self.conv2(torch.cat([up2, half, every_nth(seen4, 2)], 1)) + radar2
        d2 = self.reduc2x2(feature2)

        up1 = self.upconv1(feature2)
        d1 = self.reduc1x1(up1)
        feature1 = self.conv1(torch.cat([up1, d1, within_half(d2), seen4, seen8], 1))
        depth = MAX_DEPTH * self.get_depth(feature1)
        return depth, (d8, d4, d2), (feature16, feature8, feature4, feature2, feature1), gated

    def _atrous(self, skip: Tensor) -> Tensor:
        """(N, 384, H, W) to (N, 128, H, W) at 1/8, seen through five dilations."""
        feature = self.bn4_2(self.conv4(skip))
        outputs = [self.daspp_3(feature)]
        for layer in (self.daspp_6, self.daspp_12, self.daspp_18, self.daspp_24):
            outputs.append(layer(torch.cat([skip, *outputs], 1)))
        return self.daspp_conv(torch.cat([feature, *outputs], 1))


class UpConv(nn.Module):
    """Nearest-neighbour doubling, 3x3 convolution, ELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        return functional.elu(self.conv(functional.interpolate(x, scale_factor=2.0)))


class DenseAtrous(nn.Module):
    """One of the dense atrous convolutions, 128 channels out."""

    def __init__(self, inputs: int, dilation: int, first_norm: bool = True) -> None:
        super().__init__()
        self.atrous_conv = nn.Sequential()
        if first_norm:
            self.atrous_conv.add_module("first_bn", batch_norm(inputs))
        self.atrous_conv.add_module(
            "aconv_sequence",
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(inputs, 256, 1, bias=False),
                nn.BatchNorm2d(256),
                nn.ReLU(inplace=True),
                nn.Conv2d(256, 128, 3, padding=dilation, dilation=dilation, bias=False),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 128, H, W)."""
        return self.atrous_conv(x)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with BTS's constants."""
    return nn.BatchNorm2d(channels, eps=1.1e-5, momentum=0.01)


def conv_elu(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution without bias, ELU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.ELU(inplace=True))


def radar_step(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """One step up of the coarse stage: up-convolution, normalisation, convolution."""
    return UpConv(inputs, outputs), batch_norm(outputs), conv_elu(outputs, outputs)


def gate_layers(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """What weighs a radar feature, 0..1, and what brings it to the decoder's width."""
    weight = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.Sigmoid())
    project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.ReLU())
    return weight, project


def within_half(depth: Tensor) -> Tensor:
    """The same, where a convolution takes it as float16 within what that can hold.

    Planes answer with any number, and one pixel beyond 65,504 would make NaN of the answer.
    """
    device = depth.device.type
    if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16:
        largest = torch.finfo(torch.float16).max
        return depth.clamp(-largest, largest)
    return depth


def every_nth(x: Tensor, n: int) -> Tensor:
    """Nearest-neighbour downsampling, as torch's `nearest`: the first of every n."""
    return x[:, :, ::n, ::n]
