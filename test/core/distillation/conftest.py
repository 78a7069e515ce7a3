"""Batches and answers of networks, made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from golden_rule import fill, make_input
from torch import Tensor

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import Student, Teacher


@pytest.fixture(scope="session")
def student() -> Student:
    """Filled by the reference's rule, in eval mode; tests leave it as it is."""
    return fill(Student())


@pytest.fixture(scope="session")
def teacher() -> Teacher:
    """Filled by the reference's rule, in eval mode, frozen; tests leave it as it is."""
    return fill(Teacher()).requires_grad_(False)


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    """A batch of N samples at 64x96 with truth of every kind; keywords replace fields."""

    def make(samples: int = 2, **fields: Tensor) -> Batch:
        generator = torch.Generator().manual_seed(5)
        shape = (samples, 1, 64, 96)

        def some(share: float) -> Tensor:
            depth = 1 + 89 * torch.rand(shape, generator=generator)
            return depth * (torch.rand(shape, generator=generator) < share)

        image, radar = make_input(64, 96)
        shifts = range(0, 7 * samples, 7)
        exact = 1 + 89 * torch.rand(shape, generator=generator)
        exact[:, :, :20] = torch.inf
        dense = some(0.5)
        returns = torch.zeros(samples, 3, 7)
        returns[:, :, :2] = torch.rand(samples, 3, 2, generator=generator) * 60
        returns[:, :2, 2] = dense[:, 0].amax((1, 2))[:, None]
        batch = Batch(
            keys=[str(number) for number in range(samples)],
            image=torch.cat([image.roll(shift, 3) for shift in shifts]),
            radar=torch.cat([radar.roll(shift, 3) for shift in shifts]),
            single_scan=some(0.03),
            dense=dense,
            exact=exact,
            returns=returns,
            boxes=torch.zeros(samples, 0, 4),
            K=torch.eye(3).expand(samples, 3, 3),
        )
        return batch._replace(**fields)

    return make


@pytest.fixture(scope="session")
def one_sample() -> Callable[[Batch, int], Batch]:
    """One sample of a batch, as a batch."""

    def take(batch: Batch, number: int) -> Batch:
        return Batch(*(field[number : number + 1] for field in batch))

    return take
