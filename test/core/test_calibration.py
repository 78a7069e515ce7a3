from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from lircdepth_core.errors import InputError
from lircdepth_core.inference import Calibration

GOOD = {
    "shares": [0.5, 0.683, 0.95],
    "depth": [10, 30, 80],
    "uncertainty": [0.2, 0.6],
    "half_width": [
        [[0.5, 1], [1, 2], [2, 4]],
        [[1, 2], [3, 6], [5, 10]],
        [[2, 4], [6, 12], [10, 20]],
    ],
}


@pytest.mark.parametrize(
    ("depth", "uncertainty", "share", "expected"),
    [
        (10, 0.2, 0.683, 1.0),  # on a knot
        (80, 0.6, 0.95, 20.0),  # on the last one
        (20, 0.2, 0.683, 2.0),  # half-way in depth
        (10, 0.3, 0.683, 1.25),  # a quarter of the way in uncertainty
        (55, 0.5, 0.683, 7.0),  # 0.5 * (0.25 * 3 + 0.75 * 6) + 0.5 * (0.25 * 5 + 0.75 * 10)
        (3, 0.1, 0.683, 1.0),  # constant before the first knots
        (200, 0.9, 0.683, 10.0),  # and beyond the last
        (10, 0.2, 0.5915, 0.75),  # half-way between the shares 0.5 and 0.683
    ],
)
def test_half_widths_are_bilinear_between_knots(depth, uncertainty, share, expected):
    width = Calibration(**GOOD)(np.full((2, 3), depth), np.full((2, 3), uncertainty), share)
    assert width.dtype == np.float32
    np.testing.assert_allclose(width, np.full((2, 3), expected), rtol=1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_knots_may_lie_anywhere(power):
    rng = np.random.default_rng(5)
    depth_knots, uncertainty_knots = np.linspace(1, 9, 21) ** power, np.linspace(0, 1, 11) ** power
    half_width = rng.uniform(0, 5, (1, 21, 11))
    depth = rng.uniform(depth_knots[0], depth_knots[-1], (40, 50))
    uncertainty = rng.uniform(0, 1, (40, 50))
    width = Calibration([0.683], depth_knots, uncertainty_knots, half_width)(
        depth, uncertainty, 0.683
    )
    expected = RegularGridInterpolator((depth_knots, uncertainty_knots), half_width[0])
    np.testing.assert_allclose(width, expected((depth, uncertainty)), atol=1e-4)


def test_no_pixels_have_no_widths():
    assert Calibration(**GOOD)(np.empty((0, 3)), np.empty((0, 3)), 0.683).shape == (0, 3)


def test_nan_stays_nan():
    width = Calibration(**GOOD)(np.array([np.nan, 10, 10]), np.array([0.2, np.nan, 0.2]), 0.683)
    np.testing.assert_array_equal(np.isnan(width), [True, True, False])


def test_a_larger_share_is_never_narrower():
    rng = np.random.default_rng(3)
    depth, uncertainty = rng.uniform(0, 100, 500), rng.uniform(0, 1, 500)
    calibration = Calibration(**GOOD)
    widths = [calibration(depth, uncertainty, share) for share in np.linspace(0.5, 0.95, 20)]
    assert (np.diff(widths, axis=0) >= 0).all()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"shares": [0.5, 0.7, 0.95]}, "0.683"),
        ({"shares": [0.683, 0.5, 0.95]}, "shares: give 1 or more increasing"),
        ({"shares": [0.5, 0.683, 1.0]}, "between 0 and 1"),
        ({"depth": [10, 10, 80]}, "depth: give 2 or more increasing"),
        ({"uncertainty": [0.2, 1.6]}, r"0\.\.1"),
        ({"uncertainty": [0.2]}, "uncertainty: give 2"),
        ({"half_width": [[[1, 2]]]}, r"half_width: shape \(1, 1, 2\), give \(3, 3, 2\)"),
        ({"half_width": -np.array(GOOD["half_width"])}, "0 or more"),
        ({"half_width": np.array(GOOD["half_width"])[::-1]}, "fall with the share"),
        ({"half_width": np.full((3, 3, 2), np.nan)}, "finite"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(change, complaint):
    with pytest.raises(InputError, match=complaint):
        Calibration(**{**GOOD, **change})
