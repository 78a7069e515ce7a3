"""From the numbers of images to those of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lircdepth_core.evaluation.depth_metrics import DEPTH_METRICS
from lircdepth_core.evaluation.measures import CONTENTS, SIGMA_EDGES, Measures, widest_interval
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.ranking import REMOVED, SPARSIFIED
from lircdepth_core.inference.calibration import SIGMA_SHARE

_LAPLACE_QUANTILE = -np.log(1 - SIGMA_SHARE)
"""Sigma in units of the scale b of the Laplace distribution that has `SIGMA_SHARE` within it."""


class Totals:
    """Running totals of the measures of images; memory does not grow with their number.

    Images have to be added in one order, whatever the number of processes: sums of floating-point
    numbers depend on it.

    Attributes:
        images: number of images added that have a pixel to compare.
    """

    def __init__(self) -> None:
        self.images = 0
        self._sums: dict[str, np.ndarray] = {}
        self._averaged: dict[str, np.ndarray] = {}
        self._counts: dict[str, np.ndarray] = {}

    def add(self, measures: Measures) -> None:
        """Add one image."""
        self.images += measures.compared
        for name, values in measures.sums.items():
            self._sums[name] = self._sums.get(name, 0) + values
        for name, values in measures.averages.items():
            known = np.isfinite(values)
            self._averaged[name] = self._averaged.get(name, 0) + np.where(known, values, 0)
            self._counts[name] = self._counts.get(name, 0) + known

    def average(self, name: str) -> np.ndarray:
        """Mean of one of `Measures.averages` over the images that have it, NaN if none has."""
        with np.errstate(invalid="ignore"):
            return self._averaged[name] / self._counts[name]

    def sum(self, name: str) -> np.ndarray:
        """One of `Measures.sums`."""
        return self._sums[name]

    def summary(self, options: EvaluationOptions, shares: tuple[float, ...]) -> dict[str, Any]:
        """What is reported, ready for JSON but for NaN.

        Args:
            options: those that the measures were taken with.
            shares: whose intervals were measured; empty for a model that is not calibrated.
        """
        depth = self.average("depth")
        return {
            "images": self.images,
            "pixels": int(self.sum("cells")[..., 0].sum()),
            "answered": float(self.average("answered")[0]),
            "depth": {
                f"{cap:g}": dict(zip(DEPTH_METRICS, row.tolist(), strict=True))
                for cap, row in zip(options.caps, depth, strict=True)
            },
            "uncertainty": self._uncertainty(options, shares) if "score" in self._sums else None,
            "by_range": self._by_range(options, bool(shares)),
            "by_content": self._by_content(bool(shares)),
        }

    def _uncertainty(self, options: EvaluationOptions, shares: tuple[float, ...]) -> dict[str, Any]:
        """Ranking for every score; coverage and likelihood only for a calibrated model."""
        pixels, total = self.sum("score")
        by_score, oracle = self.average("by_score"), self.average("oracle")
        result = {
            "score": "sigma" if shares else "expected_uncertainty",
            "mean_score": total / pixels,
            **{name: _by_metric(self.average(name)) for name in ("ause", "aurg")},
            **{
                name: _by_metric(self.average(name))
                for name in ("ause_normalised", "aurg_normalised")
            },
            "spearman": float(self.average("spearman")[0]),
            "sparsification": {
                "removed": REMOVED.tolist(),
                **{
                    metric: {
                        "by_score": by_score[row].tolist(),
                        "oracle": oracle[row].tolist(),
                        "random": by_score[row, 0],
                    }
                    for row, metric in enumerate(SPARSIFIED)
                },
            },
            "calibrated": bool(shares),
        }
        if shares:
            result |= self._calibration(options, shares)
        return result

    def _calibration(self, options: EvaluationOptions, shares: tuple[float, ...]) -> dict[str, Any]:
        """Coverage, calibration error, likelihood and coverage by sigma, over all pixels."""
        pixels, *within = self.sum("covered")
        reached = {share: within[column] / pixels for column, share in enumerate(shares)}
        asked = {share: reached.get(share, np.nan) for share in options.coverage_shares}
        covered = self.sum("cells").sum(axis=(0, 1))
        count, log_sigma, absolute, squared = self.sum("likelihood")
        has_interval = widest_interval(shares, options) is not None
        return {
            "coverage": {f"{share:g}": value for share, value in asked.items()},
            "calibration_error": float(
                np.mean([abs(value - share) for share, value in asked.items()])
            ),
            "reliability": [
                {"share": share, "coverage": value} for share, value in reached.items()
            ],
            "within_sigma": float(covered[4] / covered[0]),
            "nll_laplace": (log_sigma + _LAPLACE_QUANTILE * absolute) / count
            + np.log(2 / _LAPLACE_QUANTILE),
            "nll_gaussian": (log_sigma + squared / 2) / count + np.log(2 * np.pi) / 2,
            "by_sigma": _promises(SIGMA_EDGES, self.sum("by_sigma"), has_interval),
            "by_predicted_depth": _promises(
                options.prediction_edges, self.sum("by_depth"), has_interval
            ),
        }

    def _by_content(self, calibrated: bool) -> dict[str, Any] | None:
        """None if the objects of no image are known."""
        cells = dict(zip(CONTENTS, self.sum("cells").sum(axis=0), strict=True))
        if not any(cells[content][0] for content in ("background", "object")):
            return None
        if not cells["unknown"][0]:
            del cells["unknown"]
        return {content: _cell(sums, calibrated) for content, sums in cells.items()}

    def _by_range(self, options: EvaluationOptions, calibrated: bool) -> list[dict[str, Any]]:
        edges = options.range_edges.tolist()
        cells = self.sum("cells").sum(axis=1)
        return [
            {"from": low, "to": high, **_cell(cell, calibrated)}
            for low, high, cell in zip(edges[:-1], edges[1:], cells, strict=True)
        ]


def _cell(sums: np.ndarray, calibrated: bool) -> dict[str, Any]:
    """Errors over the pixels of a cell; `sums` are those of `CELL_SUMS`."""
    pixels, absolute, squared, relative, covered = sums.tolist()
    if not pixels:
        return {"pixels": 0, "mae": None, "rmse": None, "abs_rel": None, "coverage": None}
    return {
        "pixels": int(pixels),
        "mae": absolute / pixels,
        "rmse": float(np.sqrt(squared / pixels)),
        "abs_rel": relative / pixels,
        "coverage": covered / pixels if calibrated else None,
    }


def _by_metric(values: np.ndarray) -> dict[str, float]:
    return dict(zip(SPARSIFIED, values.tolist(), strict=True))


def _promises(
    edges: Sequence[float] | np.ndarray, sums: np.ndarray, has_interval: bool
) -> list[dict[str, Any]]:
    """Coverage of sigma, its mean and the errors in every bin that has pixels.

    Args:
        edges: (B + 1,) metres; infinity becomes None.
        sums: (B, 6) of `SIGMA_SUMS`.
        has_interval: whether an interval's coverage was asked for and measured.
    """
    return [
        {
            "from": float(low),
            "to": float(high) if np.isfinite(high) else None,
            "pixels": int(number),
            "coverage": inside / number,
            "interval_coverage": within / number if has_interval else None,
            "mean_sigma": sigma / number,
            "mae": error / number,
            "rmse": np.sqrt(square / number),
        }
        for low, high, (number, inside, sigma, error, square, within) in zip(
            edges[:-1], edges[1:], sums, strict=True
        )
        if number
    ]
