"""What students have in common: two encoders, a decoder and the uncertainty head after them."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.inputs import check_inputs
from lircdepth_core.network.output import StudentOutput
from lircdepth_core.network.uncertainty import UncertaintyHead

Network = TypeVar("Network", bound="StudentNetwork")


class StudentNetwork(nn.Module):
    """Radar-camera network that answers with depth and its uncertainty.

    Args:
        encoder: (N, 3, H, W) to five features, 1/2 to 1/32.
        encoder_radar: (N, 4, H, W) to the same of radar.
        decoder: both to depth (N, 1, H, W) in metres; d8, d4, d2 and maybe more in units of
            100 m, at the size at which the head compares them; and five features, of which the
            second is at 1/8 and the last is the head's.
        uncertainty_head: see there.
        uncertainty_shapes_features: whether the uncertainty's gradient flows on into the decoder
            and the depth. By default it stops at the head, so that learning uncertainty leaves
            the depth as it is.
    """

    uncertainty_head: UncertaintyHead

    def __init__(
        self,
        encoder: nn.Module,
        encoder_radar: nn.Module,
        decoder: nn.Module,
        uncertainty_head: UncertaintyHead,
        uncertainty_shapes_features: bool = False,
    ) -> None:
        super().__init__()
        self.uncertainty_shapes_features = uncertainty_shapes_features
        self.encoder = encoder
        self.encoder_radar = encoder_radar
        self.decoder = decoder
        self.uncertainty_head = uncertainty_head
        self._depth_is_frozen = False

    def freeze_depth(self: Network) -> Network:
        """Let only the uncertainty head learn; batch statistics stay as they are too.

        Returns:
            Itself.
        """
        self._depth_is_frozen = True
        for part in (self.encoder, self.encoder_radar, self.decoder):
            part.requires_grad_(False)
        return self.train(self.training)

    def train(self: Network, mode: bool = True) -> Network:
        """As every module's, but what is frozen stays as in inference."""
        super().train(mode)
        if self._depth_is_frozen:
            for part in (self.encoder, self.encoder_radar, self.decoder):
                part.eval()
        return self

    def forward(self, image: Tensor, radar: Tensor) -> StudentOutput:
        """Depth and uncertainty of a batch.

        Args:
            image: (N, 3, H, W) RGB, normalised by `IMAGE_MEAN` and `IMAGE_STD`.
            radar: (N, 4, H, W) of `RADAR_CHANNELS`: m, dBsm, m/s, m/s; zero where no return.

        Raises:
            InputError: shapes that do not fit, or H or W not a multiple of 32.
        """
        check_inputs(image, radar)
        image_features = self.encoder(image)
        radar_features = self.encoder_radar(radar)
        depth, inter_depths, decoder_features = self.decoder(image_features, radar_features)
        uncertainty = self._uncertainty(depth, inter_depths, decoder_features, radar)
        return StudentOutput(
            depth=depth,
            uncertainty=uncertainty,
            inter_depths=tuple(_at_size_of(depth, inter) for inter in inter_depths[:3]),
            decoder_features=decoder_features,
            image_features=image_features,
            radar_features=radar_features,
        )

    def _uncertainty(
        self,
        depth: Tensor,
        inter_depths: tuple[Tensor, ...],
        decoder_features: tuple[Tensor, ...],
        radar: Tensor,
    ) -> Tensor:
        context, feature = decoder_features[1], decoder_features[4]
        if not self.uncertainty_shapes_features:
            depth, feature, context = depth.detach(), feature.detach(), context.detach()
            inter_depths = tuple(inter.detach() for inter in inter_depths)
        uncertainty: Tensor = self.uncertainty_head(depth, inter_depths, feature, context, radar)
        return uncertainty


def _at_size_of(depth: Tensor, inter_depth: Tensor) -> Tensor:
    if inter_depth.shape == depth.shape:
        return inter_depth
    return functional.interpolate(inter_depth, size=depth.shape[2:])
