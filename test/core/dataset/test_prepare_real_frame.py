"""The real frame: preparation beside the devkit's own functions and the slow implementation."""

from __future__ import annotations

import numpy as np
import pytest
from nuscenes.utils.data_classes import RadarPointCloud
from nuscenes.utils.geometry_utils import BoxVisibility, points_in_box
from slow_samples import CLASSES, SlowSample

from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.prepare import PrepareOptions, prepare
from lircdepth_core.dataset.prepare_options import RADARS_OF_CAMERA
from lircdepth_core.dataset.shards import read_samples

CAMERAS = tuple(RADARS_OF_CAMERA)


@pytest.fixture(scope="module")
def nusc(real_frame):
    return open_dataset(real_frame)


@pytest.fixture(scope="module")
def samples(real_frame, tmp_path_factory):
    """The samples of all cameras, by camera."""
    out = tmp_path_factory.mktemp("real") / "out"
    options = PrepareOptions(cameras=CAMERAS, radars=("RADAR_FRONT",), keep_last=True)
    assert not prepare(real_frame, out, options).skipped
    return {sample.channel: sample for sample in read_samples(out)}


def test_its_scene_has_one_sample_which_is_skipped_by_rule(real_frame, tmp_path):
    summary = prepare(real_frame, tmp_path / "out")
    assert (summary.scenes, summary.samples, summary.skipped) == (("scene-0061",), 0, {})


def test_front_camera_equals_the_slow_implementation(nusc, samples):
    sample = samples["CAM_FRONT"]
    slow = SlowSample(nusc, nusc.sample[0]["token"])
    radar = slow.radar()
    assert len(radar) == 61
    np.testing.assert_allclose(sample.radar, radar, atol=1e-4)
    scan = slow.single_scan()
    assert (scan > 0).sum() > 3000
    np.testing.assert_array_equal((sample.single_scan * 256).astype(int), (scan * 256).astype(int))
    np.testing.assert_array_equal(sample.accumulated, sample.single_scan)
    assert (sample.dense > 0).mean() == pytest.approx(0.742, abs=0.01)
    assert (sample.image.shape, sample.exact) == ((900, 1600, 3), None)


@pytest.mark.parametrize("camera", CAMERAS)
def test_lidar_and_boxes_of_every_camera_are_the_devkits(camera, nusc, samples):
    sample = samples[camera]
    tokens = nusc.sample[0]["data"]
    points, depth, _ = nusc.explorer.map_pointcloud_to_image(tokens["LIDAR_TOP"], tokens[camera])
    column, row = np.rint(points[:2]).astype(int)
    expected = np.zeros((900, 1600))
    order = np.argsort(-depth)
    expected[row[order], column[order]] = depth[order]
    # The devkit moves points in float32, in global coordinates of over a kilometre.
    agree = (expected > 0) & (sample.single_scan > 0)
    assert agree.sum() > 0.98 * max((expected > 0).sum(), (sample.single_scan > 0).sum()) > 2000
    error = np.abs(expected - sample.single_scan)[agree]
    assert np.quantile(error, 0.98) < 0.005

    _, boxes, K = nusc.get_sample_data(tokens[camera], box_vis_level=BoxVisibility.ANY)
    boxes = sorted((box for box in boxes if box.name in CLASSES), key=lambda box: box.center[2])
    assert len(boxes) == len(sample.boxes) > 0
    for box, (x1, y1, x2, y2) in zip(boxes, sample.boxes, strict=True):
        u, v, w = K @ box.corners()
        u, v = (u / w).clip(0, 1599), (v / w).clip(0, 899)
        np.testing.assert_allclose((x1, y1, x2, y2), (u.min(), v.min(), u.max(), v.max()), atol=0.1)


def test_returns_lie_in_the_boxes_that_the_devkit_says(nusc, samples):
    sample = samples["CAM_FRONT"]
    _, boxes, _ = nusc.get_sample_data(
        nusc.sample[0]["data"]["CAM_FRONT"], box_vis_level=BoxVisibility.ANY
    )
    boxes = sorted((box for box in boxes if box.name in CLASSES), key=lambda box: box.center[2])
    inside = np.array([points_in_box(box, sample.radar_returns().position.T) for box in boxes])
    expected = np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, 0)
    assert (expected > 0).sum() > 5
    np.testing.assert_array_equal(sample.radar[:, 6], expected)


def test_radar_filters_are_the_devkits(real_frame, nusc, tmp_path):
    options = PrepareOptions(radar_filters=True, leave_out=("accumulated", "dense"), keep_last=True)
    prepare(real_frame, tmp_path / "out", options)
    sample = next(read_samples(tmp_path / "out"))
    tokens = nusc.sample[0]["data"]
    RadarPointCloud.default_filters()
    points, _, _ = nusc.explorer.map_pointcloud_to_image(tokens["RADAR_FRONT"], tokens["CAM_FRONT"])
    np.testing.assert_allclose(np.sort(sample.radar[:, 0]), np.sort(points[0]), atol=0.05)
