"""Networks filled by the reference's rule, small stand-ins for them, and batches made by seed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from golden_rule import fill
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import Student, StudentOutput, Teacher, TeacherOutput


@pytest.fixture(scope="session")
def filled() -> dict[str, nn.Module]:
    return {"student": fill(Student()), "teacher": fill(Teacher())}


@pytest.fixture
def student(filled) -> Student:
    return copy.deepcopy(filled["student"])


@pytest.fixture
def teacher(filled) -> Teacher:
    return copy.deepcopy(filled["teacher"])


class StandIn(nn.Module):
    """Answers as student or teacher would, without mixing samples, at next to no cost."""

    def __init__(self, answer: type[StudentOutput] | type[TeacherOutput]) -> None:
        super().__init__()
        self.answer = answer
        self.mix = nn.Conv2d(7, 6, 1)
        self.calls = 0

    def forward(self, image: Tensor, radar: Tensor) -> StudentOutput | TeacherOutput:
        self.calls += 1
        mixed = self.mix(torch.cat([image, radar / 50], 1))
        first, second, *inter = mixed.split(1, 1)
        pyramid = tuple(functional.avg_pool2d(mixed, 2**i) for i in range(6))
        fields = {
            "depth": 100 * first.sigmoid(),
            "uncertainty": second.sigmoid(),
            "inter_depths": tuple(depth.relu() for depth in inter[:3]),
            "decoder_features": pyramid[4::-1],
            "image_features": pyramid[1:],
            "radar_features": pyramid[1:],
            "confidence": second.sigmoid(),
            "radar_depth": 100 * inter[3].sigmoid(),
        }
        if self.answer is TeacherOutput:
            fields["radar_features"] = pyramid[:0:-1]
        return self.answer(**{name: fields[name] for name in self.answer._fields})


@pytest.fixture(scope="session")
def stand_in() -> Callable[..., StandIn]:
    """A stand-in for the network with this type of answer; its weights are those of the seed."""

    def make(answer: type[StudentOutput] | type[TeacherOutput], seed: int = 0) -> StandIn:
        torch.manual_seed(seed)
        return StandIn(answer)

    return make


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    """A batch of N samples with truth of every kind, some returns and boxes."""

    def make(samples: int = 2, height: int = 32, width: int = 64, seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(samples, *shape, generator=generator)

        def depth(share: float) -> Tensor:
            where = uniform(0, 1, 1, height, width) < share
            return uniform(1, 90, 1, height, width) * where

        exact = depth(1)
        exact[:, :, : height // 4] = torch.inf
        dense = depth(0.5)
        returns = torch.zeros(samples, 4, 7)
        returns[..., 0] = uniform(0, width, 4)
        returns[..., 1] = uniform(0, height, 4)
        returns[:, :3, 2] = uniform(1, 90, 3)  # the last one is none
        returns[:, 0, 6] = 1
        radar = uniform(-5, 5, 4, height, width) * (uniform(0, 1, 1, height, width) < 0.1)
        radar[:, 0] = radar[:, 0].abs() * 10
        return Batch(
            keys=[f"sample {number}" for number in range(samples)],
            image=uniform(-2, 2, 3, height, width),
            radar=radar,
            single_scan=depth(0.05),
            dense=dense,
            exact=exact,
            returns=returns,
            boxes=torch.tensor([[[3.0, 2.0, 30.0, 20.0]]]).repeat(samples, 1, 1),
            K=torch.eye(3).repeat(samples, 1, 1),
        )

    return make


@pytest.fixture(scope="session")
def one_sample() -> Callable[[Batch, int], Batch]:
    """One sample of a batch, as a batch of its own."""
    return lambda batch, number: Batch(*(field[number : number + 1] for field in batch))


@pytest.fixture(scope="session")
def without_truth() -> Callable[[Batch, int], Batch]:
    """The batch with every truth and return of one sample taken away."""

    def make(batch: Batch, number: int) -> Batch:
        fields = {}
        for name in ("single_scan", "dense", "exact", "returns"):
            fields[name] = getattr(batch, name).clone()
            fields[name][number] = 0
        return batch._replace(**fields)

    return make
