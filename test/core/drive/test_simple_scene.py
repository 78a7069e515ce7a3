"""The generated data set as the official devkit sees it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud, RadarPointCloud
from simple_scene import SCENE, VERSION, true_depth, write_scene

from lircdepth_core.drive.nuscenes_tables import assign_to_samples, write_radar
from lircdepth_core.errors import InputError
from lircdepth_core.nuscenes_files import RADAR_DTYPE


@pytest.fixture(scope="module")
def nusc(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    """One sample at full size and noiseless radar: 2 images."""
    root = tmp_path_factory.mktemp("scene")
    write_scene(root, frames=2, radar_noise=False)
    return NuScenes(VERSION, str(root), verbose=False)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    """Two seconds at a tiny size."""
    root = tmp_path_factory.mktemp("long")
    write_scene(root, frames=24, width=64, height=36, lidar=False)
    return NuScenes(VERSION, str(root), verbose=False)


def rows(nusc: NuScenes, channel: str) -> list[dict]:
    first = nusc.get("sample_data", nusc.sample[0]["data"][channel])
    while first["prev"]:
        first = nusc.get("sample_data", first["prev"])
    found = [first]
    while found[-1]["next"]:
        found.append(nusc.get("sample_data", found[-1]["next"]))
    return found


def test_one_scene_with_samples_at_2_hz(long: NuScenes) -> None:
    (scene,) = long.scene
    assert scene["name"] == SCENE
    assert scene["nbr_samples"] == 4
    assert np.diff([sample["timestamp"] for sample in long.sample]).tolist() == [500_000] * 3


def test_each_sensor_has_its_own_rate_stamps_and_poses(long: NuScenes) -> None:
    images, sweeps = rows(long, "CAM_FRONT"), rows(long, "RADAR_FRONT")
    assert len(images) == 24
    for found, rate in ((images, 12), (sweeps, 13)):
        steps = np.diff([row["timestamp"] for row in found])
        np.testing.assert_allclose(steps, 1e6 / rate, atol=1)
    assert not {row["timestamp"] for row in images} & {row["timestamp"] for row in sweeps}
    for row in images + sweeps:
        assert long.get("ego_pose", row["ego_pose_token"])["timestamp"] == row["timestamp"]
    # Each image has sweeps on both sides.
    assert sweeps[0]["timestamp"] < images[0]["timestamp"]
    assert sweeps[-1]["timestamp"] > images[-1]["timestamp"]


def test_every_file_of_the_tables_is_there(long: NuScenes) -> None:
    for row in long.sample_data:
        folder = "samples" if row["is_key_frame"] else "sweeps"
        assert row["filename"].startswith(f"{folder}/{row['channel']}/")
        assert (Path(long.dataroot) / row["filename"]).is_file()


def test_the_camera_is_nuscenes_front_camera_scaled(nusc: NuScenes, long: NuScenes) -> None:
    for data, (width, height, focal) in ((nusc, (1600, 900, 1266)), (long, (64, 36, 50.64))):
        row = rows(data, "CAM_FRONT")[0]
        calibration = data.get("calibrated_sensor", row["calibrated_sensor_token"])
        assert calibration["camera_intrinsic"][0][0] == pytest.approx(focal)
        image = cv2.imread(data.get_sample_data_path(row["token"]))
        assert image.shape == (height, width, 3) == (row["height"], row["width"], 3)


def test_radar_returns_lie_on_surfaces_of_the_true_depth(
    nusc: NuScenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RadarPointCloud, "dynprop_states", [1])  # standing ones
    data = nusc.sample[0]["data"]
    uv, depth, _ = nusc.explorer.map_pointcloud_to_image(data["RADAR_FRONT"], data["CAM_FRONT"])
    truth = true_depth(Path(nusc.dataroot), nusc.get("sample_data", data["CAM_FRONT"])["filename"])
    column, row = np.round(uv[:2]).astype(int)
    # Within one pixel, for the returns at edges.
    patch = np.stack([truth[row + j, column + i] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    error = np.abs(patch - depth).min(axis=0)
    hidden = patch.max(axis=0) < depth - 1
    assert len(depth) > 60
    # The radar is 1.7 m ahead of the camera, so the camera cannot see quite all that it sees.
    assert hidden.mean() < 0.15
    assert np.median(error[~hidden]) < 0.05
    assert np.mean(error[~hidden] < 0.25) > 0.9


def test_lidar_agrees_with_the_true_depth(nusc: NuScenes) -> None:
    data = nusc.sample[0]["data"]
    uv, depth, _ = nusc.explorer.map_pointcloud_to_image(data["LIDAR_TOP"], data["CAM_FRONT"])
    truth = true_depth(Path(nusc.dataroot), nusc.get("sample_data", data["CAM_FRONT"])["filename"])
    column, row = np.round(uv[:2]).astype(int)
    assert len(depth) > 2000
    assert np.mean(np.abs(truth[row, column] - depth) < 0.02 * depth + 0.1) > 0.9
    points = LidarPointCloud.from_file(nusc.get_sample_data_path(data["LIDAR_TOP"])).points
    assert points.shape[0] == 4


def test_true_depth_has_the_images_size_and_infinite_sky(nusc: NuScenes) -> None:
    for row in rows(nusc, "CAM_FRONT"):
        depth = true_depth(Path(nusc.dataroot), row["filename"])
        assert (depth.shape, depth.dtype) == ((900, 1600), np.float32)
        assert np.isinf(depth[0]).any()
        assert np.isfinite(depth[-1]).all()
        assert depth.min() > 1
    # The bottom row shows the ground beside the vehicle: f * height / (v - cy).
    np.testing.assert_allclose(depth[-1, 700:900], 1266 * 1.51 / (899 - 491), rtol=1e-5)


def test_radar_is_quantised_and_within_the_sensors_limits(long: NuScenes) -> None:
    for row in rows(long, "RADAR_FRONT"):
        points = RadarPointCloud.from_file(long.get_sample_data_path(row["token"])).points
        assert 20 < points.shape[1] <= 125
        x, y, z, _, _, rcs, vx, vy = points[:8]
        for values, step in ((x, 0.2), (y, 0.2), (rcs, 0.5), (vx, 0.25), (vy, 0.25)):
            np.testing.assert_allclose(values, np.round(values / step) * step, atol=1e-4)
        assert not z.any()
        # Standing things come closer at the vehicle's speed, 10.09 m/s.
        assert np.median(vx) == pytest.approx(-10.0, abs=0.26)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_scene(tmp_path / name, frames=1, width=64, height=36, seed=seed)
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jpg")}
    files |= {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.pcd*")}
    assert len(files) > 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()


def test_each_sample_gets_the_nearest_measurement_as_its_own() -> None:
    stamps = [0, 40, 80, 120, 160]
    assert assign_to_samples(stamps, [10, 130]) == [
        (0, True),
        (0, False),
        (1, False),
        (1, True),
        (1, False),
    ]


def test_an_empty_radar_sweep_can_be_read(tmp_path: Path) -> None:
    write_radar(tmp_path / "empty.pcd", np.zeros(0, RADAR_DTYPE))
    assert RadarPointCloud.from_file(str(tmp_path / "empty.pcd")).points.shape == (18, 0)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_scene(tmp_path)
    with pytest.raises(InputError, match="frames: 0"):
        write_scene(tmp_path / "other", frames=0)
