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
        for name, value in values.items():
            number = float(value)
            if math.isfinite(number):
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + number, count + 1)
        self._updates += 1
        self._steps += 1

    def take(self, processes: Processes, images_per_step: int) -> dict[str, float]:
        """Means since the last time, over all processes: each loss, and what updates took.

        Besides the losses: `images_per_second`, `seconds_per_step`, and `wait_share`, the share of
        the time in which there was no data. Called within `paused`.
        """
        passed = time.perf_counter() - self._cleared - self._paused
        own = [total / count for total, count in self._sums.values()]
        values = torch.tensor([*own, passed, self._waiting], dtype=torch.float64)
        *means, seconds, waiting = (processes.sum(values) / processes.ranks).tolist()
        updates = self._updates
        taken = {
            **dict(zip(self._sums, means, strict=True)),
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
        self._sums: dict[str, tuple[float, int]] = {}
        self._updates, self._waiting = 0, 0.0
        self._cleared, self._paused = time.perf_counter(), 0.0
