"""The reference: keys of the published checkpoints, and outputs for parameters filled by rule."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Outputs of the published networks for `golden_input`; features hold every 8th channel."""
    with np.load(DATA / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def published_keys() -> Callable[[str], dict[str, list[int]]]:
    """Shapes by key of a published checkpoint, "student" or "teacher"."""
    return lambda kind: json.loads((DATA / f"{kind}_keys.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden_input() -> tuple[Tensor, Tensor]:
    """Image (1, 3, 64, 96) and radar (1, 4, 64, 96) of the reference."""
    rng = np.random.default_rng(7)
    image = rng.standard_normal((1, 3, 64, 96))
    radar = np.zeros((1, 4, 64, 96))
    row, column = rng.integers(0, 64, 60), rng.integers(0, 96, 60)
    for channel, low, high in ((0, 2, 90), (1, -5, 30), (2, -15, 15), (3, -5, 5)):
        radar[0, channel, row, column] = rng.uniform(low, high, 60)
    return torch.from_numpy(image).float(), torch.from_numpy(radar).float()


@pytest.fixture(scope="session")
def filled() -> Callable[[nn.Module], nn.Module]:
    """Fills a network's parameters by the reference's rule, in eval mode."""

    def fill(network: nn.Module) -> nn.Module:
        state = network.state_dict()
        network.load_state_dict({key: rule(key, value.shape) for key, value in state.items()})
        return network.eval()

    return fill


def rule(key: str, shape: torch.Size) -> Tensor:
    z = np.random.default_rng(zlib.crc32(key.encode()) ^ 7).standard_normal(tuple(shape))
    weight = key.endswith("weight")
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if "sparsity" in key:
        z = np.ones(shape)
    elif key.endswith("running_var"):
        z = 1 + 0.1 * np.abs(z)
    elif weight and len(shape) == 4:
        gain = 0.02 if "get_depth" in key else 1.2
        z = z * np.sqrt(gain / np.prod(shape[1:]))
    elif weight and len(shape) == 2:
        z = z * np.sqrt(2 / shape[1])
    elif weight:
        z = 1 + 0.1 * z
    else:
        z = 0.1 * z
    return torch.from_numpy(np.asarray(z, dtype=np.float32))
