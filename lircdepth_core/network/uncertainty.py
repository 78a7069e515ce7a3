"""The student's uncertainty head: how wrong the depth will be, said at run time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.output import MAX_DEPTH


class UncertaintyHead(nn.Module):
    """Predicts the expected U = 1 - exp(-5 |D - depth| / (D + depth)) of each pixel.

    The published student has nothing like it; it reads what the student has computed and changes
    none of it. What an honest answer needs is brought together at two scales:

    - 1/8: the decoder's feature (what kind of place it is), whether a cell holds a radar return,
      and how well the depth agrees with that return, spread over +-9 cells. The decoder saw the
      radar too, but only the comparison with the finished depth says whether radar bears it out.
    - the size of the last feature, 1/1 or 1/2: this, the depth, and its disagreement with the
      intermediate depths (scales that contradict each other mark edges and guesses), over 3x3
      pixels so that steps show.

    There is no batch normalisation, so the head learns on frozen weights as it will run. Its last
    layer starts at zero: untrained it answers 0.5 everywhere.

    Args:
        context_channels: of the decoder's feature at 1/8.
        feature_channels: of its last one.
        compared: number of intermediate depths.
        step: pixels of the answer, across, that a pixel of the last feature answers for.
    """

    CELL = 8
    LEAK = 0.1
    """Slope below 0 of the last activation: with none, all of it was 0 on half of the pixels of a
    trained head, which then told nothing there."""

    def __init__(
        self, context_channels: int, feature_channels: int, compared: int, step: int = 1
    ) -> None:
        super().__init__()
        self.step = step
        self.reduce = nn.Conv2d(context_channels, 32, 1)
        self.near = nn.Conv2d(32 + 2, 32, 3, padding=1)
        self.far = nn.Conv2d(32, 16, 3, padding=8, dilation=8)
        self.feature = nn.Conv2d(feature_channels, 16, 1, bias=False)
        self.depths = nn.Conv2d(1 + compared, 16, 3, padding=1, bias=False)
        self.answer = nn.Conv2d(16, step**2, 1)
        for parameter in self.answer.parameters():
            nn.init.zeros_(parameter)

    @property
    def untrained(self) -> bool:
        """Whether the last layer is at its initial zeros, where published weights leave it."""
        return not self.answer.weight.any()

    def forward(
        self,
        depth: Tensor,
        inter_depths: tuple[Tensor, ...],
        feature: Tensor,
        context: Tensor,
        radar: Tensor,
    ) -> Tensor:
        """The expected U.

        Args:
            depth: (N, 1, H, W) metres.
            inter_depths: d8, d4, d2 and maybe d1, each (N, 1, H/step, W/step) in units of 100 m.
            feature: (N, feature_channels, H/step, W/step), the decoder's last.
            context: (N, context_channels, H/8, W/8), the decoder's at 1/8.
            radar: (N, 4, H, W), the network's input.

        Returns:
            (N, 1, H, W) in 0..1.
        """
        radar_depth = radar[:, :1]
        seen = (radar_depth > 0).to(depth.dtype)
        agreement = seen * (1 - disagreement(depth, radar_depth))
        support = functional.max_pool2d(torch.cat([seen, agreement], 1), self.CELL)
        support = support.to(context.dtype)  # depth is float32 even where the rest is half
        place = functional.relu(
            self.near(torch.cat([functional.relu(self.reduce(context)), support], 1))
        )
        place = functional.interpolate(self.far(place), size=feature.shape[2:], mode="bilinear")

        if self.step > 1:
            depth = functional.avg_pool2d(depth, self.step)
        compared = [disagreement(depth, MAX_DEPTH * inter) for inter in inter_depths]
        depths = self.depths(torch.cat([depth / MAX_DEPTH, *compared], 1).to(feature.dtype))
        answer = self.answer(
            functional.leaky_relu(place + self.feature(feature) + depths, self.LEAK)
        )
        if self.step > 1:
            answer = functional.pixel_shuffle(answer, self.step)
        return torch.sigmoid(answer.float())


def disagreement(a: Tensor, b: Tensor) -> Tensor:
    """How far two depths in metres differ, 0..1: 1 - exp(-5 |a - b| / (a + b)).

    The measure that the head predicts (LiRCDepth, arXiv 2412.16380). The millimetre added to the
    denominator keeps 0 against 0 defined, in half precision too.
    """
    return 1 - torch.exp(-5 * (a - b).abs() / (a + b + 1e-3))
