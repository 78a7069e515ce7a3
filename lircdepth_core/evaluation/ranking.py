"""How well an uncertainty ranks errors: sparsification curves and rank correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPARSIFIED = ("rmse", "mae", "abs_rel")
"""Metrics that have sparsification curves."""

REMOVED = np.linspace(0, 1, 101)
"""Shares of pixels removed, the abscissa of sparsification curves."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well a score ranks the errors of one image.

    Attributes:
        by_score: (3, 101) value of each of `SPARSIFIED` when the most uncertain pixels are
            removed, at `REMOVED`; metres, AbsRel without unit.
        oracle: (3, 101) the same when the pixels with the largest error are removed, error being
            |e| for RMSE and MAE and |e| / truth for AbsRel.
        spearman: rank correlation of score and |e|, tied values sharing their mean rank; NaN where
            one of them is constant.
    """

    by_score: np.ndarray
    oracle: np.ndarray
    spearman: float

    @property
    def ause(self) -> np.ndarray:
        """(3,) area between the score's curve and the oracle's (Ilg et al. 2018), not normalised.

        In the metric's unit: the mean excess over the share removed. 0 is a perfect ranking.
        """
        return _area(self.by_score - self.oracle)

    @property
    def aurg(self) -> np.ndarray:
        """(3,) area between random removal, a constant, and the score's curve (Poggi et al. 2020).

        In the metric's unit. 0 or less is a score that is worth nothing.
        """
        return _area(self.by_score[:, :1] - self.by_score)

    @property
    def scale(self) -> np.ndarray:
        """(3,) the metrics over all pixels, by which Ilg et al. normalise; NaN where they are 0."""
        return np.where(self.by_score[:, 0] > 0, self.by_score[:, 0], np.nan)


def rank(score: np.ndarray, error: np.ndarray, truth: np.ndarray) -> Ranking:
    """Compare a score with the errors it should rank.

    Among pixels of equal score the order is taken as random: their mean stands for each. When all
    pixels are removed the curve keeps its limit, the value of the least uncertain pixel.

    Args:
        score: (N,) finite, larger where more uncertain; N > 0.
        error: (N,) metres, absolute.
        truth: (N,) metres, positive.
    """
    order = np.argsort(score)
    sorted_score = score[order]
    error_order = np.argsort(error)
    sorted_error = error[error_order]
    relative = error / truth
    steps = _steps(sorted_score)
    error_steps = _steps(sorted_error)
    error_by_score = error[order]
    sorted_relative = np.sort(relative)
    by_score = (
        np.sqrt(_curve(np.square(error_by_score, dtype=np.float64), steps)),
        _curve(error_by_score, steps),
        _curve(relative[order], steps),
    )
    oracle = (
        np.sqrt(_curve(np.square(sorted_error, dtype=np.float64), error_steps)),
        _curve(sorted_error, error_steps),
        _curve(sorted_relative, _steps(sorted_relative)),
    )
    error_ranks = np.empty(len(error))
    error_ranks[error_order] = _centred_ranks(sorted_error)
    correlation = _correlation(_centred_ranks(sorted_score), error_ranks[order])
    return Ranking(np.stack(by_score), np.stack(oracle), correlation)


def _area(curves: np.ndarray) -> np.ndarray:
    """(3,) areas below (3, 101) curves over `REMOVED`, by the trapezoidal rule."""
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `REMOVED`: how many of the sorted values stay, and the tie where the cut falls.

    Returns:
        kept (101,), not rounded and at least 1; first and end (101,) of the run of equal values.
    """
    kept = np.maximum(len(values) * (1 - REMOVED), 1)
    # Rounding must not turn the last pixel kept into the next one.
    at_cut = values[np.ceil(kept - 1e-6).astype(np.int64) - 1]
    return kept, np.searchsorted(values, at_cut, "left"), np.searchsorted(values, at_cut, "right")


def _curve(values: np.ndarray, steps: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(101,) mean of the values that stay; values stand in the order that `steps` was made for."""
    kept, first, end = steps
    knots = np.unique(np.concatenate([[0], first, end]))
    parts = np.add.reduceat(values, knots[:-1], dtype=np.float64)
    total = np.concatenate([[0.0], np.cumsum(parts)])
    below, through = total[np.searchsorted(knots, first)], total[np.searchsorted(knots, end)]
    return (below + (through - below) * (kept - first) / (end - first)) / kept


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of sorted values, equal ones sharing their mean, less the mean of all ranks."""
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    end = np.append(first[1:], len(values))
    return np.repeat((first + end - len(values)) / 2, end - first)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of numbers with mean 0."""
    spread = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / spread) if spread > 0 else float("nan")
