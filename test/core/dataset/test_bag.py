"""A generated scene with sweeps, converted and read back; and what cannot be converted."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import RadarPointCloud
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from simple_scene import SCENE

from lircdepth_core import progress
from lircdepth_core.dataset import bag
from lircdepth_core.dataset.bag import write_bag
from lircdepth_core.errors import InputError

TYPESTORE = get_typestore(Stores.ROS2_JAZZY)


def read(path: Path) -> list[tuple[str, int, Any]]:
    with Reader(path) as reader:
        return [
            (connection.topic, stamp, TYPESTORE.deserialize_cdr(data, connection.msgtype))
            for connection, stamp, data in reader.messages()
        ]


def rows_of(root: Path, channel: str) -> list[dict[str, Any]]:
    nusc = NuScenes("v1.0-mini", str(root), verbose=False)
    rows = [row for row in nusc.sample_data if row["channel"] == channel]
    return sorted(rows, key=lambda row: row["timestamp"])


@pytest.fixture(scope="module")
def messages(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, int, Any]]:
    out = tmp_path_factory.mktemp("bags") / "scene"
    write_bag(generated, out, SCENE)
    return read(out)


def test_sweeps_between_key_frames_are_converted_too(
    messages: list[tuple[str, int, Any]], generated: Path
) -> None:
    for channel, topic in (
        ("CAM_FRONT", "/CAM_FRONT/image_rect_compressed"),
        ("RADAR_FRONT", "/RADAR_FRONT"),
        ("LIDAR_TOP", "/LIDAR_TOP"),
    ):
        rows = rows_of(generated, channel)
        assert {row["is_key_frame"] for row in rows} == {True, False}
        stamps = [stamp for name, stamp, _ in messages if name == topic]
        assert stamps == [row["timestamp"] * 1000 for row in rows]


def test_every_radar_return_is_kept_bit_for_bit(
    messages: list[tuple[str, int, Any]], generated: Path
) -> None:
    clouds = [content for topic, _, content in messages if topic == "/RADAR_FRONT"]
    for cloud, row in zip(clouds, rows_of(generated, "RADAR_FRONT"), strict=True):
        _, data = (generated / row["filename"]).read_bytes().split(b"DATA binary\n", 1)
        assert cloud.point_step == 43
        assert cloud.data.tobytes() == data[: 43 * cloud.width]
        assert 0 < cloud.width <= 125


def test_messages_stand_in_stamp_order_with_each_info_right_before_its_image(
    messages: list[tuple[str, int, Any]],
) -> None:
    stamps = [stamp for _, stamp, _ in messages]
    assert stamps == sorted(stamps)
    for index, (topic, stamp, content) in enumerate(messages):
        if topic == "/CAM_FRONT/image_rect_compressed":
            before, before_stamp, info = messages[index - 1]
            assert (before, before_stamp) == ("/CAM_FRONT/camera_info", stamp)
            assert info.header == content.header


def test_each_measurement_has_its_own_pose(messages: list[tuple[str, int, Any]]) -> None:
    posed = [stamp for topic, stamp, _ in messages if topic == "/tf"]
    assert len(posed) == len(set(posed))
    assert {stamp for topic, stamp, _ in messages if topic != "/tf_static"} == set(posed)


def test_odometry_has_the_speed_and_turn_of_the_drive(
    messages: list[tuple[str, int, Any]],
) -> None:
    # 10 m/s along a centre line of radius 200 m, driven 1.75 m outside of it.
    twists = [content.twist.twist for topic, _, content in messages if topic == "/odom"]
    assert [t.linear.x for t in twists] == pytest.approx([10.0875] * len(twists), rel=1e-3)
    assert [t.linear.y for t in twists] == pytest.approx([0] * len(twists), abs=0.1)
    assert [t.angular.z for t in twists] == pytest.approx([0.05] * len(twists), rel=1e-3)


def test_only_the_chosen_sensors_are_converted(generated: Path, tmp_path: Path) -> None:
    summary = write_bag(generated, tmp_path / "bag", SCENE, sensors=["RADAR_FRONT"])
    assert set(summary.messages) == {"/RADAR_FRONT", "/odom", "/tf", "/tf_static"}


def test_missing_files_are_skipped_and_reported(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "data")
    shutil.rmtree(tmp_path / "data/sweeps")
    summary = write_bag(tmp_path / "data", tmp_path / "bag", SCENE)
    images = rows_of(generated, "CAM_FRONT")
    key_frames = [row for row in images if row["is_key_frame"]]
    assert summary.messages["/CAM_FRONT/image_rect_compressed"] == len(key_frames)
    assert summary.messages["/CAM_FRONT/camera_info"] == len(key_frames)
    assert images[1]["filename"] in summary.missing
    assert f"skipped {len(summary.missing)} missing files" in str(summary)


def test_a_scene_without_any_file_is_an_error(generated: Path, tmp_path: Path) -> None:
    for folder in ("v1.0-mini", "maps"):
        shutil.copytree(generated / folder, tmp_path / "data" / folder)
    with pytest.raises(InputError, match=r"holds none of the \d+ files of scene-0001, such as s"):
        write_bag(tmp_path / "data", tmp_path / "bag", SCENE)


def test_a_damaged_file_is_named_and_leaves_nothing_behind(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "data")
    damaged = tmp_path / "data" / rows_of(generated, "RADAR_FRONT")[2]["filename"]
    damaged.write_bytes(damaged.read_bytes()[:500])
    with pytest.raises(InputError, match=damaged.name):
        write_bag(tmp_path / "data", tmp_path / "bags" / "bag", SCENE)
    assert list((tmp_path / "bags").iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing_behind(generated: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bag(generated, tmp_path / "bag", SCENE, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_touched(generated: Path, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        write_bag(generated, tmp_path, SCENE)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_file_in_the_folders_way_is_named_before_the_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=f"{tmp_path / 'file'} is a file; choose another folder"):
        write_bag(tmp_path / "no data", tmp_path / "file" / "bag", SCENE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scene": "scene-9999"}, "no scene scene-9999; there are scene-0001"),
        ({"scene": SCENE, "version": "v1.0-test"}, "v1.0-test: no such folder"),
        ({"scene": SCENE, "sensors": ["CAM_BACK"]}, "there are CAM_FRONT, LIDAR_TOP, RADAR_FRONT"),
        ({"scene": SCENE, "storage": "zip"}, "choose from mcap, sqlite3"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(
    generated: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_bag(generated, tmp_path / "bag", **arguments)


def test_the_version_must_be_clear(generated: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder v1\.0-\*"):
        write_bag(tmp_path, tmp_path / "bag", SCENE)
    for version in ("v1.0-mini", "v1.0-test"):
        shutil.copytree(generated / "v1.0-mini", tmp_path / version)
    with pytest.raises(InputError, match=r"v1\.0-mini, v1\.0-test; choose one with --version"):
        write_bag(tmp_path, tmp_path / "bag", SCENE)


def test_incomplete_tables_are_named(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "data")
    (tmp_path / "data/v1.0-mini/ego_pose.json").unlink()
    with pytest.raises(InputError, match=r"not a complete nuScenes data set .*ego_pose\.json"):
        write_bag(tmp_path / "data", tmp_path / "bag", SCENE)


def test_two_calibrations_of_one_sensor_are_refused(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "data")
    tables = tmp_path / "data/v1.0-mini"
    calibrations = json.loads((tables / "calibrated_sensor.json").read_text())
    measurements = json.loads((tables / "sample_data.json").read_text())
    calibrations.append(calibrations[0] | {"token": "other"})
    first = calibrations[0]["token"]
    (row, *_) = [row for row in measurements if row["calibrated_sensor_token"] == first]
    row["calibrated_sensor_token"] = "other"
    (tables / "calibrated_sensor.json").write_text(json.dumps(calibrations))
    (tables / "sample_data.json").write_text(json.dumps(measurements))
    with pytest.raises(InputError, match="more than one calibration"):
        write_bag(tmp_path / "data", tmp_path / "bag", SCENE)


def test_radar_filters_that_someone_set_neither_apply_nor_change(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RadarPointCloud, "dynprop_states", [2])
    write_bag(generated, tmp_path / "bag", SCENE, sensors=["RADAR_FRONT"])
    assert RadarPointCloud.dynprop_states == [2]
    moving_states = {
        int(state)
        for topic, _, cloud in read(tmp_path / "bag")
        if topic == "/RADAR_FRONT"
        for state in np.frombuffer(cloud.data, np.int8).reshape(-1, 43)[:, 12]
    }
    assert 1 in moving_states


def test_the_command_prints_what_it_wrote(
    generated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_PERIOD", 0)
    parser = argparse.ArgumentParser()
    bag.add_arguments(parser)
    out = tmp_path / "bag"
    arguments = [str(generated), str(out), "--scene", SCENE, "--sensors", "CAM_FRONT"]
    assert bag.run(parser.parse_args(arguments)) == 0
    printed = capsys.readouterr()
    assert str(out) in printed.out
    assert "5 topics" in printed.out
    assert printed.err.splitlines() == [f"{done} of 8 measurements" for done in range(1, 9)]
