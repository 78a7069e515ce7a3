"""Quaternions of rotations, against pyquaternion's."""

from __future__ import annotations

import numpy as np
import pytest
from pyquaternion import Quaternion

from lircdepth_core.drive.rotations import matrix_of, quaternion_of, rotation_about_z


def test_matrices_and_quaternions_turn_into_each_other() -> None:
    rng = np.random.default_rng(0)
    for values in rng.normal(size=(50, 4)):
        expected = Quaternion(values).normalised
        expected = expected if expected.w >= 0 else -expected
        found = quaternion_of(expected.rotation_matrix)
        np.testing.assert_allclose(found, expected.elements, atol=1e-12)
        np.testing.assert_allclose(matrix_of(found), expected.rotation_matrix, atol=1e-12)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_half_turns_are_no_special_case(axis: tuple[int, int, int]) -> None:
    matrix = 2.0 * np.outer(axis, axis) - np.eye(3)
    np.testing.assert_allclose(matrix_of(quaternion_of(matrix)), matrix, atol=1e-12)


def test_a_yaw_turns_ahead_to_the_left() -> None:
    np.testing.assert_allclose(rotation_about_z(np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(quaternion_of(rotation_about_z(np.pi / 3))[3], 0.5, atol=1e-12)
