from __future__ import annotations

import cv2
import numpy as np
import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.inference.colour import colourise
from lircdepth_core.inference.depth_png import read_depth_png, write_depth_png
from lircdepth_core.inference.picture import image_picture
from lircdepth_core.radar import RadarReturns


def test_a_stored_depth_map_never_wraps(tmp_path):
    depth = np.array([[np.nan, 0.0, 1.0, 12.345], [255.99, 256.5, 1e9, np.inf]], np.float32)
    write_depth_png(tmp_path / "depth.png", depth)
    stored = cv2.imread(str(tmp_path / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, [[0, 1, 256, 3160], [65533, 65535, 65535, 65535]])


def test_a_depth_map_reads_back(tmp_path):
    depth = np.random.default_rng(1).uniform(1, 100, (5, 7)).astype(np.float32)
    depth[2, 3] = np.nan
    write_depth_png(tmp_path / "depth.png", depth)
    back = read_depth_png(tmp_path / "depth.png")
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, depth, atol=0.5 / 256 + 1e-5)


def test_what_is_no_depth_map_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((4, 4), np.uint8))
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("grey.png", "empty.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_depth_png(tmp_path / name)


def test_an_image_without_a_return_in_it_is_a_picture_too(make_camera):
    assert colourise(np.zeros((1, 0)), 1.0, 100.0).shape == (1, 0, 3)
    nothing = RadarReturns.empty().visible_in(make_camera(64, 32, 200.0))
    picture = image_picture(np.full((32, 64, 3), 90, np.uint8), nothing)
    assert (picture == 90).all()


def test_near_is_red_far_is_blue_and_none_is_black():
    colours = colourise(np.array([[-5.0, 1.0, 50.0, 100.0, 900.0, np.nan]]), 1.0, 100.0)
    assert colours.dtype == np.uint8
    assert colours.shape == (1, 6, 3)
    red, _, blue = np.moveaxis(colours[0].astype(int), -1, 0)
    assert red[1] > 2 * blue[1]
    assert blue[3] > red[3]
    np.testing.assert_array_equal(colours[0, 0], colours[0, 1])
    np.testing.assert_array_equal(colours[0, 4], colours[0, 3])
    np.testing.assert_array_equal(colours[0, 5], [0, 0, 0])
