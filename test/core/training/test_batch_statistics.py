"""Batch normalisation's statistics measured anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lircdepth_core.training.batch_statistics import estimate_statistics


def test_statistics_are_those_of_what_is_seen():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, image, radar):
            return self.norm(image)

    class Seen:
        def __init__(self, mean):
            self.image, self.radar = mean + torch.tensor([[[[-1.0, 1.0]]]]), None

    network = Network().eval()
    estimate_statistics(network, [Seen(2.0), Seen(4.0)])
    assert network.norm.running_mean.item() == pytest.approx(3.0)
    assert network.norm.running_var.item() == pytest.approx(2.0)  # of 1 and 3: N - 1
    assert not network.norm.training
    assert network.norm.momentum == 0.1
