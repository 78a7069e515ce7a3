"""A generated drive with all cameras and radars: preparation against what is known to be true."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import EGO_SPEED, MAKERS

from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.prepare import PrepareOptions, prepare
from lircdepth_core.dataset.prepare_options import RADARS_OF_CAMERA
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.scene_tables import read_scene
from lircdepth_core.dataset.shards import read_samples
from lircdepth_core.drive.drive_writer import DriveSettings, write_drive

CAMERAS = tuple(RADARS_OF_CAMERA)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    root = tmp_path_factory.mktemp("drive") / "data"
    settings = DriveSettings(seed=5, duration=1.1, width=240, height=135, weather="clear")
    write_drive(root, settings, scenes=1, workers=1, makers=MAKERS)
    return root


@pytest.fixture(scope="module")
def samples(drive, tmp_path_factory) -> dict[str, list[Sample]]:
    """Those of each camera."""
    out = tmp_path_factory.mktemp("shards") / "out"
    assert not prepare(drive, out, PrepareOptions(cameras=CAMERAS)).skipped
    found: dict[str, list[Sample]] = {camera: [] for camera in CAMERAS}
    for sample in read_samples(out):
        found[sample.channel].append(sample)
    return found


def beyond_rounding(depth: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far a depth is from all that the exact map shows within a pixel of it."""
    nearest = cv2.erode(exact, np.ones((3, 3)))
    farthest = cv2.dilate(exact, np.ones((3, 3)))
    return np.maximum(0, np.maximum(nearest - depth, depth - farthest))


@pytest.mark.parametrize("camera", CAMERAS)
def test_lidar_of_all_sweeps_lands_where_each_camera_sees_it(camera, samples):
    for sample in samples[camera]:
        for depth in (sample.single_scan, sample.accumulated):
            measured = depth > 0
            assert measured.sum() > 300
            error = beyond_rounding(depth, sample.exact)[measured]
            assert np.median(error) < 0.02
            assert np.quantile(error, 0.95) < 0.5


@pytest.mark.parametrize("camera", CAMERAS)
def test_standing_things_move_against_the_vehicle_as_each_camera_looks(camera, drive, samples):
    """x forward and y left of the camera, whichever way its radars are turned."""
    nusc = open_dataset(drive)
    scene = read_scene(nusc, nusc.scene[0], [camera])
    speeds = np.concatenate([sample.radar[:, 4:6] for sample in samples[camera]])
    forward = scene.key_frames[0].measurements[camera].ego_from_sensor[:2, 2]
    left = np.array([-forward[1], forward[0]])
    against = np.array([-EGO_SPEED, 0.0])
    assert len(speeds) >= 2
    np.testing.assert_allclose(
        np.median(speeds, axis=0), [against @ forward, against @ left], atol=0.5
    )


def test_conditions_and_exact_depth_come_along(samples):
    for sample in samples["CAM_FRONT"]:
        assert sample.conditions["weather"] == "clear"
        assert sample.exact.dtype == np.float32
        assert np.isinf(sample.exact).any()
