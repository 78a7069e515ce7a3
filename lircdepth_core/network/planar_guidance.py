"""Depth from planes (BTS: Lee et al. 2019, arXiv 1907.10326, section 3.3)."""

from __future__ import annotations

from collections import OrderedDict
from math import pi

import torch
from torch import Tensor, nn

from lircdepth_core.network.blocks import ConvInFloat32


class PlanarGuidance(nn.Module):
    """A plane per pixel of a coarse feature, drawn at full size."""

    def __init__(self, inputs: int, first: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        chain = pointwise_chain(inputs, first)
        chain["plane_params"] = ConvInFloat32(8, 3, 1, bias=False)
        self.reduc = nn.Sequential(chain)

    def forward(self, feature: Tensor) -> Tensor:
        """(N, inputs, H/scale, W/scale) to depth (N, 1, H, W) in units of 100 m."""
        polar, azimuth, distance = torch.sigmoid(self.reduc(feature)).unbind(1)
        return plane_depth(polar * (pi / 3), azimuth * (2 * pi), distance, self.scale)


class FullSizeDepth(nn.Module):
    """The same chain at full size, where a plane is one pixel: it ends in the depth."""

    def __init__(self, inputs: int, first: int) -> None:
        super().__init__()
        chain = pointwise_chain(inputs, first)
        chain["final"] = nn.Sequential(ConvInFloat32(8, 1, 1, bias=False), nn.Sigmoid())
        self.reduc = nn.Sequential(chain)

    def forward(self, feature: Tensor) -> Tensor:
        """(N, inputs, H, W) to depth (N, 1, H, W) in units of 100 m."""
        return self.reduc(feature)


def plane_depth(polar: Tensor, azimuth: Tensor, distance: Tensor, scale: int) -> Tensor:
    """Depth of the rays of each scale x scale cell where they meet the cell's plane.

    A ray is (u, v, 1) with u, v from the cell's centre in cells. The denominator is not clamped,
    as in the published network: the depth may be huge or negative.

    Args:
        polar: (N, H, W) angle of the plane's normal to the optical axis, radians.
        azimuth: (N, H, W) angle of the normal about the axis, radians.
        distance: (N, H, W) of the plane from the origin.
        scale: pixels per cell side.

    Returns:
        (N, 1, H * scale, W * scale) in the unit of distance.
    """
    normal_x = torch.sin(polar) * torch.cos(azimuth)
    normal_y = torch.sin(polar) * torch.sin(azimuth)
    normal_z = torch.cos(polar)
    offset = torch.arange(scale, device=distance.device, dtype=distance.dtype)
    offset = (offset - (scale - 1) / 2) / scale
    # Dimensions: batch, cell row, row in the cell, cell column, column in the cell.
    normal_x, normal_y, normal_z, distance = (
        value[:, :, None, :, None] for value in (normal_x, normal_y, normal_z, distance)
    )
    u, v = offset, offset[:, None, None]
    depth = distance / (normal_x * u + normal_y * v + normal_z)
    return depth.flatten(3, 4).flatten(1, 2)[:, None]


def pointwise_chain(inputs: int, first: int) -> OrderedDict[str, nn.Module]:
    """1x1 convolutions with ELU: to `first` channels, then half of it, down to 8."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    outputs = first
    while outputs >= 8:
        layers[f"inter_{inputs}_{outputs}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.ELU(inplace=True)
        )
        inputs, outputs = outputs, outputs // 2
    return layers
