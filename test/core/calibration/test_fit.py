from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lircdepth_core.calibration.fit import (
    BLIND_BELOW,
    LEAST_BLIND_PIXELS,
    LEAST_PIXELS,
    SHARES,
    fit_calibration,
    fit_calibrations,
)
from lircdepth_core.calibration.pixel_errors import PixelErrors
from lircdepth_core.calibration.report import cross_validated
from lircdepth_core.errors import InputError
from lircdepth_core.inference.calibration import SIGMA_SHARE


def normal_errors(count: int, seed: int, scenes: int = 4) -> PixelErrors:
    """Errors of normal distribution whose deviation is (0.2 + 4 uncertainty) (1 + depth / 50)."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(2, 80, count).astype(np.float32)
    uncertainty = rng.uniform(0, 1, count).astype(np.float32) ** 2
    error = np.abs(rng.normal(size=count) * deviation(depth, uncertainty)).astype(np.float32)
    names = tuple(f"scene-{n}" for n in range(scenes))
    numbers = np.arange(count)
    exposures, structure = np.zeros(count, np.int64), np.ones(count, np.float32)
    return PixelErrors(depth, uncertainty, error, numbers % scenes, exposures, structure, 10, names)


def deviation(depth: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    return (0.2 + 4 * uncertainty) * (1 + depth / 50)


def test_half_widths_are_those_of_the_distribution_that_errors_came_from():
    calibration = fit_calibration(normal_errors(1_000_000, seed=1))
    depth, uncertainty = np.meshgrid(np.linspace(10, 70, 13), np.linspace(0.05, 0.9, 18))
    expected = deviation(depth, uncertainty)
    # Within 68.3 % of errors lies one deviation of a normal distribution, within 95 % 1.96.
    for share, deviations in ((SIGMA_SHARE, 1.0), (0.95, 1.96)):
        width = calibration(depth, uncertainty, share)
        assert np.median(np.abs(width / (deviations * expected) - 1)) < 0.05
        np.testing.assert_allclose(width, deviations * expected, rtol=0.25)


def test_new_errors_are_held_as_often_as_promised():
    calibration = fit_calibration(normal_errors(100_000, seed=1))
    fresh = normal_errors(100_000, seed=2)
    for share in SHARES:
        held = fresh.error <= calibration(fresh.depth, fresh.uncertainty, share)
        assert held.mean() == pytest.approx(share, abs=0.01)
        for low in range(10, 70, 10):
            here = (fresh.depth >= low) & (fresh.depth < low + 10)
            assert held[here].mean() == pytest.approx(share, abs=0.03)


def test_errors_are_held_as_often_however_uncertain_the_pixel_is():
    """As in networks: most pixels are hardly uncertain, and the error grows with it at once."""

    def skewed(seed: int) -> PixelErrors:
        errors, rng = normal_errors(200_000, seed), np.random.default_rng(seed + 100)
        uncertainty = rng.gamma(1.5, 0.07, 200_000).clip(0.02, 1).astype(np.float32)
        spread = 12 * uncertainty**2 / (uncertainty + 0.04)
        error = np.abs(rng.normal(size=200_000) * spread).astype(np.float32)
        return dataclasses.replace(errors, uncertainty=uncertainty, error=error)

    calibration, fresh = fit_calibration(skewed(1)), skewed(2)
    held = fresh.error <= calibration(fresh.depth, fresh.uncertainty, SIGMA_SHARE)
    for part in np.array_split(np.argsort(fresh.uncertainty), 12):
        assert held[part].mean() == pytest.approx(SIGMA_SHARE, abs=0.06)


def test_where_no_pixel_was_seen_half_widths_go_on_growing_with_uncertainty_and_share():
    errors = normal_errors(50_000, seed=1)
    calibration = fit_calibration(errors.of((errors.depth < 20) & (errors.uncertainty < 0.5)))
    width = calibration.half_width
    assert (np.diff(width, axis=0) >= 0).all()
    assert (np.diff(width, axis=2) >= 0).all()
    assert (width[:, 2:, -1] > width[:, 2:, 0]).all()
    unseen = calibration(np.array([70.0]), np.array([0.9]), SIGMA_SHARE)
    assert unseen > calibration(np.array([15.0]), np.array([0.3]), SIGMA_SHARE)


def test_a_head_that_says_nothing_leaves_a_sigma_by_depth_alone():
    errors = normal_errors(50_000, seed=1)
    blind = dataclasses.replace(errors, uncertainty=np.full_like(errors.uncertainty, 0.5))
    calibration = fit_calibration(blind)
    held = blind.error <= calibration(blind.depth, blind.uncertainty, SIGMA_SHARE)
    for low in range(10, 70, 10):
        here = (blind.depth >= low) & (blind.depth < low + 10)
        assert held[here].mean() == pytest.approx(SIGMA_SHARE, abs=0.03)


def with_blind_images(count: int, share: float, seed: int) -> PixelErrors:
    """Errors as above; five times as large in a share of the images, which show nothing."""
    errors = normal_errors(count, seed)
    blind = np.arange(count) < share * count
    errors.error[blind] *= 5
    structure = np.where(blind, BLIND_BELOW / 2, 1).astype(np.float32)
    return dataclasses.replace(errors, exposure=blind.astype(np.int64), structure=structure)


def test_images_that_show_nothing_have_a_calibration_of_their_own():
    fitted = fit_calibrations(with_blind_images(200_000, 0.3, seed=1))
    assert fitted.blind is not None
    assert fitted.blind.structure_below == BLIND_BELOW
    fresh = with_blind_images(100_000, 0.3, seed=2)
    for blind in (False, True):
        group = fresh.of((fresh.structure < BLIND_BELOW) == blind)
        for share in SHARES:
            held = group.error <= fitted.half_width(group, share)
            assert held.mean() == pytest.approx(share, abs=0.01)


def test_few_images_that_show_nothing_shape_the_table_of_all():
    errors = with_blind_images(50_000, 0.1, seed=1)
    assert (errors.structure < BLIND_BELOW).sum() < LEAST_BLIND_PIXELS
    fitted = fit_calibrations(errors)
    assert fitted.blind is None
    seen = errors.of(errors.exposure == 0)
    assert (seen.error <= fitted.half_width(seen, SIGMA_SHARE)).mean() == pytest.approx(
        SIGMA_SHARE, abs=0.005
    )


def test_too_few_pixels_are_refused():
    with pytest.raises(InputError, match=r"999 pixels.*needs 1000"):
        fit_calibration(normal_errors(999, seed=1))


def test_coverage_is_told_of_scenes_left_out():
    errors = normal_errors(40_000, seed=1, scenes=5)
    # In one scene errors are three times what they are elsewhere: only its own fit would hold them.
    odd = errors.scene == 4
    errors.error[odd] *= 3
    found = cross_validated(errors)
    assert found is not None
    assert found["folds"] == 4
    sigma = next(row["covered"] for row in found["coverage"] if row["share"] == SIGMA_SHARE)
    fitted = fit_calibration(errors)
    own = (errors.error <= fitted(errors.depth, errors.uncertainty, SIGMA_SHARE)).mean()
    assert own == pytest.approx(SIGMA_SHARE, abs=0.005)
    assert sigma < own - 0.01
    assert sum(row["pixels"] for row in found["by_predicted_depth"]) == 40_000


def test_coverage_is_told_of_calibrations_like_the_one_that_is_written():
    """Without some of the scenes too few images show nothing: that decides nothing."""
    errors = with_blind_images(48_000, 0.25, seed=1)
    assert LEAST_BLIND_PIXELS <= (errors.structure < BLIND_BELOW).sum() < LEAST_BLIND_PIXELS * 4 / 3
    found = cross_validated(errors)
    assert found is not None
    for row in found["by_exposure"]:
        assert row["covered"] == pytest.approx(SIGMA_SHARE, abs=0.02)


def test_where_one_scene_alone_shows_something_it_cannot_be_left_out():
    """By day, and by a night whose images show something only where they are made bright."""
    errors = normal_errors(40_000, seed=1, scenes=2)
    by_night, bright = errors.scene == 1, np.arange(40_000) % 4 == 3
    structure = np.where(by_night & ~bright, BLIND_BELOW / 2, 1).astype(np.float32)
    exposure = (by_night & bright).astype(np.int64)
    errors = dataclasses.replace(errors, structure=structure, exposure=exposure)
    assert fit_calibrations(errors).blind is not None
    assert cross_validated(errors) is None


def test_one_scene_cannot_be_checked_on_another():
    assert cross_validated(normal_errors(2000, seed=1, scenes=1)) is None


def test_a_fit_on_few_pixels_stays_though_none_of_its_scenes_can_be_left_out():
    errors = normal_errors(LEAST_PIXELS + 200, seed=1, scenes=2)
    fit_calibration(errors)
    assert cross_validated(errors) is None
