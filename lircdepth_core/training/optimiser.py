"""AdamW with the recipe's parameter groups, and its learning rate at each step."""

from __future__ import annotations

import torch
from torch import nn

from lircdepth_core.training.config import Optimiser


def make_optimiser(network: nn.Module, config: Optimiser) -> torch.optim.AdamW:
    """AdamW over what trains: the encoders with one weight decay, all else with another.

    Encoders are the network's parts whose names begin with `encoder`.
    """
    trained = [item for item in network.named_parameters() if item[1].requires_grad]
    groups = [
        {
            "params": [value for name, value in trained if name.startswith("encoder") == encoder],
            "weight_decay": decay,
        }
        for encoder, decay in (
            (True, config.encoder_weight_decay),
            (False, config.decoder_weight_decay),
        )
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        eps=config.eps,
        fused=True,  # for a student a third of the time on a CPU
    )


def learning_rate(step: int, total_steps: int, config: Optimiser) -> float:
    """The rate of a step, counted from 0: (1 - share) (1 - step / total)^power + share of it.

    During warm-up it is (step + 1) / warmup_steps of that at most.
    """
    left = 1 - min(step / total_steps, 1)
    share = (1 - config.end_share) * left**config.power + config.end_share
    if step < config.warmup_steps:
        share *= (step + 1) / config.warmup_steps
    return config.learning_rate * share


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use one rate for every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate
