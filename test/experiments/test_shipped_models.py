"""The recipes of the shipped models can be trained by."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

pytest.importorskip("webdataset", reason="needs the extra 'train'")

from lircdepth_core.inference.model_files import read_description
from lircdepth_core.training.command import StudentTraining
from lircdepth_core.training.config_files import read_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "shipped_models"
DRIVES = yaml.safe_load((FOLDER / "drives.yaml").read_text())
RECIPES = {
    name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    for name in ("lircdepth", "lircdepth-s")
}
ABLATION = yaml.safe_load((ROOT / "experiments" / "ablation" / "arms.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        pytest.param(name, number, id=f"{name}-{stage['name']}")
        for name, recipe in RECIPES.items()
        for number, stage in enumerate(recipe["stages"])
    ],
)
def test_each_stage_is_a_configuration(name, stage):
    recipe = RECIPES[name]
    stage = recipe["stages"][stage]
    config = read_config(
        StudentTraining,
        ROOT / "config" / f"{stage.get('config', recipe['config'])}.yaml",
        [
            *recipe["settings"],
            *stage["settings"],
            *("start.model=before", "start.image_encoder=null"),
        ],
    )
    assert not config.loss.distils
    assert set(stage["data"]) <= {"ablation", "drives", "more_drives"}
    seen = read_description(ROOT / "models" / "lircdepth").input
    assert (config.data.focal_length, config.data.interpolation) == (
        seen.focal_length,
        seen.interpolation,
    )
    assert (config.data.truth, config.data.dense_from) == ("exact", "exact")


def test_the_small_student_begins_with_an_encoder_that_the_repository_had():
    begins = RECIPES["lircdepth-s"]["image_encoder"]
    description = read_description(ROOT / "models" / begins["of"])
    assert description.network == "student"
    spec = importlib.util.spec_from_file_location("shipped_models_run", FOLDER / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    recipe = {"image_encoder": {**begins, "sha256": description.weights.sha256}}
    assert run.encoder_of(recipe) == ROOT / "models" / begins["of"]
    recipe["image_encoder"]["sha256"] = "0" * 64
    with pytest.raises(SystemExit, match=rf"git checkout {begins['commit']} -- models/lircdepth"):
        run.encoder_of(recipe)


def test_no_drive_serves_two_purposes():
    splits = [split for name, split in DRIVES.items() if name != "options"]
    splits += [ABLATION["data"][name] for name in ("train", "validation", "test")]
    assert len({split["seed"] for split in splits}) == len(splits)


def test_the_student_begins_with_a_run_of_the_ablation():
    arm, _, seed = RECIPES["lircdepth"]["begins_with"].rpartition("-")
    assert int(seed) in ABLATION["arms"][arm]["seeds"]
