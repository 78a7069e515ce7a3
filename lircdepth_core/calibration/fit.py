"""Fitting the table from predicted depth and expected uncertainty to half-widths in metres."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.isotonic import IsotonicRegression

from lircdepth_core.calibration.pixel_errors import EXPOSURES, PixelErrors
from lircdepth_core.errors import InputError
from lircdepth_core.inference.calibration import BlindCalibration, Calibration
from lircdepth_core.network import MAX_DEPTH

SHARES = (0.5, 0.683, 0.8, 0.9, 0.95, 0.99)
"""Shares of errors whose half-widths are stored."""

DEPTH_KNOTS = np.linspace(0, MAX_DEPTH, 21)
UNCERTAINTY_KNOTS = (
    np.array([0, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 36, 43, 50, 58, 66, 75, 87, 100]) / 100
)
"""Close where most pixels are: half have less than 0.1. Multiples of 0.01: looking up is fast."""

LEAST_PIXELS = 1000
"""With fewer, the 99 % half-width is a guess."""

LEAST_BLIND_PIXELS = 10_000
"""Of images that show next to nothing; their errors are alike within an image."""

BLIND_BELOW = 0.4
"""Images of a smaller `structure_share` show next to nothing."""

PRIOR_PIXELS = 100.0
"""A knot with so many pixels around it weighs its own quantile and the prior alike."""

_TINY = 1e-3
"""Metres; nothing is told apart that is smaller."""


class Calibrations(NamedTuple):
    """What was fitted: for images that show something, and for others, if there were enough."""

    ordinary: Calibration
    blind: BlindCalibration | None

    def half_width(self, errors: PixelErrors, share: float) -> np.ndarray:
        """(N,) metres, of the interval that is to hold a share of the errors."""
        width = self.ordinary(errors.depth, errors.uncertainty, share)
        if self.blind is not None:
            shown = errors.structure < self.blind.structure_below
            of_blind = self.blind.calibration(errors.depth[shown], errors.uncertainty[shown], share)
            width[shown] = of_blind
        return width


def blind_pixels(errors: PixelErrors) -> np.ndarray:
    """(N,) boolean, which are of images that show next to nothing."""
    return errors.structure < BLIND_BELOW


def enough_are_blind(errors: PixelErrors) -> bool:
    """Whether images that show next to nothing, and others, are enough for a calibration each."""
    blind = blind_pixels(errors)
    ordinary = ~blind & (errors.exposure == EXPOSURES.index("as it is"))
    return bool(blind.sum() >= LEAST_BLIND_PIXELS and ordinary.sum() >= LEAST_PIXELS)


def fit_calibrations(errors: PixelErrors, with_blind: bool | None = None) -> Calibrations:
    """A calibration of all images that show something, and one of those that show nothing.

    As in Mondrian conformal prediction (Vovk et al., 2005, section 4.5), what holds on average
    over all images need not hold where all images are bad; so those are a category of their own.
    Where they are too few, they shape the table of all others.

    Args:
        errors: pixels of known depth.
        with_blind: whether there are to be both; None: if `enough_are_blind`.

    Raises:
        InputError: fewer than `LEAST_PIXELS` pixels for one of them.
    """
    blind = blind_pixels(errors)
    as_it_is = errors.exposure == EXPOSURES.index("as it is")
    if not (enough_are_blind(errors) if with_blind is None else with_blind):
        return Calibrations(fit_calibration(errors, as_it_is), None)
    return Calibrations(
        fit_calibration(errors.of(~blind), as_it_is[~blind]),
        BlindCalibration(BLIND_BELOW, fit_calibration(errors.of(blind))),
    )


def fit_calibration(errors: PixelErrors, holding_for: np.ndarray | None = None) -> Calibration:
    """Quantiles of the absolute error around every knot of depth and uncertainty.

    Each pixel counts at the four knots around it with its bilinear weights, as the table is read.
    A knot with few pixels leans on a prior: the error that U itself means, U = 1 - exp(-5 e / (2 d
    +- e)), times a factor that holds the share at that depth. Half-widths do not fall with the
    uncertainty (isotonic regression) nor with the share. In the end each share's half-widths are
    scaled so that they hold that share of the pixels given, at every depth and altogether, as
    split conformal prediction does (Vovk et al., 2005; Angelopoulos and Bates, arXiv 2107.07511),
    though without its guarantee, because pixels of an image are not independent.

    Args:
        errors: pixels that shape the table.
        holding_for: (N,) boolean, for which of them it is scaled; None for all.

    Raises:
        InputError: fewer than `LEAST_PIXELS` pixels.
    """
    if len(errors.error) < LEAST_PIXELS:
        raise InputError(
            f"{len(errors.error)} pixels of known depth; calibration needs {LEAST_PIXELS} or more"
        )
    own, weight = _by_depth_and_uncertainty(errors)
    meant = _meant_by_uncertainty(DEPTH_KNOTS[:, None], UNCERTAINTY_KNOTS)
    ratio = errors.error / _meant_by_uncertainty(errors.depth, errors.uncertainty)
    prior = _by_depth(errors.depth, ratio)[:, :, None] * meant
    trust = weight / (weight + PRIOR_PIXELS)
    width = np.exp(trust * np.log(own + _TINY) + (1 - trust) * np.log(prior + _TINY))
    width = _not_falling_with_uncertainty(width, weight)
    held = errors if holding_for is None else errors.of(holding_for)
    for factors in (_by_depth, _overall):
        width = np.maximum.accumulate(width, axis=0)
        raw = Calibration(np.array(SHARES), DEPTH_KNOTS, UNCERTAINTY_KNOTS, width)
        width = width * _needed(held, raw, factors)[:, :, None]
    width = np.round(np.maximum.accumulate(width, axis=0), 3)
    return Calibration(np.array(SHARES), DEPTH_KNOTS, UNCERTAINTY_KNOTS, width)


def _needed(
    errors: PixelErrors,
    raw: Calibration,
    factors: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """(shares, D) factors that make a table hold its shares."""
    rows = []
    for number, share in enumerate(SHARES):
        width = raw(errors.depth, errors.uncertainty, share)
        rows.append(factors(errors.depth, errors.error / np.maximum(width, _TINY))[number])
    return np.stack(rows)


def _overall(depth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(shares, D) quantiles of all values, the same at every knot."""
    return np.tile(np.quantile(values, SHARES)[:, None], len(DEPTH_KNOTS))


def _by_depth(depth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(shares, D) quantiles around the knots of depth, towards all values' where there are few."""
    below, part = _neighbours(depth, DEPTH_KNOTS)
    around, weight = _weighted_quantiles(
        np.tile(values, 2),
        np.concatenate([below, below + 1]),
        np.concatenate([1 - part, part]),
        len(DEPTH_KNOTS),
    )
    trust = weight / (weight + PRIOR_PIXELS)
    return trust * around + (1 - trust) * np.quantile(values, SHARES)[:, None]


def _by_depth_and_uncertainty(errors: PixelErrors) -> tuple[np.ndarray, np.ndarray]:
    """(shares, D, U) quantiles of the error, and (D, U) weight of the pixels around each knot."""
    D, U = len(DEPTH_KNOTS), len(UNCERTAINTY_KNOTS)
    i, a = _neighbours(errors.depth, DEPTH_KNOTS)
    j, b = _neighbours(errors.uncertainty, UNCERTAINTY_KNOTS)
    quantiles, weight = _weighted_quantiles(
        np.tile(errors.error, 4),
        np.concatenate([(i + m) * U + j + n for m in (0, 1) for n in (0, 1)]),
        np.concatenate([wa * wb for wa in (1 - a, a) for wb in (1 - b, b)]),
        D * U,
    )
    return quantiles.reshape(-1, D, U), weight.reshape(D, U)


def _weighted_quantiles(
    values: np.ndarray, knot: np.ndarray, weight: np.ndarray, knots: int
) -> tuple[np.ndarray, np.ndarray]:
    """(shares, knots) quantiles of each knot's values, 0 where it has none, and (knots,) weight."""
    order = np.lexsort((values, knot))
    knot, weight, values = knot[order], weight[order], values[order]
    total = np.bincount(knot, weight, knots)
    before = np.concatenate([[0], np.cumsum(total)[:-1]])
    places = np.searchsorted(np.cumsum(weight), before + np.array(SHARES)[:, None] * total)
    last = np.cumsum(np.bincount(knot, minlength=knots)) - 1
    quantiles = values[np.clip(np.minimum(places, last), 0, len(values) - 1)]
    return np.where(total > 0, quantiles, 0), total


def _neighbours(values: np.ndarray, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The knot below each value, and how far it is to the next, 0..1."""
    place = np.interp(values, knots, np.arange(len(knots)))
    below = np.minimum(place.astype(np.int64), len(knots) - 2)
    return below, place - below


def _meant_by_uncertainty(depth: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Error in metres for which U at this depth is true, the nearer of both; at least 5 cm."""
    share = -np.log1p(-np.clip(uncertainty, 0, 0.99)) / 5
    return np.maximum(2 * depth * share / (1 + share), 0.05)


def _not_falling_with_uncertainty(width: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Isotonic regression along the last axis of (shares, D, U); each knot weighs its pixels."""
    regression = IsotonicRegression(increasing=True)
    fitted = np.empty_like(width)
    for share in range(width.shape[0]):
        for row in range(width.shape[1]):
            fitted[share, row] = regression.fit_transform(
                UNCERTAINTY_KNOTS, width[share, row], sample_weight=weight[row] + 1
            )
    return fitted
