"""Cameras, stand-in networks and models that tests of the core share."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from described_model import describe_model

from lircdepth_core.camera import Camera
from lircdepth_core.inference.model_description import ModelDescription

SAMPLE = "ca9a282c9e77460f8360f564131a8af5"


@pytest.fixture
def make_camera() -> Callable[..., Camera]:
    """A camera by focal lengths and size, its principal point in the middle unless given."""

    def make(
        width: int,
        height: int,
        fx: float,
        fy: float | None = None,
        cx: float | None = None,
        cy: float | None = None,
    ) -> Camera:
        cx = (width - 1) / 2 if cx is None else cx
        cy = (height - 1) / 2 if cy is None else cy
        return Camera(np.array([[fx, 0, cx], [0, fy or fx, cy], [0, 0, 1]]), width, height)

    return make


@pytest.fixture(scope="session")
def make_model() -> Callable[..., ModelDescription]:
    """A trained, uncalibrated model with a focal length of 200 px; keywords change fields."""
    return describe_model


class StandIn(torch.nn.Module):
    """A network that answers with what a function makes of image and radar, and remembers both."""

    def __init__(
        self, answer: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        super().__init__()
        self._answer = answer

    def forward(self, image: torch.Tensor, radar: torch.Tensor) -> SimpleNamespace:
        self.image, self.radar = image, radar
        depth, uncertainty = self._answer(image, radar)
        return SimpleNamespace(depth=depth, uncertainty=uncertainty)


@pytest.fixture
def stand_in() -> type[StandIn]:
    return StandIn


@pytest.fixture
def constant_network() -> Callable[..., StandIn]:
    """A network that gives one depth and one uncertainty everywhere."""

    def make(depth: float = 20.0, uncertainty: float = 0.5) -> StandIn:
        return StandIn(
            lambda image, radar: (
                torch.full_like(image[:, :1], depth),
                torch.full_like(image[:, :1], uncertainty),
            )
        )

    return make
