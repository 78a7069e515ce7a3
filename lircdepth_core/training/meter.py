"""Means of the losses and the time that updates take, between two lines of the log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from lircdepth_core.training.processes import Processes


class Meter:
    """Adds up what updates gave, and the time that passes between two lines of the log."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._steps = 0
        self._clear()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure how long data is waited for."""
        started = time.perf_counter()
        yield
        self._waiting += time.perf_counter() - started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out time in which no update is made."""
        started = time.perf_counter()
        yield
        self._paused += time.perf_counter() - started

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """Count an update; of its values, those that are finite."""
        # Kept as they are: to read one waits for all that the device has been given to do.
        for name, value in values.items():
            self._values.setdefault(name, []).append(torch.as_tensor(value))
        self._updates += 1
        self._steps += 1

    def take(self, processes: Processes, images_per_step: int) -> dict[str, float]:
        """Means since the last time, over all processes: each loss, and what updates took.

        Besides the losses: `images_per_second`, `seconds_per_step`, and `wait_share`, the share of
        the time in which there was no data. Called within `paused`.
        """
        passed = time.perf_counter() - self._cleared - self._paused
        own = {name: _mean_of_finite(given) for name, given in self._values.items()}
        own = {name: mean for name, mean in own.items() if not math.isnan(mean)}
        values = torch.tensor([*own.values(), passed, self._waiting], dtype=torch.float64)
        *means, seconds, waiting = (processes.sum(values) / processes.ranks).tolist()
        updates = self._updates
        taken = {
            **dict(zip(own, means, strict=True)),
            "images_per_second": updates * images_per_step / seconds,
            "seconds_per_step": seconds / updates,
            "wait_share": waiting / seconds,
        }
        self._clear()
        return taken

    def seconds_left(self, steps_left: int) -> float:
        """At the speed so far, validations included."""
        return (time.perf_counter() - self._started) / self._steps * steps_left

    def _clear(self) -> None:
        self._values: dict[str, list[Tensor]] = {}
        self._updates, self._waiting = 0, 0.0
        self._cleared, self._paused = time.perf_counter(), 0.0


def _mean_of_finite(values: list[Tensor]) -> float:
    """Of single numbers, on whatever device; NaN if none is finite."""
    numbers = torch.stack([value.detach().double() for value in values])
    return float(numbers[numbers.isfinite()].mean())
