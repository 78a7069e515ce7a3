"""From the head's expected uncertainty to metres: a table fitted on held-out data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from lircdepth_core.errors import InputError

SIGMA_SHARE = 0.683
"""Share of errors that sigma holds."""

_MAX_EVEN_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Calibration:
    """Half-widths of the interval around the predicted depth that holds a share of the errors.

    Attributes:
        shares: (S,) increasing, within 0..1, one of them `SIGMA_SHARE`.
        depth: (D,) increasing knots of predicted depth in metres.
        uncertainty: (U,) increasing knots of the head's expected uncertainty, 0..1.
        half_width: (S, D, U) metres, not decreasing along the shares.

    Raises:
        InputError: the arrays do not fit this description.
    """

    shares: np.ndarray
    depth: np.ndarray
    uncertainty: np.ndarray
    half_width: np.ndarray

    def __post_init__(self) -> None:
        for name in ("shares", "depth", "uncertainty", "half_width"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if not np.isfinite(values).all():
                raise InputError(f"calibration.{name}: holds a value that is not finite")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        for name, least in (("shares", 1), ("depth", 2), ("uncertainty", 2)):
            knots = getattr(self, name)
            if knots.ndim != 1 or len(knots) < least or np.any(np.diff(knots) <= 0):
                raise InputError(f"calibration.{name}: give {least} or more increasing numbers")
        if self.shares[0] <= 0 or self.shares[-1] >= 1:
            raise InputError("calibration.shares: give shares between 0 and 1")
        if not np.isclose(self.shares, SIGMA_SHARE, rtol=0, atol=1e-9).any():
            raise InputError(f"calibration.shares: {SIGMA_SHARE}, the share of sigma, is missing")
        if self.depth[0] < 0 or self.uncertainty[0] < 0 or self.uncertainty[-1] > 1:
            raise InputError("calibration: knots of depth start at 0, of uncertainty lie in 0..1")
        expected = (len(self.shares), len(self.depth), len(self.uncertainty))
        if self.half_width.shape != expected:
            raise InputError(
                f"calibration.half_width: shape {self.half_width.shape}, give {expected} "
                "(shares, depth, uncertainty)"
            )
        if np.any(self.half_width < 0) or np.any(np.diff(self.half_width, axis=0) < 0):
            raise InputError(
                "calibration.half_width: give values of 0 or more that do not fall with the share"
            )

    def __call__(self, depth: np.ndarray, uncertainty: np.ndarray, share: float) -> np.ndarray:
        """Half-width of the interval that holds `share` of the errors.

        Bilinear between the knots of depth and uncertainty, constant beyond them; linear between
        two stored shares, which is on the wide side where errors have long tails.

        Args:
            depth: predicted depth in metres, any shape.
            uncertainty: expected uncertainty 0..1, same shape.
            share: within the stored shares.

        Returns:
            float32 metres, same shape; NaN where depth or uncertainty is NaN.

        Raises:
            InputError: the share lies outside the stored ones.
        """
        knots, half_width = self._even
        table = torch.from_numpy(self._table(half_width, share))[None, None]
        depth = np.asarray(depth, np.float32)
        uncertainty = np.asarray(uncertainty, np.float32)
        place = np.stack([_place(uncertainty, knots), _place(depth, self.depth)], axis=-1)
        sampled = functional.grid_sample(
            table,
            torch.from_numpy(place).reshape(1, 1, -1, 2),
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )
        width = np.asarray(sampled.numpy()).reshape(depth.shape)
        width[np.isnan(depth) | np.isnan(uncertainty)] = np.nan
        return width

    @cached_property
    def _even(self) -> tuple[np.ndarray, np.ndarray]:
        """Knots of uncertainty and half-widths, in the form in which looking up is fast."""
        return _on_even_knots(self.uncertainty, self.half_width)

    def _table(self, half_width: np.ndarray, share: float) -> np.ndarray:
        """(D, U) float32 half-widths for one share, of (S, D, U)."""
        low, high = self.shares[0], self.shares[-1]
        if not low - 1e-9 <= share <= high + 1e-9:
            raise InputError(
                f"share {share:g}: this model's calibration holds {low:g} to {high:g}; "
                "give one of these"
            )
        if len(self.shares) == 1:
            return half_width[0].astype(np.float32)
        place = np.interp(share, self.shares, np.arange(len(self.shares)))
        k = min(int(place), len(self.shares) - 2)
        weight = place - k
        between = half_width[k] * (1 - weight) + half_width[k + 1] * weight
        return between.astype(np.float32)


@dataclass(frozen=True, eq=False)
class BlindCalibration:
    """The calibration for images that show next to nothing.

    Whether they are black, white or veiled, the network answers from habit and radar, and an
    expected uncertainty means another error there than in images that show something.

    Attributes:
        structure_below: it is for images whose `structure_share` is less, 0..1.
        calibration: half-widths for them.
    """

    structure_below: float
    calibration: Calibration


def _on_even_knots(knots: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots of one step, these among them, and a table's values there along its last axis.

    It is linear between its knots, so it stays the same. As they are, where that takes too many.
    """
    step = np.diff(knots).min()
    steps = (knots - knots[0]) / step
    if steps[-1] > _MAX_EVEN_STEPS or np.abs(steps - steps.round()).max() > 1e-6:
        return knots, table
    even = np.linspace(knots[0], knots[-1], round(steps[-1]) + 1)
    place = np.interp(even, knots, np.arange(len(knots)))
    below = np.minimum(place.astype(np.int64), len(knots) - 2)
    part = place - below
    return even, table[..., below] * (1 - part) + table[..., below + 1] * part


def _place(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Where values lie among knots: float32, -1 at the first, 1 at the last, linear between two.

    Beyond them it goes on or stays; for a NaN it is anything.
    """
    steps = np.diff(knots)
    if np.allclose(steps, steps[0], rtol=1e-6, atol=0):  # a search takes five times as long
        scale = np.float32(2 / (knots[-1] - knots[0]))
        return (values - np.float32(knots[0])) * scale - np.float32(1)
    return np.interp(values, knots, np.linspace(-1, 1, len(knots))).astype(np.float32)
