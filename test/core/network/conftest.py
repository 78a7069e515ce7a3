"""The reference: keys of the published checkpoints, and outputs for parameters filled by rule."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from golden_rule import fill, make_input
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
    return make_input(64, 96)


@pytest.fixture(scope="session")
def filled() -> Callable[[nn.Module], nn.Module]:
    """Fills a network's parameters by the reference's rule, in eval mode."""
    return fill
