"""What `lircdepth prepare`, `bag` and `predict` say of nuScenes tables that are damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from annotated_drive import add_scene, edit_table
from evaluation_rig import brightness_model
from simple_scene import SCENE, VERSION

from lircdepth_core.cli import main
from lircdepth_core.dataset.shards import read_samples
from lircdepth_core.inference import Predictor

Rows = list[dict]
Run = Callable[[str], tuple[int, str]]


@pytest.fixture
def root(annotated: Path, tmp_path: Path) -> Path:
    """A data set of two scenes whose tables can be changed."""
    root = tmp_path / "data"
    root.mkdir()
    shutil.copytree(annotated / VERSION, root / VERSION)
    for folder in annotated.iterdir():
        if folder.name != VERSION:
            (root / folder.name).symlink_to(folder)
    add_scene(root, "scene-0003")
    return root


@pytest.fixture
def run(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a verb on the data set; its status and its last line."""
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: brightness_model())
    token = json.loads((root / VERSION / "sample.json").read_text())[0]["token"]
    out = str(tmp_path / "out")
    arguments = {
        "prepare": [out, "--workers", "1", "--leave-out", "accumulated", "dense"],
        "bag": [out, "--scene", SCENE],
        "predict": ["--sample", token, "--out", out],
    }

    def run(verb: str) -> tuple[int, str]:
        status = main([verb, str(root), *arguments[verb]])
        error = capsys.readouterr().err.splitlines()
        return status, error[-1] if error else ""

    def too_long(*_: object) -> None:
        raise TimeoutError("it does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(30)
    yield run
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("verb", ["prepare", "bag", "predict"])
def test_whole_tables_are_no_error(verb: str, run: Run) -> None:
    assert run(verb)[0] == 0


@pytest.mark.parametrize("verb", ["prepare", "bag", "predict"])
@pytest.mark.parametrize("table", ["sample", "attribute"])
@pytest.mark.parametrize(
    "content",
    ["null", '{"a": 1}', "{}", "[1]", "[{", "\xff", "[" * 100_000],
    ids=["null", "object", "empty", "number", "cut", "bytes", "deep"],
)
def test_a_table_that_is_none_is_named(
    verb: str, table: str, content: str, root: Path, tmp_path: Path, run: Run
) -> None:
    path = root / VERSION / f"{table}.json"
    path.write_text(content, encoding="latin-1")
    assert run(verb) == (
        2,
        f"lircdepth {verb}: {path}: not a list of rows; unpack the tables again",
    )
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_a_pipe_is_not_waited_for(root: Path, run: Run) -> None:
    path = root / VERSION / "sample.json"
    path.unlink()
    os.mkfifo(path)
    assert run("bag")[1] == f"lircdepth bag: {path}: no regular file; unpack the tables again"


@pytest.mark.parametrize("verb", ["prepare", "bag", "predict"])
def test_what_the_devkit_alone_knows_is_passed_on(verb: str, root: Path, run: Run) -> None:
    edit_table(root, "map", lambda rows: [row.pop("log_tokens") for row in rows])
    status, error = run(verb)
    assert status == 2
    assert "not a complete nuScenes data set (Error: log_tokens not in map table" in error


def test_a_scene_whose_files_lie_elsewhere_is_skipped(root: Path, run: Run) -> None:
    edit_table(root, "sample_data", in_all("filename", "samples/../../x"))
    status, error = run("prepare")
    assert status == 1
    assert "lies outside the data set" in error


def in_all(field: str, value: object) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            row[field] = value

    return change


def without(field: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            del row[field]

    return change


def only_cameras(change: Callable[[Rows], None]) -> Callable[[Rows], None]:
    return lambda rows: change([row for row in rows if row["camera_intrinsic"]])


RAGGED = only_cameras(in_all("camera_intrinsic", [[1, 0, 0], [0, 1]]))
HUGE_MATRIX = only_cameras(in_all("camera_intrinsic", [[10**400, 0, 1], [0, 1, 1], [0, 0, 1]]))
NO_MATRIX = only_cameras(in_all("camera_intrinsic", "none"))


@pytest.mark.parametrize(
    ("verb", "table", "change", "words"),
    [
        ("bag", "scene", without("first_sample_token"), "'first_sample_token', which is not there"),
        ("bag", "scene", without("name"), "'name', which is not there"),
        ("bag", "scene", in_all("name", None), "no scene scene-0001; there are None"),
        ("prepare", "scene", without("name"), "'name', which is not there"),
        ("bag", "sample", without("next"), "'next', which is not there"),
        ("bag", "sample_data", in_all("timestamp", None), "timestamp None is none"),
        ("bag", "sample_data", in_all("timestamp", 10**16), "timestamp 10000000000000000 is none"),
        ("bag", "ego_pose", in_all("timestamp", None), "timestamp None is none"),
        ("bag", "ego_pose", lambda rows: rows.clear(), "which is not there"),
        ("bag", "ego_pose", in_all("translation", None), "its tables are damaged"),
        ("bag", "ego_pose", in_all("rotation", [1, 1, 0, 0]), "is no pose"),
        ("bag", "sample_data", in_all("filename", None), "its tables are damaged"),
        ("bag", "calibrated_sensor", RAGGED, "no camera_intrinsic or size"),
        ("bag", "calibrated_sensor", NO_MATRIX, "no camera_intrinsic or size"),
        ("bag", "sample_data", in_all("filename", "../../secret.jpg"), "outside the data set"),
        ("bag", "sample_data", in_all("filename", "/etc/passwd"), "outside the data set"),
        ("bag", "sensor", in_all("channel", "\ud800"), r"channel '\ud800' is no text"),
        ("prepare", "scene", in_all("name", "../../elsewhere"), "cannot name a file"),
        ("prepare", "scene", in_all("name", "a" * 300), "cannot name a file"),
        ("predict", "sample_data", in_all("filename", "/etc/passwd"), "outside the data set"),
        ("predict", "sample_data", in_all("timestamp", None), "timestamp None is none"),
        ("predict", "sample_data", in_all("width", None), "no camera_intrinsic or size"),
        ("predict", "calibrated_sensor", RAGGED, "no camera_intrinsic or size"),
        ("predict", "ego_pose", lambda rows: rows.clear(), "which is not there"),
        ("bag", "ego_pose", in_all("translation", [10**400, 0, 0]), "its tables are damaged"),
        ("bag", "ego_pose", in_all("rotation", [10**400, 0, 0, 0]), "its tables are damaged"),
        ("bag", "calibrated_sensor", HUGE_MATRIX, "no camera_intrinsic or size"),
        ("bag", "sample_data", in_all("width", 10**400), "no camera_intrinsic or size"),
        ("predict", "ego_pose", in_all("translation", None), "its tables are damaged"),
    ],
)
def test_a_damaged_row_is_one_line(
    verb: str,
    table: str,
    change: Callable[[Rows], None],
    words: str,
    root: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    edit_table(root, table, change)
    status, error = run(verb)
    assert status == 2
    assert error.startswith(f"lircdepth {verb}: ")
    assert words in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "field", "value", "words"),
    [
        ("sample", "timestamp", None, "timestamp None is none"),
        ("sample_data", "timestamp", "soon", "timestamp 'soon' is none"),
        ("scene", "first_sample_token", None, "scene-0003 has no sample; unpack"),
        ("scene", "first_sample_token", ["a"], "its tables are damaged"),
        ("sample_annotation", "size", [1, 10**400, 1], "size [1, 1000"),
        pytest.param(
            "sample_data", "filename", "x" * 5000, "name too long; unpack the tables", id="long"
        ),
        ("sample_data", "filename", "sweeps/a\nb", r"filename 'sweeps/a\nb' is none"),
    ],
)
def test_a_damaged_row_costs_its_scene_alone(
    table: str, field: str, value: object, words: str, root: Path, tmp_path: Path, run: Run
) -> None:
    change = in_all(field, value)
    edit_table(root, table, lambda rows: change(of_second_scene(rows)))
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: ")
    assert words in error
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


@pytest.mark.parametrize("name", [5, None, ["a"], "", "\ud800"])
def test_a_category_without_a_name_costs_its_scenes_alone(
    name: object, root: Path, tmp_path: Path, run: Run
) -> None:
    edit_table(root, "category", lambda rows: rows.append({"token": "other", "name": name}))
    change = in_all("category_token", "other")
    edit_table(root, "instance", lambda rows: change(of_second_scene(rows)))
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: sample_annotation: category_name ")
    assert error.endswith(" is no text; unpack the tables again")
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


def test_a_camera_whose_sensor_is_none_costs_its_scenes_alone(
    root: Path, tmp_path: Path, run: Run
) -> None:
    sensor = {"token": "other", "channel": "CAM_FRONT", "modality": "lidar"}
    edit_table(root, "sensor", lambda rows: rows.append(sensor))
    moved = {"token": "moved", "sensor_token": "other"}
    edit_table(root, "calibrated_sensor", lambda rows: rows.append({**rows[0], **moved}))

    def change(rows: list[dict]) -> None:
        for row in of_second_scene(rows):
            if "CAM_FRONT" in row["filename"]:
                row["calibrated_sensor_token"] = "moved"

    edit_table(root, "sample_data", change)
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: ")
    assert error.endswith(" is no camera; unpack the tables again")
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


def test_two_scenes_of_one_name_are_skipped_and_cost_no_other(
    root: Path, tmp_path: Path, run: Run
) -> None:
    add_scene(root, "scene-0004")
    edit_table(root, "scene", lambda rows: rows[2].update(name="scene-0003"))
    status, error = run("prepare")
    assert status == 1
    assert error == (
        "skipped scene-0003: 2 scenes are called scene-0003; rename all but one in the scene table"
    )
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


def test_a_bag_is_not_made_of_one_of_two_scenes_of_its_name(root: Path, run: Run) -> None:
    edit_table(root, "scene", lambda rows: rows[1].update(name=SCENE))
    status, error = run("bag")
    assert status == 2
    assert f"2 scenes are called {SCENE}" in error


def test_a_name_too_long_in_tables_of_a_scene_that_is_done_is_said(root: Path, run: Run) -> None:
    assert run("prepare")[0] == 0
    change = in_all("filename", "x" * 300)
    edit_table(root, "sample_data", lambda rows: change(of_second_scene(rows)))
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: ")
    assert error.endswith("x: File name too long; unpack the tables again")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("\ud800", r"'\ud800' is no text"),
        ("a.b", "'a.b' cannot name a file; rename it"),
        ("../../../tmp/audit/evil", "'../../../tmp/audit/evil' cannot name a file; rename it"),
        ("a\\b", r"'a\\b' cannot name a file; rename it"),
        ("a" * 101, "aaa"),
    ],
    ids=["half", "dot", "path", "backslash", "long"],
)
def test_a_token_that_cannot_be_written_costs_its_scene_alone(
    name: str, words: str, root: Path, tmp_path: Path, run: Run
) -> None:
    tables = root / VERSION
    of_scene = of_second_scene(json.loads((tables / "scene.json").read_text()))
    token = of_scene[0]["first_sample_token"]
    for path in tables.glob("*.json"):
        path.write_text(path.read_text().replace(f'"{token}"', json.dumps(name)))
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: sample: token ")
    assert words in error
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


def of_second_scene(rows: Rows) -> Rows:
    return [row for row in rows if row["token"].endswith("+scene-0003")]


def circle(field: str, length: int) -> Callable[[Rows], str]:
    """Let the last of the first rows be followed by the first of them."""

    def change(rows: Rows) -> str:
        first, last = rows[0], rows[length - 1]
        if field == "prev":
            first, last = last, first
        last[field] = first["token"]
        return first["token"]

    return change


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize(
    ("table", "field"), [("sample", "next"), ("sample_data", "next"), ("sample_data", "prev")]
)
def test_a_chain_that_runs_in_a_circle_costs_its_scene_alone(
    table: str, field: str, length: int, root: Path, tmp_path: Path, run: Run
) -> None:
    def change(rows: Rows) -> None:
        rows = of_second_scene(rows)
        lidar = [row for row in rows if "LIDAR" in row.get("filename", "LIDAR")]
        circle(field, length)(lidar)

    edit_table(root, table, change)
    status, error = run("prepare")
    assert status == 1
    assert error.startswith("skipped scene-0003: ")
    assert f"comes again in its own chain ({field}); unpack the tables again" in error
    assert {sample.scene for sample in read_samples(tmp_path / "out")} == {SCENE}


@pytest.mark.parametrize("length", [1, 3])
def test_a_bag_is_not_made_of_a_circle(length: int, root: Path, run: Run) -> None:
    token = ""

    def change(rows: Rows) -> None:
        nonlocal token
        token = circle("next", length)(rows)

    edit_table(root, "sample", change)
    status, error = run("bag")
    assert status == 2
    assert f"sample {token} comes again in its own chain" in error
