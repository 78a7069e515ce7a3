"""The data set that `lircdepth drive` writes, as the official devkit and an interruption see it.

The worlds are tiny and rendered by ray casting, so no graphics library is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from process_group import wait_for_its_end
from tiny_world import EGO_SPEED, MAKERS, tiny_world

from lircdepth_core import progress
from lircdepth_core.cli import main
from lircdepth_core.dataset.bag import write_bag
from lircdepth_core.dataset.devkit import read_lidar, read_radar, stamp_of
from lircdepth_core.drive import drive_writer
from lircdepth_core.drive.camera_renderer import CameraRenderer
from lircdepth_core.drive.drive_settings import MOST_SCENES, DriveSettings
from lircdepth_core.drive.drive_writer import VERSION, write_drive
from lircdepth_core.drive.exact_depth import read_depth
from lircdepth_core.drive.sensor_rig import CAMERAS, RADARS
from lircdepth_core.errors import InputError
from lircdepth_core.sole_process import sole_process

SMALL = DriveSettings(
    seed=5,
    duration=0.5,
    cameras=("CAM_FRONT",),
    radars=("RADAR_FRONT",),
    width=64,
    height=36,
)


@pytest.fixture(scope="module")
def nusc(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    """Two scenes of all sensors."""
    root = tmp_path_factory.mktemp("drive")
    settings = DriveSettings(seed=5, duration=1.4, width=320, height=180, weather="clear")
    write_drive(root, settings, scenes=2, workers=1, makers=MAKERS)
    return NuScenes(VERSION, str(root), verbose=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small scene; not to be changed."""
    root = tmp_path_factory.mktemp("made") / "drive"
    write_drive(root, SMALL, scenes=1, workers=1, makers=MAKERS)
    return root


@pytest.fixture
def small(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "small"))


def rows(nusc: NuScenes, channel: str, scene: int = 0) -> list[dict]:
    """All measurements of a sensor in a scene."""
    log = nusc.get("log", nusc.scene[scene]["log_token"])["logfile"]
    found = [
        r for r in nusc.sample_data if r["channel"] == channel and f"/{log}__" in r["filename"]
    ]
    return sorted(found, key=lambda row: row["timestamp"])


def chain(nusc: NuScenes, row: dict) -> tuple[np.ndarray, np.ndarray]:
    """global_from_sensor (4, 4) and global_from_ego of a measurement, from the tables."""
    matrices = []
    for table, token in (
        ("ego_pose", row["ego_pose_token"]),
        ("calibrated_sensor", row["calibrated_sensor_token"]),
    ):
        pose = nusc.get(table, token)
        matrix = Quaternion(pose["rotation"]).transformation_matrix
        matrix[:3, 3] = pose["translation"]
        matrices.append(matrix)
    return matrices[0] @ matrices[1], matrices[0]


def digests(root: Path) -> dict[str, str]:
    """Every file of the data set, without the writer's own state."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".drive" not in path.parts
    }


def test_the_devkit_loads_it_and_every_token_and_file_is_there(nusc: NuScenes) -> None:
    assert [scene["name"] for scene in nusc.scene] == ["scene-0001", "scene-0002"]
    assert {row["channel"] for row in nusc.sample_data} == {*CAMERAS, *RADARS, "LIDAR_TOP"}
    for table in nusc.table_names:
        for row in getattr(nusc, table):
            for field, value in row.items():
                if not field.endswith(("_token", "_tokens", "prev", "next")) or not value:
                    continue
                name = field.removesuffix("_tokens").removesuffix("_token")
                name = table if name in ("prev", "next") else name
                name = name.split("first_")[-1].split("last_")[-1]
                name = "sample_annotation" if name == "annotation" else name
                for token in value if isinstance(value, list) else [value]:
                    assert nusc.get(name, token)
    for row in nusc.sample_data:
        assert (Path(nusc.dataroot) / row["filename"]).is_file()
    for row in nusc.sample_data + nusc.sample_annotation:
        if row["next"]:
            table = "sample_data" if "filename" in row else "sample_annotation"
            assert nusc.get(table, row["next"])["prev"] == row["token"]
    listed = {row["filename"] for row in nusc.sample_data}
    assert len(listed) == len(nusc.sample_data)
    on_disk = [*Path(nusc.dataroot).glob("s*/*/*")]
    assert len(on_disk) == len(listed)


def test_the_devkit_draws_it(nusc: NuScenes, tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    sample = nusc.sample[0]
    for channel in ("CAM_FRONT", "RADAR_FRONT", "LIDAR_TOP"):
        picture = tmp_path / f"{channel}.png"
        nusc.render_sample_data(sample["data"][channel], out_path=str(picture), verbose=False)
        assert picture.stat().st_size > 5000
    for channel in ("RADAR_FRONT", "LIDAR_TOP"):
        picture = tmp_path / f"{channel}_in_image.png"
        nusc.render_pointcloud_in_image(
            sample["token"], pointsensor_channel=channel, out_path=str(picture), verbose=False
        )
        assert picture.stat().st_size > 5000


def test_sensors_keep_their_rates_stamps_and_poses(nusc: NuScenes) -> None:
    phases = set()
    for channel, rate in {
        **dict.fromkeys(CAMERAS, 12),
        **dict.fromkeys(RADARS, 13),
        "LIDAR_TOP": 20,
    }.items():
        found = rows(nusc, channel)
        stamps = np.array([row["timestamp"] for row in found])
        np.testing.assert_allclose(np.diff(stamps), 1e6 / rate, atol=1)
        assert np.ptp(stamps) > 1.4e6 - 3e6 / rate
        for row in found[:3]:
            pose = nusc.get("ego_pose", row["ego_pose_token"])
            assert pose["timestamp"] == row["timestamp"]
            way = (row["timestamp"] - stamps[0]) * 1e-6 * EGO_SPEED
            start = nusc.get("ego_pose", found[0]["ego_pose_token"])["translation"][0]
            assert pose["translation"][0] == pytest.approx(start + way, abs=1e-6)
        keys = [row for row in found if row["is_key_frame"]]
        samples = [nusc.get("sample", row["sample_token"])["timestamp"] for row in keys]
        assert np.diff(samples).tolist() == [500_000] * 2
        phases.add(keys[0]["timestamp"] - samples[0])
        assert np.ptp([row["timestamp"] - s for row, s in zip(keys, samples, strict=True)]) < 8e4
    # Lidar stands for the sample; every other sensor has a time of its own.
    assert 0 in phases
    assert len(phases) == 12


def test_cameras_are_mounted_as_in_nuscenes(nusc: NuScenes) -> None:
    for channel, heading, focal in (
        ("CAM_FRONT", 0, 1266),
        ("CAM_FRONT_LEFT", 55, 1273),
        ("CAM_BACK", 180, 809),
        ("CAM_BACK_RIGHT", -111, 1260),
    ):
        row = rows(nusc, channel)[0]
        calibration = nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
        axis = Quaternion(calibration["rotation"]).rotate([0, 0, 1])
        expected = [np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading)), 0]
        np.testing.assert_allclose(axis, expected, atol=1e-9)
        K = np.array(calibration["camera_intrinsic"])
        assert K[0, 0] == pytest.approx(focal / 5)
        assert K[:2, 2] == pytest.approx((np.array([816, 491]) + 0.5) / 5 - 0.5)
        assert cv2.imread(str(Path(nusc.dataroot) / row["filename"])).shape == (180, 320, 3)


def test_accumulated_lidar_agrees_with_exact_depth_of_what_stands(nusc: NuScenes) -> None:
    front = rows(nusc, "CAM_FRONT")[8]
    camera, _ = chain(nusc, front)
    depth = read_depth(Path(nusc.dataroot), front["filename"])
    points = []
    for row in rows(nusc, "LIDAR_TOP"):
        pose, _ = chain(nusc, row)
        cloud = LidarPointCloud.from_file(nusc.get_sample_data_path(row["token"])).points[:3]
        points.append(pose[:3, :3] @ cloud + pose[:3, 3:])
    here = camera[:3, :3].T @ (np.concatenate(points, axis=1) - camera[:3, 3:])
    # Walls left and right, above the cars, and the wall at the end: nothing moves there.
    here = here[:, (here[2] > 25) & (here[2] < 60) & (here[1] < -1)]
    K = np.array(
        nusc.get("calibrated_sensor", front["calibrated_sensor_token"])["camera_intrinsic"]
    )
    u, v, _ = (K @ here / here[2]).astype(np.float32)
    inside = (u >= 0) & (u < 319) & (v >= 0) & (v < 179)
    # Between pixels it is the inverse depth of a plane that is linear.
    truth = 1 / cv2.remap(1 / depth, u[inside], v[inside], cv2.INTER_LINEAR)[:, 0]
    error = np.abs(truth - here[2, inside])
    assert inside.sum() > 2000
    assert np.median(error) < 0.03


def test_radar_returns_agree_with_exact_depth_through_the_devkits_chain(nusc: NuScenes) -> None:
    # The devkit's default filters drop most clutter and ghosts.
    errors = []
    for sample in nusc.sample:
        data = sample["data"]
        uv, depth, _ = nusc.explorer.map_pointcloud_to_image(data["RADAR_FRONT"], data["CAM_FRONT"])
        truth = read_depth(
            Path(nusc.dataroot), nusc.get("sample_data", data["CAM_FRONT"])["filename"]
        )
        column, row = np.round(uv[:2]).astype(int)
        patch = truth[
            row + np.arange(-2, 3)[:, None, None],
            np.clip(column + np.arange(-4, 5)[None, :, None], 0, 319),
        ]
        in_sight = patch.max(axis=(0, 1)) > depth - 2
        errors.append(np.abs(patch - depth).min(axis=(0, 1))[in_sight])
    error = np.concatenate(errors)
    assert len(error) > 50
    # The rest is clutter and ghosts.
    assert np.median(error) < 0.3
    assert np.mean(error < 1.0) > 0.8


def test_boxes_hold_as_many_points_as_the_tables_say(nusc: NuScenes) -> None:
    for annotation in nusc.sample_annotation:
        sample = nusc.get("sample", annotation["sample_token"])
        counts = {"lidar": 0, "radar": 0}
        for channel, token in sample["data"].items():
            if channel.startswith("CAM"):
                continue
            path, boxes, _ = nusc.get_sample_data(token, selected_anntokens=[annotation["token"]])
            cloud = (read_radar if channel.startswith("RADAR") else read_lidar)(Path(path))
            points = np.stack([cloud[axis] for axis in "xyz"]).astype(np.float64)
            counts["radar" if channel.startswith("RADAR") else "lidar"] += points_in_box(
                boxes[0], points
            ).sum()
        assert annotation["num_lidar_pts"] == counts["lidar"]
        assert annotation["num_radar_pts"] == counts["radar"]
    assert sum(a["num_lidar_pts"] for a in nusc.sample_annotation) > 300
    assert sum(a["num_radar_pts"] for a in nusc.sample_annotation) > 30


def test_instances_go_on_over_the_samples(nusc: NuScenes) -> None:
    assert len(nusc.instance) >= 8
    for instance in nusc.instance:
        token, stamps = instance["first_annotation_token"], []
        while token:
            annotation = nusc.get("sample_annotation", token)
            assert annotation["instance_token"] == instance["token"]
            stamps.append(nusc.get("sample", annotation["sample_token"])["timestamp"])
            token = annotation["next"]
        assert len(stamps) == instance["nbr_annotations"]
        assert (np.diff(stamps) == 500_000).all()
    speeds = {
        round(float(np.linalg.norm(nusc.box_velocity(a["token"]))), 3)
        for a in nusc.sample_annotation
        if nusc.get("instance", a["instance_token"])["nbr_annotations"] > 1
    }
    assert speeds == {0.0, 8.0, 10.0, 12.0}


def test_conditions_and_depth_stand_beside_the_folders(nusc: NuScenes) -> None:
    root = Path(nusc.dataroot)
    conditions = json.loads((root / "conditions.json").read_text())
    assert sorted(conditions) == ["scene-0001", "scene-0002"]
    for one in conditions.values():
        assert one["weather"] == "clear"
        assert one["light"] in ("day", "dusk", "night")
    images = [row for row in nusc.sample_data if row["channel"].startswith("CAM")]
    assert len([*root.glob("depth/*/*.npz")]) == len(images)
    depth = read_depth(root, images[0]["filename"])
    assert (depth.dtype, depth.shape) == (np.float32, (180, 320))
    assert np.isinf(depth).any()
    assert depth.min() > 1


def test_a_bag_can_be_made_of_it(nusc: NuScenes, tmp_path: Path) -> None:
    summary = write_bag(
        Path(nusc.dataroot), tmp_path / "bag", "scene-0002", sensors=["CAM_FRONT", "RADAR_FRONT"]
    )
    assert summary.missing == ()
    assert summary.messages["/RADAR_FRONT"] == len(rows(nusc, "RADAR_FRONT", 1))
    assert summary.messages["/CAM_FRONT/image_rect_compressed"] == len(rows(nusc, "CAM_FRONT", 1))


def test_sweeps_can_be_left_out_of_all_sensors_but_the_lidar(tmp_path: Path) -> None:
    settings = DriveSettings(duration=0.9, cameras=(), radars=("RADAR_FRONT",), sweeps="lidar")
    write_drive(tmp_path, settings, workers=1, makers=MAKERS)
    nusc = NuScenes(VERSION, str(tmp_path), verbose=False)
    key_frames = Counter(row["channel"] for row in nusc.sample_data if row["is_key_frame"])
    assert key_frames == {"LIDAR_TOP": 2, "RADAR_FRONT": 2}
    sweeps = Counter(row["channel"] for row in nusc.sample_data if not row["is_key_frame"])
    assert sweeps.keys() == {"LIDAR_TOP"}
    assert sweeps["LIDAR_TOP"] > 10


def test_only_key_frames_and_no_cameras_or_radars_can_be_asked_for(tmp_path: Path) -> None:
    settings = DriveSettings(duration=0.9, cameras=(), radars=(), sweeps="none")
    write_drive(tmp_path, settings, workers=1, makers=MAKERS)
    nusc = NuScenes(VERSION, str(tmp_path), verbose=False)
    assert [row["channel"] for row in nusc.sample_data] == ["LIDAR_TOP"] * 2
    assert not (tmp_path / "sweeps").exists() or not [*(tmp_path / "sweeps").rglob("*.*")]


def test_files_follow_from_the_seed_alone_and_scenes_differ(tmp_path: Path) -> None:
    # Five workers for two scenes: two share each scene's measurements.
    for name, seed, workers in (("a", 5, 1), ("b", 5, 5), ("c", 6, 1)):
        settings = replace(SMALL, seed=seed)
        write_drive(tmp_path / name, settings, scenes=2, workers=workers, makers=MAKERS)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert not set(first.values()) & {d for n, d in other.items() if n.endswith((".pcd", ".bin"))}
    sweeps = [d for n, d in first.items() if n.endswith(".bin")]
    assert len(set(sweeps)) == len(sweeps)


def test_scenes_can_be_added(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_drive(tmp_path / "a", SMALL, scenes=1, workers=1, makers=MAKERS)
    write_drive(
        tmp_path / "a",
        SMALL,
        scenes=2,
        workers=1,
        makers=MAKERS,
        progress=lambda done, total: steps.append((done, total)),
    )
    write_drive(tmp_path / "b", SMALL, scenes=2, workers=1, makers=MAKERS)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    # The scene that was there is not made again.
    assert steps[0][0] == steps[-1][1] // 2 + 1
    assert steps[-1][0] == steps[-1][1]


def test_the_last_scene_that_can_be_has_a_stamp_that_is_read() -> None:
    last = SMALL.scene_name(MOST_SCENES).start + round(120 * 1e6)  # the longest
    assert stamp_of("sample", {"token": "a", "timestamp": last}) == last
    after = SMALL.scene_name(MOST_SCENES + 1).start
    with pytest.raises(InputError, match="timestamp"):
        stamp_of("sample", {"token": "a", "timestamp": after})


def test_two_processes_do_not_work_in_one_folder(small: Path) -> None:
    with sole_process(small / ".drive"):
        (small / ".drive" / "scene-0002.part").mkdir()  # the other's
        with pytest.raises(InputError, match=r"\.drive: another process works there; wait for it"):
            write_drive(small, SMALL, scenes=2, workers=1, makers=MAKERS)
        assert (small / ".drive" / "scene-0002.part").exists()
    assert write_drive(small, SMALL, scenes=2, workers=1, makers=MAKERS) == 2


def test_a_killed_run_leaves_nothing_half_and_goes_on(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    write_drive(whole, SMALL, scenes=3, workers=1, makers=MAKERS)
    script = (
        "import sys\n"
        f"sys.path[:] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from tiny_world import MAKERS\n"
        "from lircdepth_core.drive.drive_settings import DriveSettings\n"
        "from lircdepth_core.drive.drive_writer import write_drive\n"
        "if __name__ == '__main__':\n"
        f"    write_drive(Path({str(killed)!r}), {SMALL!r}, scenes=3, workers=2, makers=MAKERS)\n"
    )
    (tmp_path / "run.py").write_text(script)
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], start_new_session=True)
    deadline = time.monotonic() + 60
    try:
        while not [*killed.glob(".drive/*.part/samples/LIDAR_TOP/*.bin")]:
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_for_its_end(process.pid)  # a worker that still wrote would leave its folder
    assert not (killed / VERSION).exists()
    write_drive(killed, SMALL, scenes=3, workers=1, makers=MAKERS)
    assert digests(killed) == digests(whole)
    assert not [*killed.glob(".drive/*.part")]


@pytest.mark.parametrize("cameras", [("CAM_FRONT",), ()], ids=["image", "lidar"])
def test_a_drive_that_does_not_fit_is_said_in_one_line_and_gone_on_with(
    cameras: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr(drive_writer, "street_makers", lambda: MAKERS)
    out = tmp_path / "drive"
    command = ["drive", str(out), "--duration", "0.5", "--size", "64x36", "--workers", "1"]
    command += ["--radars", "RADAR_FRONT", "--cameras", *cameras]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, before[1]))  # as a full disk
    try:
        status = main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err.splitlines()[-1]
    assert status == 2
    assert error.startswith(f"lircdepth drive: {out}")
    assert error.endswith("; free some space")
    assert not (out / VERSION).exists()
    assert main(command) == 0
    assert (out / VERSION).is_dir()


def test_scenes_are_completed_one_after_the_other(tmp_path: Path) -> None:
    """An interrupted run keeps what is complete; nothing would be if measuring came first."""
    complete_early = []

    def watch(done: int, total: int) -> None:
        if done < 0.8 * total:
            complete_early.extend(tmp_path.glob(".drive/scene-????/scene.json"))

    write_drive(tmp_path, SMALL, scenes=6, workers=2, makers=MAKERS, progress=watch)
    assert complete_early


def test_joining_can_be_broken_off(made: Path, small: Path) -> None:
    broken = small
    # As if killed when half of the files had been moved and no table written.
    shutil.rmtree(broken / VERSION)
    scene = broken / ".drive" / "scene-0001"
    (scene / "samples").mkdir(parents=True)
    shutil.move(broken / "samples" / "RADAR_FRONT", scene / "samples" / "RADAR_FRONT")
    shutil.move(broken / ".drive" / "scene-0001.json", scene / "scene.json")
    write_drive(broken, SMALL, scenes=1, workers=1, makers=MAKERS)
    assert digests(broken) == digests(made)


def test_joining_can_be_broken_off_before_its_last_step(made: Path, small: Path) -> None:
    (small / ".drive" / "scene-0001").mkdir()
    write_drive(small, SMALL, scenes=1, workers=1, makers=MAKERS)
    assert digests(small) == digests(made)


SMALL_OPTIONS = "--seed 5 --duration 0.5 --cameras CAM_FRONT --radars RADAR_FRONT --size 64x36"
SMALL_ARGUMENTS = [*SMALL_OPTIONS.split(), "--workers", "1"]


def test_the_command_prints_all_scenes_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_drive(tmp_path, SMALL, scenes=2, workers=1, makers=MAKERS)
    assert main(["drive", str(tmp_path), *SMALL_ARGUMENTS, "--scenes", "1"]) == 0
    assert "2 scenes of 0.5 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "remedy"),
    [
        ("settings.json", b'{"seed": 5, ', "choose another folder"),
        ("settings.json", b"\xff\xfe", "choose another folder"),
        ("settings.json", b"[" * 100_000, "choose another folder"),
        ("scene-0001.json", b"[" * 100_000, "remove {state}/scene-0001.json and"),
        ("scene-0001.json", b'{"rows": {"sam', "remove {state}/scene-0001.json and"),
        ("scene-0001.json", b"null", "remove {state}/scene-0001.json and"),
        (
            "scene-0001.json",
            b'{"rows": {"sample": [3]}, "conditions": {}}',
            "remove {state}/scene-0001.json and",
        ),
        ("scene-0002/scene.json", b"", "remove {state}/scene-0002 and"),
        ("scene-0002/scene.json", None, "remove {state}/scene-0002 and"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[:12],
)
def test_damaged_state_is_named_before_anything_is_made(
    file: str,
    content: bytes | None,
    remedy: str,
    small: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = digests(small)
    state = small / ".drive"
    (state / file).parent.mkdir(exist_ok=True)
    if content is not None:
        (state / file).write_bytes(content)
    # A third scene would be of a whole town, if one were made.
    assert main(["drive", str(small), *SMALL_ARGUMENTS, "--scenes", "3"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{state / file}: damaged" in error
    assert remedy.format(state=state) in error
    assert digests(small) == before


def test_a_damaged_scene_is_made_anew_when_it_is_removed(made: Path, small: Path) -> None:
    (small / ".drive" / "scene-0001.json").unlink()
    write_drive(small, SMALL, scenes=1, workers=1, makers=MAKERS)
    assert digests(small) == digests(made)


def test_where_stderr_is_no_terminal_progress_is_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_PERIOD", 0)
    monkeypatch.setattr(drive_writer, "street_makers", lambda: MAKERS)
    assert main(["drive", str(tmp_path), *SMALL_ARGUMENTS]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("1 of ")
    assert lines[-1] == f"{len(lines)} of {len(lines)} measurements"


def test_the_help_says_what_is_written_and_what_graphics_need(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["drive", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("exact depth", "conditions.json", "libegl1", "libgl1-mesa-dri"):
        assert words in text


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note").write_text("mine")
    (tmp_path / "file").write_text("no folder")
    for arguments, message in (
        ([str(tmp_path)], "is no generated drive"),
        ([str(tmp_path / "file")], "is no generated drive"),
        ([str(tmp_path / "file" / "x")], f"{tmp_path / 'file'} is a file; choose another folder"),
        ([str(tmp_path / "x"), "--scenes", "0"], "scenes 0: give 1 to 6593"),
        ([str(tmp_path / "x"), "--scenes", "6594"], "scenes 6594: give 1 to 6593"),
        ([str(tmp_path / "x"), "--workers", "0"], "workers 0"),
        ([str(tmp_path / "x"), "--duration", "0.1"], "duration 0.1"),
        ([str(tmp_path / "x"), "--seed", "-1"], "seed -1"),
        ([str(tmp_path / "x"), "--size", "4x4"], "size 4x4"),
        ([str(tmp_path / "x"), "--cameras", "CAM_TOP"], "no camera CAM_TOP; choose from CAM_FRONT"),
    ):
        assert main(["drive", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()
    with pytest.raises(SystemExit):
        main(["drive", str(tmp_path / "x"), "--size", "big"])
    error = capsys.readouterr().err
    assert "no size such as 1600x900" in error
    assert error.count("\n") == 1


def test_the_command_makes_a_town(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        CameraRenderer(tiny_world(), 16, 16).close()
    except InputError as error:
        pytest.skip(str(error))
    chosen = "--duration 0.4 --size 160x90 --cameras CAM_FRONT --radars RADAR_FRONT --seed 4"
    arguments = [*chosen.split(), "--workers", "1", "--weather", "rain", "--light", "night"]
    assert main(["drive", str(tmp_path), *arguments]) == 0
    assert "1 scene of 0.4 s" in capsys.readouterr().out
    nusc = NuScenes(VERSION, str(tmp_path), verbose=False)
    (sample,) = nusc.sample
    assert len(sample["anns"]) > 5
    assert nusc.scene[0]["description"] == "Generated: rain, night"
    front = nusc.get("sample_data", sample["data"]["CAM_FRONT"])
    depth = read_depth(tmp_path, front["filename"])
    uv, lidar, _ = nusc.explorer.map_pointcloud_to_image(
        sample["data"]["LIDAR_TOP"], sample["data"]["CAM_FRONT"], min_dist=3.0
    )
    column, row = np.round(uv[:2]).astype(int)
    near = lidar < 10
    assert near.sum() > 100
    # At this size a pixel of the road is up to a third of a metre deep.
    assert np.median(np.abs(depth[row, column] - lidar)[near]) < 0.15


def test_other_settings_and_versions_do_not_mix_with_what_is_there(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="other settings"):
        write_drive(small, DriveSettings(seed=6), workers=1, makers=MAKERS)
    path = small / ".drive" / "settings.json"
    settings = json.loads(path.read_text())
    del settings["format"]  # as the first versions wrote it
    path.write_text(json.dumps(settings))
    assert write_drive(small, SMALL, workers=1, makers=MAKERS) == 1
    monkeypatch.setattr(drive_writer, "DRIVE_FORMAT", 2)
    with pytest.raises(InputError, match="or by another version of this program; give the same"):
        write_drive(small, SMALL, workers=1, makers=MAKERS)
