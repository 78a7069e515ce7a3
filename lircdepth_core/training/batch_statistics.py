"""Batch normalisation's running statistics, measured anew."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from lircdepth_core.dataset.reader import Batch


def estimate_statistics(network: nn.Module, batches: Iterable[Batch]) -> None:
    """Make them averages over batches, in place of moving ones that lag behind the parameters.

    Args:
        network: takes `image` and `radar` of a batch; is in eval mode afterwards.
        batches: like those that it was trained on, on its device.
    """
    network.eval()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.inference_mode():
        for batch in batches:
            network(batch.image, batch.radar)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()
