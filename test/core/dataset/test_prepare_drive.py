"""A generated drive with all cameras and radars: preparation against what is known to be true."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import EGO_SPEED, MAKERS, tiny_world

from lircdepth_core.dataset.depth_maps import project
from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.prepare import PrepareOptions, prepare
from lircdepth_core.dataset.prepare_options import RADARS_OF_CAMERA
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_exact
from lircdepth_core.dataset.sample_maker import exact_file
from lircdepth_core.dataset.scene_tables import read_scene
from lircdepth_core.dataset.shards import read_samples
from lircdepth_core.dataset.static_lidar import StaticLidar
from lircdepth_core.drive.camera_renderer import CameraRenderer
from lircdepth_core.drive.drive_writer import DriveSettings, write_drive
from lircdepth_core.errors import InputError

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


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A scene of a street as `lircdepth drive` makes it."""
    try:
        CameraRenderer(tiny_world(), 16, 16).close()
    except InputError as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("street") / "data"
    settings = DriveSettings(
        seed=3,
        duration=0.9,
        width=480,
        height=270,
        cameras=("CAM_FRONT",),
        radars=("RADAR_FRONT",),
        weather="clear",
    )
    write_drive(root, settings, workers=1)
    return root


def test_points_of_all_sweeps_lie_on_what_the_camera_sees_within_a_tenth_of_a_metre_at_30_m(street):
    """Against the exact depth at the very place, not at the nearest pixel's centre.

    A pixel of the road is a metre deep there; 1/depth of a plane is linear in the image.
    """
    nusc = open_dataset(street)
    scene = read_scene(nusc, nusc.scene[0], ["CAM_FRONT"])
    image = scene.key_frames[0].measurements["CAM_FRONT"]
    inverse = 1 / decode_exact(exact_file(street, image).read_bytes()).astype(np.float64)
    static = StaticLidar(street, scene, masks=None, keep=1)
    errors = []
    for index, sweep in enumerate(scene.lidar):
        camera_from_lidar = np.linalg.inv(image.global_from_sensor) @ sweep.global_from_sensor
        points = static.points(index, "CAM_FRONT")
        seen = project(points, camera_from_lidar, image.camera)
        moved = camera_from_lidar[:3, :3] @ points[:, seen.number] + camera_from_lidar[:3, 3:]
        uv, depth = image.camera.project(moved.T)
        np.testing.assert_allclose(seen.depth, depth)
        there = cv2.remap(inverse, *uv.T.astype(np.float32), cv2.INTER_LINEAR)[:, 0]
        near_30 = np.abs(there - 1 / 30) < 1 / 300
        errors.append(depth[near_30] - 1 / there[near_30])
    assert len(errors) > 15
    assert sum(map(len, errors)) > 1000
    for error in errors:
        assert np.median(np.abs(error)) < 0.1


def test_conditions_and_exact_depth_come_along(samples):
    for sample in samples["CAM_FRONT"]:
        assert sample.conditions["weather"] == "clear"
        assert sample.exact.dtype == np.float32
        assert np.isinf(sample.exact).any()
