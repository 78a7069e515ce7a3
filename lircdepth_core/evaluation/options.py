"""What is evaluated, and up to where."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lircdepth_core.errors import InputError

MAX_BINS = 1000
"""Of true depth; more than any report shows or memory needs to hold."""

RADAR_CHANGES = ("full", "none", "half", "shifted")
"""What the network can be given in place of the radar; see `radar_changes.change_radar`."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation.

    Attributes:
        caps: metres, increasing; depth metrics are taken over truth up to each. Uncertainty and
            the breakdowns are taken up to the last.
        range_step: metres, width of the bins of true depth; at most `MAX_BINS` up to the last cap.
        coverage_shares: shares of errors whose intervals are checked, increasing.
        radar: which of `RADAR_CHANGES` are run; `full` comes first.
        radar_shift: seconds of `shifted`, positive for radar that is too old.
        seed: of the returns that `half` keeps.
        clamp_to_cap: limit predictions to each cap before depth metrics are taken. Errors beyond
            the cap then do not count; some published evaluations do this, some do not.

    Raises:
        InputError: a value is out of range.
    """

    caps: tuple[float, ...] = (50.0, 70.0, 80.0)
    range_step: float = 10.0
    coverage_shares: tuple[float, ...] = (0.5, 0.683, 0.9, 0.95)
    radar: tuple[str, ...] = RADAR_CHANGES
    radar_shift: float = 0.5
    seed: int = 0
    clamp_to_cap: bool = False

    def __post_init__(self) -> None:
        if not self.caps or self.caps[0] <= 0 or not _increasing(self.caps):
            raise InputError(f"caps: {_list(self.caps)}; give increasing positive metres")
        if not 0 < self.range_step < np.inf:
            raise InputError(f"range_step: {self.range_step:g}; give positive metres")
        bins = self.caps[-1] / self.range_step
        if bins > MAX_BINS:
            raise InputError(
                f"range_step: {self.range_step:g}; makes {bins:.3g} bins up to the last cap of "
                f"{self.caps[-1]:g} m, give at least {self.caps[-1] / MAX_BINS:g}"
            )
        shares = self.coverage_shares
        if not shares or not 0 < shares[0] <= shares[-1] < 1 or not _increasing(shares):
            raise InputError(f"coverage: {_list(shares)}; give increasing shares within 0..1")
        if self.radar[:1] != ("full",) or len(set(self.radar)) != len(self.radar):
            raise InputError("radar: give full first, and each change once")
        unknown = set(self.radar) - set(RADAR_CHANGES)
        if unknown:
            raise InputError(f"radar: no {min(unknown)}; there are {', '.join(RADAR_CHANGES)}")
        if not np.isfinite(self.radar_shift):
            raise InputError(f"radar_shift: {self.radar_shift}; give seconds")
        if self.seed < 0:
            raise InputError(f"seed: {self.seed}; give 0 or more")

    @property
    def range_edges(self) -> np.ndarray:
        """(R + 1,) metres from 0 to the last cap; the last bin may be narrower."""
        return np.append(self._steps[:-1], self.caps[-1])

    @property
    def prediction_edges(self) -> np.ndarray:
        """(P + 1,) metres from 0 to infinity, the last bin from the last cap or beyond."""
        return np.append(self._steps, np.inf)

    @property
    def _steps(self) -> np.ndarray:
        """Metres from 0 to the first step at the last cap or beyond."""
        count = math.ceil(self.caps[-1] / self.range_step - 1e-9)  # a rounding is no step
        return self.range_step * np.arange(count + 1)


def _increasing(values: tuple[float, ...]) -> bool:
    """Whether all are finite, and each is larger than the one before."""
    return bool(np.isfinite(values).all() and (np.diff(values) > 0).all())


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
