"""A network that costs next to nothing, and the check that a back end runs it as torch does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends import BACKENDS, NetworkMaps, open_backend
from lircdepth_core.network import DeploymentGraph, StudentOutput

TOLERANCE = {True: 0.02, False: 1e-4}


class SmallNetwork(nn.Module):
    """Answers as a student does, always the same."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.mix = nn.Sequential(nn.Conv2d(7, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6())
            self.answer = nn.Conv2d(8, 2, 1)

    def forward(self, image: Tensor, radar: Tensor) -> StudentOutput:
        mixed = self.answer(self.mix(torch.cat([image, radar / 50], 1)))
        depth, uncertainty = mixed.sigmoid().split(1, 1)
        return StudentOutput(100 * depth, uncertainty, (), (), (), ())


def sample(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image and radar of a size."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    radar = np.zeros((4, rows, columns), np.float32)
    radar[:, rng.integers(0, rows, 20), rng.integers(0, columns, 20)] = 30
    return image, radar


@torch.inference_mode()
def expected(graph: DeploymentGraph, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
    """What a graph answers in torch."""
    output = graph(torch.from_numpy(image)[None], torch.from_numpy(radar)[None])
    return NetworkMaps(*(values[0].numpy() for values in output))


def check_backend(name: str, folder: str | Path) -> None:
    """See that a back end answers as torch at every size, and that its answers are the caller's.

    Args:
        name: of the back end.
        folder: of the network's files; those that another back end left are taken.
    """
    graph = DeploymentGraph(SmallNetwork())
    told: list[str] = []
    before = len(list(Path(folder).rglob("network.onnx")))
    backend = open_backend(name, graph, "cpu", Artefacts(Path(folder), "small"), told.append)
    # Compiling takes seconds for each size; in halves it is done as in float32.
    sizes = [(64, 96)] if name == "torch-compiled-half" else [(64, 96), (32, 64), (64, 96)]
    answers = [backend(*sample(*size, seed)) for seed, size in enumerate(sizes)]
    for seed, (size, answer) in enumerate(zip(sizes, answers, strict=True)):
        correct = expected(graph, *sample(*size, seed))
        tolerance = TOLERANCE["half" in name]
        np.testing.assert_allclose(answer.depth, correct.depth, rtol=tolerance)
        np.testing.assert_allclose(answer.uncertainty, correct.uncertainty, atol=tolerance)
        assert answer.depth.dtype == answer.uncertainty.dtype == np.float32
        assert answer.depth.flags.writeable
    exported = len(list(Path(folder).rglob("network.onnx")))
    assert len(told) == exported - before
    assert exported == (2 if BACKENDS[name].packages else before)  # one per size
