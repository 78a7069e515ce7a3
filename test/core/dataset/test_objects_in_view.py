"""Which annotated things get a 2-D box, beyond what the devkit's rule says."""

from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.box_tracks import Boxes3D
from lircdepth_core.dataset.sample_maker import objects_in_view

# Half the width is seen at 0.8 of the depth, half the height at 0.45.
CAMERA = Camera(np.array([[200.0, 0, 160], [0, 200.0, 90], [0, 0, 1]]), 320, 180)


def thing(low: tuple[float, float, float], high: tuple[float, float, float]) -> Boxes3D:
    """A lorry between two corners of the optical frame, x right, y down, z forward."""
    low_, high_ = np.array([low]), np.array([high])
    return Boxes3D((low_ + high_) / 2, np.eye(3)[None], high_ - low_, np.array(["vehicle.truck"]))


def test_a_lorry_alongside_that_reaches_behind_the_camera_is_in_view():
    _, rectangles = objects_in_view(thing((-4, -2, -6), (-1.5, 1.5, 10)), CAMERA)
    # Its front ends at x = -1.5, z = 10; at the image's left edge the near side is 1.5 / 0.8 away.
    assert rectangles.shape == (1, 4)
    left, top, right, bottom = rectangles[0]
    assert (left, top) == (0, 0)
    assert right == pytest.approx(160 - 200 * 1.5 / 10, abs=1)
    assert bottom == 179


def test_the_rectangle_is_of_what_is_seen_not_of_corners_far_outside():
    """A low trailer alongside: 1.0 to 1.2 m below the camera, 3 to 5 m to its right."""
    _, rectangles = objects_in_view(thing((3, 1.0, -6), (5, 1.2, 8)), CAMERA)
    left, top, right, bottom = rectangles[0]
    assert left == pytest.approx(160 + 200 * 3 / 8, abs=1)
    assert top == pytest.approx(90 + 200 * 1.0 / 8, abs=1)
    assert right == 319
    assert bottom == pytest.approx(90 + 200 * 1.2 / (3 / 0.8), abs=1)


def test_a_bus_that_fills_the_image_is_in_view():
    _, rectangles = objects_in_view(thing((-6, -3, 3), (6, 3, 6)), CAMERA)
    np.testing.assert_array_equal(rectangles, [[0, 0, 319, 179]])


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param((-4, -2, -20), (-1.5, 1.5, -2), id="behind"),
        pytest.param((-4, -2, -6), (-1.5, 1.5, 1.2), id="beside, not far enough ahead"),
        pytest.param((-12, -2, -6), (-9, 1.5, 10), id="too far to the side"),
    ],
)
def test_what_no_pixel_shows_is_not_in_view(low, high):
    boxes, rectangles = objects_in_view(thing(low, high), CAMERA)
    assert (len(boxes), rectangles.shape) == (0, (0, 4))
