"""A tiny run of training: shards of noise and a network of two convolutions."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from evaluation_rig import make_sample, write_shard
from torch import Tensor, nn

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.distillation import TaskLosses
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.loop import train
from lircdepth_core.training.processes import joined
from lircdepth_core.training.run_progress import Outcome

CONFIG = """
seed: 5
data:
  train: [{folder}/train]
  validation: [{folder}/validation]
  truth: dense
  height: 32
  width: 64
  focal_length: 200
  batch_size: 2
  workers: 0
  radar_dropout: {{all_returns: 0.2, half_of_returns: 0.5}}
length: {{steps: 10}}
optimiser: {{learning_rate: 1e-2, eps: 1e-8, warmup_steps: 1, ema_decay: 0.5}}
record: {{log_every: 2, validate_every: 4, checkpoint_every: 3, keep: 2}}
"""


def write_shards(folder: Path, counts: Sequence[int], first: int = 0) -> None:
    """Shards with so many samples each, and their index, as `lircdepth prepare` writes them."""
    folder.mkdir(parents=True)
    shards = []
    for shard, count in enumerate(counts):
        name = f"scene-{shard}.tar"
        samples = {}
        for number in range(first, first + count):
            exact = make_sample(number).exact
            samples[f"sample-{number}"] = make_sample(number, dense=exact.clip(max=90))
        write_shard(folder / name, samples)
        shards.append({"file": name, "samples": count})
        first += count
    (folder / "index.json").write_text(json.dumps({"format": 1, "shards": shards}))


class TinyNetwork(nn.Module):
    """Depth from image and radar; a BN, a dropout that draws, and a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(7, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        )
        self.drop = nn.Dropout(0.1)
        self.decoder = nn.Conv2d(4, 1, 3, padding=1)
        nn.init.constant_(self.decoder.bias, -2.0)  # 12 m, the truth is 46 m on average
        self.unused = nn.Conv2d(4, 1, 1)

    def forward(self, image: Tensor, radar: Tensor) -> SimpleNamespace:
        feature = self.drop(self.encoder(torch.cat([image, radar / 50], 1)))
        return SimpleNamespace(
            depth=100 * torch.sigmoid(self.decoder(feature)), other=self.unused(feature)
        )


class TinyTask:
    """L1 against dense depth, and a term that stays zero."""

    def __init__(self, network: nn.Module, seconds: float = 0.0) -> None:
        self.network = network
        self._seconds = seconds

    def __call__(self, batch: Batch) -> TaskLosses:
        time.sleep(self._seconds)
        depth = self.network(batch.image, batch.radar).depth
        error = (depth.float() - batch.dense).abs().mean((1, 2, 3))
        zero = torch.zeros_like(error)
        return TaskLosses(error.mean(), {"depth": error.detach(), "zero": zero})


def tiny_task(seconds: float = 0.0) -> TinyTask:
    torch.manual_seed(3)
    return TinyTask(TinyNetwork(), seconds)


def run_tiny(
    config: Path,
    out: Path,
    changes: Sequence[str] = (),
    seconds: float = 0.0,
    max_steps: int | None = None,
) -> Outcome:
    """Train the tiny network; each batch takes so many seconds at least."""
    values = read_config(TrainingConfig, config, changes)
    with joined("cpu") as processes:
        return train(values, tiny_task(seconds), out, processes, max_steps=max_steps)
