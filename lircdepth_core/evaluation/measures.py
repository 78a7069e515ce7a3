"""All numbers of one image's prediction against one truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lircdepth_core.evaluation.depth_metrics import LEAST_DEPTH, depth_metrics
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.ranking import rank
from lircdepth_core.inference import Prediction
from lircdepth_core.network import MAX_DEPTH

CONTENTS = ("background", "object", "unknown")
"""What a pixel can show: unknown in images whose objects nobody annotated."""

CELL_SUMS = ("pixels", "absolute", "squared", "relative", "covered")
"""What is summed per range bin and content: the errors |e|, e², |e| / truth, and the
pixels whose error is within sigma."""

SIGMA_EDGES = (0, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, np.inf)
"""Metres; bins of sigma in which coverage is checked, powers of 2."""

SIGMA_SUMS = ("pixels", "covered", "sigma", "absolute", "squared", "within_widest")
"""What is summed per bin of sigma, and of predicted depth."""

LIKELIHOOD_SUMS = ("pixels", "log_sigma", "absolute", "squared")
"""What is summed for the likelihood: ln sigma, |e| / sigma, (e / sigma)²."""

LEAST_SIGMA = 1e-3
"""Metres; for the likelihood a smaller sigma counts as this."""


@dataclass(frozen=True, eq=False)
class PredictedMaps:
    """What is compared with truth; every map (H, W) float32.

    Attributes:
        depth: metres, NaN where there is none.
        score: larger where more uncertain: sigma in metres, or for a model that is not calibrated
            the head's expected uncertainty 0..1; None for a network without either.
        sigma: metres, half-width that holds 68.3 % of errors; None without calibration.
        half_widths: metres, by the share of errors that they should hold; empty without
            calibration.
    """

    depth: np.ndarray
    score: np.ndarray | None
    sigma: np.ndarray | None
    half_widths: Mapping[float, np.ndarray]

    @staticmethod
    def of(prediction: Prediction, shares: tuple[float, ...]) -> PredictedMaps:
        """Take the maps out of a prediction; `shares` are empty if the model is not calibrated."""
        half_widths = {share: prediction.interval(share) for share in shares}
        if half_widths:
            return PredictedMaps(prediction.depth, prediction.sigma, prediction.sigma, half_widths)
        known = np.isfinite(prediction.expected_uncertainty).any()
        score = prediction.expected_uncertainty if known else None
        return PredictedMaps(prediction.depth, score, None, half_widths)


@dataclass(frozen=True, eq=False)
class Measures:
    """The numbers of one image against one truth.

    Attributes:
        averages: arrays to be averaged over images, each image weighing the same; NaN where the
            image says nothing.
            `depth` (caps, 10), `answered` (1,) share of the truth's pixels that have a prediction;
            and with a score `by_score`, `oracle` (3, 101), `ause`, `aurg`, `ause_normalised`,
            `aurg_normalised` (3,) in the order of `SPARSIFIED`, `spearman` (1,).
        sums: float64 arrays to be added up over images, each pixel weighing the same.
            `cells` (ranges, 3, 5), by range and `CONTENTS`; `score` (2,) pixels and sum; and with
            calibration `covered` (1 + shares,) pixels, and those within each half-width,
            `likelihood` (4,), and with truth as far as the network can see or the last cap, if
            that is farther, `by_sigma` (9, 6) and `by_depth` (bins of predicted depth, 6).
            Empty if there is no prediction at any pixel with truth; of the averages there is
            then `answered` alone.
    """

    averages: Mapping[str, np.ndarray]
    sums: Mapping[str, np.ndarray]

    @property
    def compared(self) -> bool:
        """Whether any pixel has both truth and a prediction."""
        return bool(self.sums)

    def answered_only(self) -> Measures:
        """The share of pixels with a prediction, as if none was compared."""
        return Measures({"answered": self.averages["answered"]}, {})


def measure(
    maps: PredictedMaps, truth: np.ndarray, boxes: np.ndarray | None, options: EvaluationOptions
) -> Measures | None:
    """Compare a prediction with one truth.

    Used are pixels with 0 < truth <= the cap and a prediction. The cap limits the truth alone.

    Args:
        maps: the prediction.
        truth: (H, W) metres; 0, NaN and +Inf are none.
        boxes: (B, 4) x1, y1, x2, y2 in pixels: the objects; None if they are not known.
        options: caps, bins and the like.

    Returns:
        None if no pixel has truth up to the last cap.
    """
    with np.errstate(invalid="ignore"):
        valid = (truth > 0) & (truth <= options.caps[-1])
    index = np.flatnonzero(valid & np.isfinite(maps.depth))
    if not valid.any():
        return None
    answered = np.array([len(index) / np.count_nonzero(valid)])
    if not len(index):
        return Measures({"answered": answered}, {})
    depth, t = maps.depth.ravel()[index], truth.ravel()[index]
    error = np.abs(depth - t)
    averages = {"depth": _depth(depth, t, options), "answered": answered}
    sums = {}
    if maps.score is not None:
        score = maps.score.ravel()[index]
        ranking = rank(score, error, t)
        averages |= {
            "by_score": ranking.by_score,
            "oracle": ranking.oracle,
            "ause": ranking.ause,
            "aurg": ranking.aurg,
            "ause_normalised": ranking.ause / ranking.scale,
            "aurg_normalised": ranking.aurg / ranking.scale,
            "spearman": np.array([ranking.spearman]),
        }
        sums["score"] = np.array([len(index), score.sum(dtype=np.float64)])
    covered = np.zeros(len(index), bool)
    if maps.sigma is not None:
        sigma = maps.sigma.ravel()[index]
        covered = error <= sigma
        within = [
            np.count_nonzero(error <= half_width.ravel()[index])
            for half_width in maps.half_widths.values()
        ]
        sums["covered"] = np.array([len(index), *within], np.float64)
        sums["likelihood"] = _likelihood(error, sigma)
        sums |= _promises(maps, maps.sigma, truth, options)
    bins = len(options.range_edges) - 1
    kinds = len(CONTENTS)
    cell = np.minimum((t / np.float32(options.range_step)).astype(np.intp), bins - 1) * kinds
    cell += kinds - 1 if boxes is None else _inside(boxes, truth.shape).ravel()[index]
    quantities = [error, error * error, error / t, covered]
    sums["cells"] = _sums(cell, bins * kinds, quantities).reshape(bins, kinds, len(CELL_SUMS))
    return Measures(averages, sums)


def _depth(depth: np.ndarray, truth: np.ndarray, options: EvaluationOptions) -> np.ndarray:
    """(caps, 10) depth metrics, NaN for a cap with no pixel."""
    rows = []
    for cap in options.caps:
        kept = truth <= cap
        p, t = (depth, truth) if cap == options.caps[-1] else (depth[kept], truth[kept])
        if options.clamp_to_cap:
            p = np.clip(p, LEAST_DEPTH, cap)
        rows.append(depth_metrics(p, t) if len(t) else np.full(10, np.nan))
    return np.stack(rows)


def widest_interval(shares: Iterable[float], options: EvaluationOptions) -> float | None:
    """The largest of the shares asked for whose interval was measured; None for none."""
    return max((share for share in shares if share in options.coverage_shares), default=None)


def _promises(
    maps: PredictedMaps, sigma: np.ndarray, truth: np.ndarray, options: EvaluationOptions
) -> dict[str, np.ndarray]:
    """The sums by sigma and by predicted depth.

    A cap on the truth would leave, of predictions beyond it, those alone that are too far.
    """
    depth = maps.depth
    with np.errstate(invalid="ignore"):
        known = (truth > 0) & (truth <= max(options.caps[-1], MAX_DEPTH)) & np.isfinite(depth)
    depth, sigma = depth[known], sigma[known]
    error = np.abs(depth - truth[known])
    widest = widest_interval(maps.half_widths, options)
    within = np.zeros(len(error), bool)
    if widest is not None:
        within = error <= maps.half_widths[widest][known]
    promised = [error <= sigma, sigma, error, error * error, within]
    bins = len(options.prediction_edges) - 1
    place = (np.clip(depth, 0, None) / np.float32(options.range_step)).astype(np.intp)
    return {
        "by_sigma": _sums(_sigma_bin(sigma), len(SIGMA_EDGES) - 1, promised),
        "by_depth": _sums(np.minimum(place, bins - 1), bins, promised),
    }


def _sigma_bin(sigma: np.ndarray) -> np.ndarray:
    """(N,) index of the bin of `SIGMA_EDGES` that each sigma lies in."""
    # frexp gives the power of 2 above; searchsorted took five times as long.
    _, power = np.frexp(np.maximum(sigma, LEAST_SIGMA))
    return np.clip(power + 3, 0, len(SIGMA_EDGES) - 2).astype(np.intp)


def _likelihood(error: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """The sums of `LIKELIHOOD_SUMS`."""
    sigma = np.maximum(sigma, LEAST_SIGMA)
    scaled = error / sigma
    values = (np.log(sigma), scaled, scaled * scaled)
    return np.array([len(error), *(value.sum(dtype=np.float64) for value in values)])


def _sums(index: np.ndarray, count: int, quantities: list[np.ndarray]) -> np.ndarray:
    """(count, 1 + quantities) pixels per index, and the sum of each quantity over them."""
    # Neighbours mostly have one index, and adding to one place again and again waits each time:
    # four places in turn take half the time.
    place = index * 4
    for lane in range(1, 4):
        place[lane::4] += lane
    columns = [np.bincount(place, minlength=count * 4)]
    columns += [np.bincount(place, values, count * 4) for values in quantities]
    return np.stack(columns, axis=1).astype(np.float64).reshape(count, 4, -1).sum(axis=1)


def _inside(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool, the pixels whose centre lies in a box."""
    inside = np.zeros(shape, bool)
    first = np.ceil(np.maximum(boxes[:, :2], 0)).astype(np.int64)
    last = np.floor(np.maximum(boxes[:, 2:], -1)).astype(np.int64)
    for (left, top), (right, bottom) in zip(first.tolist(), last.tolist(), strict=True):
        inside[top : bottom + 1, left : right + 1] = True
    return inside
