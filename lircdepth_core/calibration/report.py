"""How well intervals hold what they promise, on scenes that they were not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np

from lircdepth_core.calibration.fit import (
    LEAST_PIXELS,
    SHARES,
    Calibrations,
    blind_pixels,
    enough_are_blind,
    fit_calibrations,
)
from lircdepth_core.calibration.pixel_errors import EXPOSURES, PixelErrors
from lircdepth_core.inference.calibration import SIGMA_SHARE
from lircdepth_core.text_table import Table

FOLDS = 4
DEPTH_STEP = 10.0
"""Metres; bins of predicted depth."""


def cross_validated(errors: PixelErrors) -> dict[str, Any] | None:
    """Fit on some scenes, check on the others, until each scene was checked.

    None for one scene, or where without those of a fold too few pixels remain to fit, be it of
    the images that show next to nothing alone.

    Returns:
        `folds`; `coverage`, a list of `{share, covered}`, of images as they are; and, within
        sigma, `by_predicted_depth` of these, a list of `{low, high, pixels, covered}`, and
        `by_exposure`, a list of `{exposure, pixels, covered, median_sigma, mean_error}`.
    """
    folds = min(FOLDS, len(errors.scenes))
    # As in the calibration that is written, or the figures would be of another one.
    with_blind = enough_are_blind(errors)
    blind, as_it_is = blind_pixels(errors), errors.exposure == EXPOSURES.index("as it is")
    # What shapes a table, and what it is scaled for.
    for needed in (blind, ~blind & as_it_is) if with_blind else (as_it_is,):
        held = np.bincount(errors.scene[needed] % folds, minlength=folds)
        if needed.sum() - held.max() < LEAST_PIXELS:  # also where the only fold holds all
            return None
    within = np.zeros((len(SHARES), len(errors.error)), bool)
    sigma = np.zeros(len(errors.error))
    for fold in range(folds):
        left_out = errors.scene % folds == fold
        calibrations = fit_calibrations(errors.of(~left_out), with_blind)
        checked = errors.of(left_out)
        within[:, left_out] = _within(calibrations, checked)
        sigma[left_out] = calibrations.half_width(checked, SIGMA_SHARE)
    within_sigma = within[SHARES.index(SIGMA_SHARE)]
    edge = np.arange(0, errors.depth.max() + DEPTH_STEP, DEPTH_STEP)
    place = np.digitize(errors.depth[as_it_is], edge) - 1
    pixels = np.bincount(place, minlength=len(edge))
    covered = np.bincount(place, within_sigma[as_it_is], len(edge))
    return {
        "folds": folds,
        "coverage": [
            {"share": share, "covered": float(held.mean())}
            for share, held in zip(SHARES, within[:, as_it_is], strict=True)
        ],
        "by_predicted_depth": [
            {"low": low, "high": low + DEPTH_STEP, "pixels": int(n), "covered": float(c / n)}
            for low, n, c in zip(edge.tolist(), pixels, covered, strict=True)
            if n
        ],
        "by_exposure": [
            {
                "exposure": name,
                "pixels": int(shown.sum()),
                "covered": float(within_sigma[shown].mean()),
                "median_sigma": float(np.median(sigma[shown])),
                "mean_error": float(errors.error[shown].mean()),
            }
            for number, name in enumerate(EXPOSURES)
            if (shown := errors.exposure == number).any()
        ],
    }


def coverage_tables(found: dict[str, Any]) -> list[Table]:
    """The same for a terminal."""
    return [
        Table(
            f"Coverage on scenes left out, {found['folds']} times",
            ("interval for", "holds"),
            [
                (f"{row['share'] * 100:.4g} %", f"{row['covered'] * 100:.1f} %")
                for row in found["coverage"]
            ],
        ),
        Table(
            f"Within sigma ({SIGMA_SHARE * 100:.4g} %), by predicted depth",
            ("metres", "pixels", "holds"),
            [
                (f"{row['low']:g}-{row['high']:g}", str(row["pixels"]), f"{row['covered']:.1%}")
                for row in found["by_predicted_depth"]
            ],
        ),
        Table(
            "Within sigma, by exposure",
            ("image", "pixels", "holds", "median sigma m", "mean error m"),
            [
                (
                    row["exposure"],
                    str(row["pixels"]),
                    f"{row['covered']:.1%}",
                    f"{row['median_sigma']:.2f}",
                    f"{row['mean_error']:.2f}",
                )
                for row in found["by_exposure"]
            ],
        ),
    ]


def _within(calibrations: Calibrations, errors: PixelErrors) -> np.ndarray:
    """(shares, N), whether each error is within each half-width."""
    return np.stack([errors.error <= calibrations.half_width(errors, p) for p in SHARES])
