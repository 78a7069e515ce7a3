"""The teacher network, CaFNet (IROS 2024, arXiv 2407.00697)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lircdepth_core.network.inputs import check_inputs
from lircdepth_core.network.output import MAX_DEPTH, TeacherOutput
from lircdepth_core.network.resnet import resnet18, resnet34
from lircdepth_core.network.sparse_conv import SparseConv
from lircdepth_core.network.teacher_decoders import FusionDecoder, RadarDecoder

MIN_CONFIDENCE = 0.4
"""Only above this confidence is the coarse radar depth believed."""


class Teacher(nn.Module):
    """Large radar-camera network, from which the student learns.

    62.25 million parameters under the names of the published checkpoint, 1.54 million of them in
    the three ResNets' classifiers, which are held for the names' sake, frozen and not used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImageEncoder()
        self.encoder_radar1 = CoarseRadarEncoder()
        self.decoder_radar = RadarDecoder()
        self.encoder_radar2 = RefinedRadarEncoder()
        self.decoder = FusionDecoder()

    def forward(self, image: Tensor, radar: Tensor) -> TeacherOutput:
        """Depth and radar confidence of a batch.

        Args:
            image: (N, 3, H, W) RGB, normalised by `IMAGE_MEAN` and `IMAGE_STD`.
            radar: (N, 4, H, W) of `RADAR_CHANNELS`: m, dBsm, m/s, m/s; zero where no return.

        Raises:
            InputError: shapes that do not fit, or H or W not a multiple of 32.
        """
        check_inputs(image, radar)
        image_features = self.encoder(image)
        coarse, confidence = self.decoder_radar(image_features, self.encoder_radar1(radar))
        radar_depth = MAX_DEPTH * coarse
        believed = torch.where(confidence > MIN_CONFIDENCE, radar_depth, 0)
        refined = self.encoder_radar2(torch.cat([believed, radar], 1))
        depth, inter_depths, decoder_features, gated_radar = self.decoder(
            image_features, refined, confidence
        )
        return TeacherOutput(
            depth=depth,
            inter_depths=inter_depths,
            decoder_features=decoder_features,
            image_features=image_features,
            radar_features=gated_radar,
            confidence=confidence,
            radar_depth=radar_depth,
        )


class ImageEncoder(nn.Module):
    """ResNet-34."""

    def __init__(self) -> None:
        super().__init__()
        self.base_model = resnet34()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to five features, 1/2 to 1/32."""
        return self.base_model(image)


class CoarseRadarEncoder(nn.Module):
    """Sparse convolutions, which fill in around the returns, then ResNet-18."""

    def __init__(self) -> None:
        super().__init__()
        self.sparse_conv1 = SparseConv(4, 16, 7)
        self.sparse_conv2 = SparseConv(16, 16, 5)
        self.sparse_conv3 = SparseConv(16, 16, 3)
        self.sparse_conv4 = SparseConv(16, 3, 3)
        self.base_model_radar = resnet18()

    def forward(self, radar: Tensor) -> tuple[Tensor, ...]:
        """(N, 4, H, W) to five features, 1/2 to 1/32."""
        mask = (radar[:, :1] > 0).to(radar.dtype)
        x, mask = self.sparse_conv1(radar, mask)
        x, mask = self.sparse_conv2(x, mask)
        x, mask = self.sparse_conv3(x, mask)
        x, mask = self.sparse_conv4(x, mask)
        return self.base_model_radar(x)


class RefinedRadarEncoder(nn.Module):
    """The believed coarse depth and the radar image brought to three channels, then ResNet-18."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(5, 3, 3, padding=1, bias=False), nn.ELU(inplace=True))
        self.base_model_radar = resnet18()

    def forward(self, radar: Tensor) -> tuple[Tensor, ...]:
        """(N, 5, H, W) to five features, 1/2 to 1/32."""
        return self.base_model_radar(self.conv(radar))
