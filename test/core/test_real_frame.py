"""The one real nuScenes frame: the radar's place in the image, and `lircdepth predict`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lircdepth_core.cli import main
from lircdepth_core.errors import InputError
from lircdepth_core.inference.depth_png import read_depth_png
from lircdepth_core.inference.model_description import SeededWeights, format_description

SAMPLE = "ca9a282c9e77460f8360f564131a8af5"
IN_VIEW = 61


@pytest.fixture
def nusc(real_frame):
    from lircdepth_core.dataset.devkit import open_dataset

    return open_dataset(real_frame)


@pytest.fixture
def small_model(tmp_path, make_model):
    """An untrained model of such a small focal length that it answers in a moment."""
    folder = tmp_path / "small"
    folder.mkdir()
    model = make_model(
        100.0, name="small", trained=False, uncertainty_trained=False, weights=SeededWeights(1)
    )
    (folder / "model.yaml").write_text(format_description(model))
    return folder


def test_radar_lands_where_the_devkit_puts_it(nusc):
    from nuscenes.nuscenes import NuScenesExplorer
    from nuscenes.utils.data_classes import RadarPointCloud

    from lircdepth_core.predict_sample import read_frame

    RadarPointCloud.default_filters()
    tokens = nusc.get("sample", SAMPLE)["data"]
    points, depth, _ = NuScenesExplorer(nusc).map_pointcloud_to_image(
        tokens["RADAR_FRONT"], tokens["CAM_FRONT"]
    )
    frame = read_frame(nusc, SAMPLE, "CAM_FRONT", ["RADAR_FRONT"], filtered=True)
    visible = frame.radar.visible_in(frame.camera)
    assert len(visible) == points.shape[1] == IN_VIEW
    np.testing.assert_allclose(visible.uv, points[:2].T, atol=0.05)
    np.testing.assert_allclose(visible.depth, depth, atol=0.001)


def test_velocities_stay_the_radars_own_but_for_its_small_yaw(nusc):
    from lircdepth_core.dataset.devkit import read_radar
    from lircdepth_core.predict_sample import read_frame

    frame = read_frame(nusc, SAMPLE, "CAM_FRONT", ["RADAR_FRONT"], filtered=False)
    path, _, _ = nusc.get_sample_data(nusc.get("sample", SAMPLE)["data"]["RADAR_FRONT"])
    raw = read_radar(Path(path))
    velocity = frame.radar.velocity
    np.testing.assert_allclose(
        np.hypot(*velocity.T), np.hypot(raw["vx"], raw["vy"]), rtol=1e-5, atol=1e-5
    )
    assert np.abs(velocity[:, 0] - raw["vx"]).max() < 0.1
    np.testing.assert_array_equal(frame.radar.rcs, raw["rcs"])


def test_predict_writes_maps_a_record_and_a_picture(real_frame, small_model, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["predict", str(real_frame), "--sample", SAMPLE, "--out", str(out)]
    assert main([*arguments, "--model", str(small_model), "--device", "cpu"]) == 0
    stem = out / f"{SAMPLE}-CAM_FRONT"
    record = json.loads(stem.with_suffix(".json").read_text())
    assert (record["trained"], record["calibrated"]) == (False, False)
    assert record["radar_points_in_image"] == IN_VIEW
    assert record["depth"]["values_per_metre"] == 256
    depth = read_depth_png(out / record["depth"]["file"])
    assert depth.shape == (900, 1600)
    assert np.isfinite(depth).all()
    assert np.isnan(read_depth_png(out / record["sigma"]["file"])).all()
    picture = cv2.imread(f"{stem}-picture.png")
    assert picture.shape[1] == 3 * 800 + 2 * 8
    assert "UNTRAINED" in capsys.readouterr().err


def test_predict_without_radar_is_of_the_camera_alone(real_frame, small_model, tmp_path, capsys):
    arguments = ["predict", str(real_frame), "--sample", SAMPLE, "--out", str(tmp_path)]
    command = [*arguments, "--model", str(small_model), "--device", "cpu", "--radar"]
    assert main(command) == 0
    record = json.loads((tmp_path / f"{SAMPLE}-CAM_FRONT.json").read_text())
    assert (record["radar"], record["radar_points_in_image"]) == ([], 0)
    assert cv2.imread(str(tmp_path / f"{SAMPLE}-CAM_FRONT-picture.png")) is not None
    assert "depth from the camera alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        # Of the back's radars this frame has none, and the front's see nothing there.
        (["--camera", "CAM_BACK"], "has no RADAR_BACK_LEFT"),
        (["--sample", "no-such"], f"no sample no-such; the first one is {SAMPLE}"),
        (["--camera", "CAM_UP"], "has no CAM_UP; it has CAM_BACK"),
        (["--camera", "LIDAR_TOP"], "LIDAR_TOP: not a camera"),
        (["--radar", "LIDAR_TOP"], "LIDAR_TOP: not a radar"),
        (["--radar", "RADAR_FRONT", "RADAR_FRONT"], "RADAR_FRONT RADAR_FRONT: give each once"),
        (["--version", "v1.0-test"], "v1.0-test"),
    ],
)
def test_predict_names_what_is_wrong(option, complaint, real_frame, small_model, tmp_path, capsys):
    arguments = ["predict", str(real_frame), "--sample", SAMPLE, "--out", str(tmp_path / "out")]
    arguments += ["--model", str(small_model), "--device", "cpu", *option]
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lircdepth predict: ")
    assert complaint in error


def test_a_folder_that_cannot_be_is_said_before_the_model_is_read(real_frame, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        arguments = ["predict", str(real_frame), "--sample", SAMPLE, "--out", str(out)]
        assert main([*arguments, "--model", str(tmp_path / "no-model")]) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert f"{out}: cannot be made, {tmp_path / 'file'} is a file; choose another" in error


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\xff\xd8nothing", "not an image"),
        (cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes(), "160x90, the tables"),
    ],
)
def test_a_damaged_image_is_named(content, complaint, nusc, monkeypatch, tmp_path):
    from lircdepth_core.predict_sample import read_frame

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(content)
    row = nusc.get("sample_data", nusc.get("sample", SAMPLE)["data"]["CAM_FRONT"])
    monkeypatch.setitem(row, "filename", broken.name)
    monkeypatch.setattr(nusc, "dataroot", str(tmp_path))
    with pytest.raises(InputError, match=rf"broken\.jpg: {complaint}"):
        read_frame(nusc, SAMPLE, "CAM_FRONT", [], filtered=False)
