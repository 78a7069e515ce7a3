"""What tells preparation that a scene is of other data than the one that is complete."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.prepare_scene import fingerprint, read_record
from lircdepth_core.dataset.scene_tables import read_scene
from lircdepth_core.errors import InputError


@pytest.fixture(scope="module")
def root(annotated, tmp_path_factory) -> Path:
    """A copy of the data set, files of which may be changed for a test."""
    copy = tmp_path_factory.mktemp("changing") / "data"
    shutil.copytree(annotated, copy)
    return copy


@pytest.fixture(scope="module")
def nusc(root):
    return open_dataset(root)


def print_of(nusc, options: PrepareOptions | None = None, **conditions) -> str:
    options = options or PrepareOptions()
    scene = read_scene(
        nusc,
        nusc.scene[0],
        ("CAM_FRONT", "RADAR_FRONT"),
        all_images=options.cameras if options.masks else (),
        conditions={"scene-0001": conditions},
    )
    return fingerprint(Path(nusc.dataroot), scene, options)


@pytest.mark.parametrize("shards", [3, [3], [{}], [{"file": 1, "bytes": 1, "samples": 1}]])
def test_a_record_without_shards_is_none(shards, tmp_path):
    whole = {"file": "a.tar", "bytes": 1, "samples": 1}
    record = {"scene": "a", "fingerprint": "", "options": {}, "conditions": {}, "annotated": True}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**record, "shards": [whole]}))
    assert read_record(path)["shards"] == [whole]
    path.write_text(json.dumps({**record, "shards": shards}))
    with pytest.raises(InputError, match=r"a\.json: not a scene's record; remove it"):
        read_record(path)


def test_the_same_data_elsewhere_has_the_same_fingerprint(nusc, annotated):
    assert print_of(nusc) == print_of(nusc) == print_of(open_dataset(annotated))


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("calibrated_sensor", "translation", [1.5, 0.0, 1.6]),
        ("ego_pose", "rotation", [0.0, 0.0, 0.0, 1.0]),
        ("sample_annotation", "translation", [3.0, 2.0, 1.0]),
        ("sample_annotation", "instance_token", "another"),
        ("sample_data", "timestamp", 1_577_836_800_000_123),
    ],
)
def test_other_tables_are_other_data(table, field, value, nusc, monkeypatch):
    before = print_of(nusc)
    image = nusc.get("sample_data", nusc.sample[1]["data"]["CAM_FRONT"])
    rows = {"sample_data": image, "sample_annotation": nusc.sample_annotation[0]}
    row = rows.get(table) or nusc.get(table, image[f"{table}_token"])
    assert row[field] != value
    monkeypatch.setitem(row, field, value)
    assert print_of(nusc) != before


def test_another_focal_length_is_other_data(nusc, monkeypatch):
    before = print_of(nusc)
    camera = next(row for row in nusc.calibrated_sensor if row["camera_intrinsic"])
    K = [[column + 0.5 for column in camera["camera_intrinsic"][0][:1]] + [0.0, 160.0]]
    monkeypatch.setitem(camera, "camera_intrinsic", K + camera["camera_intrinsic"][1:])
    assert print_of(nusc) != before


def test_other_conditions_are_other_data(nusc):
    assert print_of(nusc, weather="rain") != print_of(nusc)


@pytest.mark.parametrize("kind", ["radar", "lidar", "depth"])
def test_files_of_other_sizes_are_other_data(kind, nusc, root):
    before = print_of(nusc)
    path = {
        "radar": next((root / "samples" / "RADAR_FRONT").iterdir()),
        "lidar": next((root / "sweeps" / "LIDAR_TOP").iterdir()),
        "depth": root
        / "depth"
        / "CAM_FRONT"
        / f"{next((root / 'samples' / 'CAM_FRONT').iterdir()).stem}.npz",
    }[kind]
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")
    assert print_of(nusc) != before
    path.unlink()
    assert print_of(nusc) != before
    path.write_bytes(whole)
    assert print_of(nusc) == before


def test_other_masks_are_other_data(nusc, root, tmp_path):
    options = replace(PrepareOptions(), masks=tmp_path)
    before = print_of(nusc, options)
    image = next((root / "sweeps" / "CAM_FRONT").iterdir())
    (tmp_path / "CAM_FRONT").mkdir()
    (tmp_path / "CAM_FRONT" / f"{image.stem}.png").write_bytes(b"mask")
    assert print_of(nusc, options) != before
