"""`lircdepth prepare` against the slow implementation, the exact depth, and bad input."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
from annotated_drive import edit_table
from process_group import wait_for_its_end
from slow_samples import SlowSample

from lircdepth_core import cli, progress
from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.prepare import PrepareOptions, prepare
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_maker import SampleMaker
from lircdepth_core.dataset.shards import read_samples
from lircdepth_core.errors import InputError
from lircdepth_core.sole_process import sole_process

SCENE = "scene-0001"


def prepared(root: Path, out: Path, **options) -> list[Sample]:
    summary = prepare(root, out, PrepareOptions(**options))
    assert not summary.skipped
    samples = list(read_samples(out))
    assert samples
    return samples


def tree(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def stored(depth: np.ndarray) -> np.ndarray:
    """As the table says: depth x 256 truncated."""
    return (depth * 256).astype(np.int64)


def test_equal_to_the_slow_implementation(annotated, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(annotated, root)
    for scan in root.glob("s*/LIDAR_TOP/*"):
        np.fromfile(scan, np.float32).reshape(-1, 5)[::5].tofile(scan)
    sample = prepared(root, tmp_path / "out", sweeps=1)[0]
    slow = SlowSample(open_dataset(root), sample.key.split("/")[1])

    radar = slow.radar()
    assert len(radar) > 50
    assert set(radar[:, 6]) == {0, 1, 2, 3}
    np.testing.assert_allclose(sample.radar, radar, atol=2e-5)
    np.testing.assert_allclose(sample.boxes, slow.boxes()[1], atol=1e-4)

    np.testing.assert_array_equal(stored(sample.single_scan), stored(slow.single_scan()))
    accumulated = slow.accumulated(sweeps=1)
    assert (accumulated > 0).sum() > 1.5 * (sample.single_scan > 0).sum()
    np.testing.assert_array_equal(stored(sample.accumulated), stored(accumulated))
    np.testing.assert_array_equal(stored(sample.dense), stored(slow.dense(accumulated)))


def phantoms(sample: Sample) -> int:
    """Pixels with a depth well before anything that is there now."""
    nearest = cv2.erode(sample.exact, np.ones((3, 3)))
    return int(((sample.accumulated > 0) & (sample.accumulated < 0.95 * nearest - 0.5)).sum())


def test_moving_things_leave_no_trail(annotated, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(annotated, bare)
    for table in ("sample_annotation", "instance"):
        edit_table(bare, table, lambda rows: rows.clear())
    with_boxes = prepared(annotated, tmp_path / "with", sweeps=16, leave_out=("dense",))
    without = prepared(bare, tmp_path / "without", sweeps=16, leave_out=("dense",))
    assert sum(map(phantoms, without)) > 300
    assert sum(map(phantoms, with_boxes)) < 0.1 * sum(map(phantoms, without))


@pytest.mark.parametrize("leave_out", [["dense"], ["accumulated", "dense"]])
def test_scenes_without_annotations_are_told_once(leave_out, two_scenes, tmp_path, capsys):
    for table in ("sample_annotation", "instance"):
        edit_table(two_scenes, table, lambda rows: rows.clear())
    arguments = ["prepare", str(two_scenes), str(tmp_path / "out"), "--workers", "1"]
    assert cli.main([*arguments, "--sweeps", "1", "--leave-out", *leave_out]) == 0
    error = capsys.readouterr().err
    assert error.count("note: 2 scenes have no annotations") == ("accumulated" not in leave_out)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert index["annotated"] == {SCENE: False, "scene-0003": False}
    assert not any(sample.annotated for sample in read_samples(tmp_path / "out"))


def test_the_last_sample_of_a_scene_is_skipped_unless_asked_for(annotated, tmp_path):
    nusc = open_dataset(annotated)
    assert len(nusc.sample) == 4
    keys = [f"{SCENE}/{sample['token']}/CAM_FRONT" for sample in nusc.sample]
    some = prepared(annotated, tmp_path / "some", leave_out=("accumulated", "dense", "exact"))
    every = prepared(
        annotated, tmp_path / "all", leave_out=("accumulated", "dense"), keep_last=True
    )
    assert [sample.key for sample in some] == keys[:3]
    assert [sample.key for sample in every] == keys
    assert some[0].accumulated is some[0].dense is some[0].exact is None
    assert every[0].exact is not None


def test_without_sweeps_the_single_scan_is_what_is_accumulated(annotated, tmp_path):
    for sample in prepared(annotated, tmp_path / "out", sweeps=0):
        np.testing.assert_array_equal(sample.accumulated, sample.single_scan)


def test_masks_say_what_is_movable(annotated, tmp_path):
    masks = tmp_path / "masks" / "CAM_FRONT"
    masks.mkdir(parents=True)

    def write(value: int) -> None:
        for image in annotated.glob("s*/CAM_FRONT/*.jpg"):
            cv2.imwrite(str(masks / f"{image.stem}.png"), np.full((180, 320), value, np.uint8))

    options = {"sweeps": 5, "masks": tmp_path / "masks", "leave_out": ("dense",)}
    write(255)
    for sample in prepared(annotated, tmp_path / "all", **options):
        np.testing.assert_array_equal(sample.accumulated, sample.single_scan)
    write(0)
    for sample in prepared(annotated, tmp_path / "none", **options):
        assert (sample.accumulated > 0).sum() > 2 * (sample.single_scan > 0).sum()

    next(masks.iterdir()).unlink()
    summary = prepare(annotated, tmp_path / "missing", PrepareOptions(**options))
    assert str(masks) in summary.skipped[SCENE]


def test_one_and_two_workers_write_the_same(two_scenes, tmp_path):
    options = PrepareOptions(sweeps=1)
    prepare(two_scenes, tmp_path / "one", options, workers=1)
    prepare(two_scenes, tmp_path / "two-workers", options, workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two-workers")
    assert len(tree(tmp_path / "one")) == 2 * 2 + 1


def test_ray_writes_the_same(two_scenes, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    options = PrepareOptions(sweeps=1)
    prepare(two_scenes, tmp_path / "one", options)
    prepare(two_scenes, tmp_path / "ray", options, engine="ray")
    assert tree(tmp_path / "one") == tree(tmp_path / "ray")


def test_ray_does_not_report_how_it_is_used(annotated, tmp_path, monkeypatch):
    """It would, over the network; a stand-in for it, which runs everything at once."""
    asked: list[str | None] = []
    ray = ModuleType("ray")
    ray.__dict__.update(
        is_initialized=lambda: False,
        init=lambda **_: asked.append(os.environ.get("RAY_USAGE_STATS_ENABLED")),
        remote=lambda function: SimpleNamespace(remote=function),
        wait=lambda waiting: (waiting[:1], waiting[1:]),
        get=list,
        shutdown=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    options = PrepareOptions(sweeps=1, leave_out=("accumulated", "dense"))
    for number, chosen in enumerate((None, "1")):
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")  # is put back at the end
        if chosen is None:
            monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
        prepare(annotated, tmp_path / str(number), options, engine="ray")
        assert list((tmp_path / str(number)).glob("*.tar"))
    assert asked == ["0", "1"]


def test_a_worker_that_ray_loses_is_one_line(annotated, tmp_path, monkeypatch):
    class RayError(Exception):
        pass

    def lost(references):
        raise RayError("OutOfMemoryError\nof a node")

    ray = ModuleType("ray")
    ray.__dict__.update(
        is_initialized=lambda: True,
        remote=lambda function: SimpleNamespace(remote=lambda job: job),
        wait=lambda waiting: (waiting[:1], waiting[1:]),
        get=lost,
        exceptions=SimpleNamespace(RayError=RayError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InputError, match=r"ray lost a worker \(OutOfMemoryError\).*; run again"):
        prepare(annotated, tmp_path / "out", engine="ray")


def test_without_ray_the_engine_says_what_to_install(annotated, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"'\.\[ray\]'"):
        prepare(annotated, tmp_path / "out", engine="ray")


KILLED = """
import os, signal, sys
from pathlib import Path
from lircdepth_core.dataset.prepare import PrepareOptions, prepare
from lircdepth_core.dataset.sample_maker import SampleMaker

original, calls = SampleMaker.files, []

def files(self, frame, channel):
    calls.append(frame)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, frame, channel)

SampleMaker.files = files
prepare(Path(sys.argv[1]), Path(sys.argv[2]), PrepareOptions(sweeps=1, leave_out=("dense",)))
"""


def test_a_killed_run_leaves_no_half_shard_and_goes_on(two_scenes, tmp_path):
    out, clean = tmp_path / "out", tmp_path / "clean"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(two_scenes), str(out)])
    assert killed.returncode == -signal.SIGKILL
    finished = out / f"{SCENE}-CAM_FRONT.tar"
    assert list(out.glob("*.tar")) == [finished]
    before = finished.stat()

    options = PrepareOptions(sweeps=1, leave_out=("dense",))
    assert not prepare(two_scenes, out, options).skipped
    after = finished.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    prepare(two_scenes, clean, options)
    assert tree(out) == tree(clean)


@pytest.mark.parametrize("whole_job", [False, True], ids=["parent", "all"])
def test_a_run_of_several_workers_that_is_killed_goes_on(whole_job, two_scenes, tmp_path):
    out, clean = tmp_path / "out", tmp_path / "clean"
    command = ["prepare", str(two_scenes), str(out), "--sweeps", "1", "--leave-out", "dense"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lircdepth_core.cli", *command, "--workers", "2"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not list(out.glob(".*.part")) and not list(out.glob("*.tar")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.001)
    (os.killpg if whole_job else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    wait_for_its_end(process.pid)  # a worker that still wrote would leave its shard

    options = PrepareOptions(sweeps=1, leave_out=("dense",))
    assert not prepare(two_scenes, out, options).skipped
    prepare(two_scenes, clean, options)
    assert tree(out) == tree(clean)


def test_a_scene_of_other_data_is_skipped_and_the_rest_goes_on(annotated, two_scenes, tmp_path):
    bare = PrepareOptions(leave_out=("accumulated", "dense", "exact"))
    out = tmp_path / "out"
    prepare(annotated, out, bare)
    before = (out / f"{SCENE}-CAM_FRONT.tar").read_bytes()
    conditions = {SCENE: {"weather": "rain"}}
    (two_scenes / "conditions.json").write_text(json.dumps(conditions))
    summary = prepare(two_scenes, out, bare)
    assert summary.scenes == ("scene-0003",)
    assert "other data" in summary.skipped[SCENE]
    assert (out / f"{SCENE}-CAM_FRONT.tar").read_bytes() == before
    index = json.loads((out / "index.json").read_text())
    assert (index["samples"], index["skipped"]) == (6, {})


@pytest.mark.parametrize(
    "options", [PrepareOptions(sweeps=0), PrepareOptions(leave_out=("accumulated", "dense"))]
)
def test_sweeps_that_are_not_merged_may_be_unpacked_later(options, annotated, tmp_path):
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(annotated, root)
    (root / "sweeps").rename(tmp_path / "not_yet")
    assert not prepare(root, out, options).skipped
    (tmp_path / "not_yet").rename(root / "sweeps")
    assert not prepare(root, out, options).skipped


def test_a_file_that_opens_and_cannot_be_read_is_named(two_scenes, tmp_path):
    for channel in ("CAM_FRONT", "RADAR_FRONT", "LIDAR_TOP"):
        root = tmp_path / channel
        shutil.copytree(two_scenes, root)
        name = spoil_file(channel, b"")(root)
        damaged = root / "samples" / channel / name
        damaged.unlink()
        damaged.symlink_to("/proc/self/mem")  # reading it is an input/output error
        skipped = prepare(root, tmp_path / f"{channel}-out").skipped
        assert f"{name}: Input/output error" in skipped["scene-0003"]


def test_a_fault_leaves_an_index_of_what_is_complete(two_scenes, tmp_path, monkeypatch):
    def files(self: SampleMaker, frame: object, channel: str) -> dict[str, bytes]:
        if self._scene.name == SCENE:
            return original(self, frame, channel)
        raise ZeroDivisionError

    original = SampleMaker.files
    monkeypatch.setattr(SampleMaker, "files", files)
    with pytest.raises(ZeroDivisionError):
        prepare(two_scenes, tmp_path / "out", PrepareOptions(leave_out=("accumulated", "dense")))
    assert len(list(read_samples(tmp_path / "out"))) == 3


def test_other_options_do_not_mix_in_one_folder(annotated, two_scenes, tmp_path):
    out = tmp_path / "out"
    prepare(annotated, out, PrepareOptions(sweeps=0))
    for scene in (SCENE, "scene-0003"):
        with pytest.raises(InputError, match="other options"):
            prepare(two_scenes, out, PrepareOptions(sweeps=1), scenes=[scene])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="something else"):
        prepare(annotated, elsewhere)


def test_splits_and_lists_of_scenes(two_scenes, tmp_path):
    """nuScenes' scene-0001 is a training scene, scene-0003 one for validation."""
    bare = PrepareOptions(leave_out=("accumulated", "dense", "exact"))
    with pytest.raises(InputError, match="not nuScenes itself"):
        prepare(two_scenes, tmp_path / "chance", bare, split="train")
    edit_table(two_scenes, "log", lambda rows: rows[0].update(location="boston-seaport"))
    for name, choice, scenes in (
        ("train", {"split": "train"}, (SCENE,)),
        ("val", {"split": "val"}, ("scene-0003",)),
        ("list", {"scenes": ["scene-0003"]}, ("scene-0003",)),
        ("all", {}, (SCENE, "scene-0003")),
    ):
        assert prepare(two_scenes, tmp_path / name, bare, **choice).scenes == scenes
    for choice in ({"split": "mini_val"}, {"scenes": ["scene-0002"]}):
        with pytest.raises(InputError, match="no scene"):
            prepare(two_scenes, tmp_path / "none", bare, **choice)


def spoil_file(channel: str, content: bytes | None):
    """Give the second scene a damaged file of its own for its second sample; None: no file."""

    def spoil(root: Path) -> str:
        samples = [
            row["token"]
            for row in json.loads((root / "v1.0-mini" / "sample.json").read_text())
            if row["token"].endswith("+scene-0003")
        ]
        suffix = {"CAM": ".jpg", "RAD": ".pcd", "LID": ".pcd.bin"}[channel[:3]]
        name = f"samples/{channel}/damaged{suffix}"
        if content is not None:
            (root / name).write_bytes(content)

        def change(rows: list[dict]) -> None:
            for row in rows:
                if row["sample_token"] == samples[1] and f"samples/{channel}/" in row["filename"]:
                    row["filename"] = name

        edit_table(root, "sample_data", change)
        return f"damaged{suffix}"

    return spoil


def take_radar_away(root: Path) -> str:
    def change(rows: list[dict]) -> None:
        rows[:] = [
            row
            for row in rows
            if not (row["token"].endswith("+scene-0003") and "RADAR" in row["filename"])
        ]

    edit_table(root, "sample_data", change)
    return "no RADAR_FRONT"


def dangling_pose(root: Path) -> str:
    def change(rows: list[dict]) -> None:
        rows[:] = [row for row in rows if not row["token"].endswith("+scene-0003")]

    edit_table(root, "ego_pose", change)
    return "refer to"


def no_rotation(root: Path) -> str:
    def change(rows: list[dict]) -> None:
        for row in rows:
            if row["token"].endswith("+scene-0003"):
                row["rotation"] = [0, 0, 0, 0]

    edit_table(root, "ego_pose", change)
    return "is no pose"


WHOLE_IMAGE = cv2.imencode(".jpg", np.zeros((180, 320, 3), np.uint8))[1].tobytes()
SMALL_IMAGE = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil_file("RADAR_FRONT", b"# .PCD v0.7\nhalf a hea"), id="radar"),
        pytest.param(spoil_file("LIDAR_TOP", b"123"), id="lidar"),
        pytest.param(spoil_file("LIDAR_TOP", b""), id="empty lidar"),
        pytest.param(spoil_file("LIDAR_TOP", np.ones((16_000, 5), "<f4").tobytes()), id="cut off"),
        pytest.param(spoil_file("LIDAR_TOP", None), id="missing lidar"),
        pytest.param(spoil_file("CAM_FRONT", b"GIF"), id="image"),
        pytest.param(spoil_file("CAM_FRONT", WHOLE_IMAGE[:-200]), id="cut off image"),
        pytest.param(spoil_file("CAM_FRONT", SMALL_IMAGE), id="image size"),
        pytest.param(take_radar_away, id="no radar"),
        pytest.param(dangling_pose, id="dangling token"),
        pytest.param(no_rotation, id="no rotation"),
    ],
)
def test_a_bad_scene_is_skipped_in_one_line_and_the_rest_is_complete(
    spoil, two_scenes, tmp_path, capsys
):
    words = spoil(two_scenes)
    out = tmp_path / "out"
    arguments = ["prepare", str(two_scenes), str(out), "--leave-out", "dense", "--sweeps", "1"]
    assert cli.main([*arguments, "--workers", "1"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("skipped scene-0003: ")
    assert not error.startswith("skipped scene-0003: scene-0003")
    assert words in error
    assert {sample.scene for sample in read_samples(out)} == {SCENE}
    assert len(list(read_samples(out))) == 3
    assert words in json.loads((out / "index.json").read_text())["skipped"]["scene-0003"]
    assert sorted(tree(out)) == ["index.json", f"{SCENE}-CAM_FRONT.tar", f"{SCENE}.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cameras", "CAM_BACK"], "no camera CAM_BACK; there are CAM_FRONT"),
        (["--cameras", "CAM_FORNT"], "no camera CAM_FORNT; there are CAM_FRONT"),
        (["--radars", "RADAR_FORNT"], "no radar RADAR_FORNT; there are RADAR_FRONT"),
        (["--radars", "LIDAR_TOP"], "no radar LIDAR_TOP"),
        (["--scenes", "scene-9999"], "scene-9999"),
        (["--radars", "RADAR_FRONT", "RADAR_FRONT"], "radars RADAR_FRONT RADAR_FRONT: give each"),
        (["--cameras", "CAM_FRONT", "CAM_FRONT"], "cameras CAM_FRONT CAM_FRONT: give each once"),
        (["--masks", "/nope"], "/nope: no such folder; --masks takes"),
        (["--masks", "."], "/CAM_FRONT: no such folder; --masks takes"),
        (["--sweeps", "-1"], "--sweeps"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_status_2(
    arguments, words, annotated, tmp_path, capsys
):
    assert cli.main(["prepare", str(annotated), str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error
    assert not (tmp_path / "out").exists()


def test_a_scene_that_would_lie_where_the_index_does_is_refused(two_scenes, tmp_path, capsys):
    edit_table(two_scenes, "scene", lambda rows: rows[-1].update(name="index"))
    assert cli.main(["prepare", str(two_scenes), str(tmp_path / "out")]) == 2
    assert "scene 'index' cannot name a file; rename it" in capsys.readouterr().err


def test_two_processes_do_not_work_in_one_folder(annotated, tmp_path, capsys):
    part = tmp_path / ".scene-0001-CAM_FRONT.tar.part"
    part.write_bytes(b"the other's")
    with sole_process(tmp_path):
        assert cli.main(["prepare", str(annotated), str(tmp_path)]) == 2
        assert "another process works there; wait for it" in capsys.readouterr().err
        assert part.exists()


def test_a_hidden_file_of_others_stays(annotated, tmp_path):
    mine, abandoned = tmp_path / ".notes.part", tmp_path / ".scene-0009-CAM_FRONT.tar.part"
    mine.write_text("mine")
    abandoned.write_text("")
    prepare(annotated, tmp_path)
    assert mine.read_text() == "mine"
    assert not abandoned.exists()


def test_a_folder_that_cannot_be_is_said_before_the_tables_are_read(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert cli.main(["prepare", str(tmp_path / "no data"), str(out)]) == 2
        error = capsys.readouterr().err
        assert f"{out}: cannot be made, {tmp_path / 'file'} is a file; choose another" in error
        assert error.count("\n") == 1


def test_where_stderr_is_no_terminal_progress_is_lines(two_scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PLAIN_PERIOD", 0)
    arguments = ["prepare", str(two_scenes), str(tmp_path / "out"), "--workers", "1"]
    assert cli.main([*arguments, "--leave-out", "accumulated", "dense"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "0 of 2 scenes",
        "1 of 2 scenes, scene-0001 done",
        "2 of 2 scenes, scene-0003 done",
    ]


def test_the_help_says_what_the_exit_status_means(capsys):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "1 if some were skipped" in text
    assert "2 if nothing could be done" in text


def test_a_missing_table_is_one_line_and_status_2(two_scenes, tmp_path, capsys):
    (two_scenes / "v1.0-mini" / "ego_pose.json").unlink()
    assert cli.main(["prepare", str(two_scenes), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "ego_pose.json" in error


def test_a_list_without_scenes_is_said(annotated, tmp_path, capsys):
    (tmp_path / "scenes.txt").write_text("\n\n")
    arguments = ["prepare", str(annotated), str(tmp_path / "out"), "--scenes"]
    assert cli.main([*arguments, str(tmp_path / "scenes.txt")]) == 2
    assert "scenes.txt: names no scene" in capsys.readouterr().err
    (tmp_path / "scenes.txt").write_bytes("scene-0001 für".encode("latin-1"))
    assert cli.main([*arguments, str(tmp_path / "scenes.txt")]) == 2
    error = capsys.readouterr().err
    assert "scenes.txt: not UTF-8; give one scene's name per line" in error
    assert error.count("\n") == 1


def test_conditions_go_along(two_scenes, tmp_path):
    conditions = {SCENE: {"weather": "rain", "light": "dusk"}}
    (two_scenes / "conditions.json").write_text(json.dumps(conditions))
    bare = PrepareOptions(leave_out=("accumulated", "dense", "exact"))
    prepare(two_scenes, tmp_path / "out", bare)
    found = {sample.scene: sample.conditions for sample in read_samples(tmp_path / "out")}
    assert found == {**conditions, "scene-0003": {}}


def test_the_index_counts_and_hashes_the_shards(shards):
    index = json.loads((shards / "index.json").read_text())
    assert index["samples"] == 9
    assert set(index["annotated"].values()) == {True}
    for shard in index["shards"]:
        data = (shards / shard["file"]).read_bytes()
        assert (shard["samples"], shard["bytes"]) == (3, len(data))
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
