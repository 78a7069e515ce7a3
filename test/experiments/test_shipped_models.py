"""The recipes of the shipped models can be trained by."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest
import yaml

pytest.importorskip("webdataset", reason="needs the extra 'train'")

from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.training.command import StudentTraining
from lircdepth_core.training.config_files import read_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "shipped_models"
DRIVES = yaml.safe_load((FOLDER / "drives.yaml").read_text())
RECIPES = {
    name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    for name in ("lircdepth", "lircdepth-s-352x192", "lircdepth-s")
}
PLANS = ROOT / "experiments" / "ablation" / "plans"


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
    seen = read_description(ROOT / "models" / name).input
    assert (config.data.focal_length, config.data.interpolation) == (
        seen.focal_length,
        seen.interpolation,
    )
    assert (config.data.truth, config.data.dense_from) == ("exact", "exact")
    # nuScenes' front camera has 1600 columns at 1266.4 pixels.
    assert config.data.width == pytest.approx(1600 * seen.focal_length / 1266.417, abs=1)
    assert config.data.height == seen.crop.height


def module_of(path):
    """A program as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps():
    """The module of run.py."""
    return module_of(FOLDER / "run.py")


@pytest.mark.parametrize(
    ("name", "begins", "network"),
    [
        ("lircdepth-s-352x192", "image_encoder", "student"),
        ("lircdepth-s", "model", "small_student"),
    ],
)
def test_the_small_students_begin_with_what_the_repository_has_or_had(
    name, begins, network, tmp_path
):
    begins = RECIPES[name][begins]
    shallow = ["git", "-C", ROOT, "cat-file", "-e", begins["commit"]]
    if subprocess.run(shallow, capture_output=True, check=False).returncode:
        pytest.skip(f"no git history here, or not as far as {begins['commit'][:7]}")
    folder = steps().shipped_then(begins, tmp_path)
    description = read_description(folder)
    assert description.network == network
    assert description.weights.sha256 == begins["sha256"]
    assert steps().shipped_then(begins, tmp_path) == folder
    load_network(folder, description)  # raises if the file is not the one of that checksum


def test_a_model_of_today_is_taken_from_where_it_is_and_a_lost_one_named(tmp_path):
    begins = RECIPES["lircdepth-s-352x192"]["image_encoder"]
    today = read_description(ROOT / "models" / "lircdepth").weights.sha256
    found = steps().shipped_then({**begins, "sha256": today}, tmp_path)
    assert found == ROOT / "models" / "lircdepth"
    with pytest.raises(SystemExit, match=r"git has no 0{40}:models/lircdepth/model\.yaml"):
        steps().shipped_then({**begins, "commit": "0" * 40}, tmp_path)


def test_the_student_to_compare_with_learns_as_a_stage_did_but_without_radar():
    recipe = RECIPES["lircdepth"]
    stages = {stage["name"]: stage for stage in recipe["stages"]}
    without = recipe["camera_only"]
    config = read_config(
        StudentTraining,
        ROOT / "config" / f"{recipe['config']}.yaml",
        [
            *recipe["settings"],
            *stages[without["stage"]]["settings"],
            *without["settings"],
            "start.model=before",
        ],
    )
    dropout = config.data.radar_dropout
    assert (dropout.all_returns, dropout.half_of_returns) == (1, 0)


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_card_says_of_nuscenes_is_a_configuration_that_drops_radar(name):
    text = RECIPES[name]["card"]["on_nuscenes"].replace("\\\n", " ")
    (command,) = [line.split() for line in text.splitlines() if line.startswith("lircdepth train ")]
    config = read_config(
        StudentTraining,
        ROOT / command[command.index("--config") + 1],
        command[command.index("--set") + 1 :],
    )
    dropout = config.data.radar_dropout
    assert (dropout.all_returns, dropout.half_of_returns) == (0.15, 0.15)
    seen = read_description(ROOT / "models" / name).input
    assert (config.data.focal_length, config.data.interpolation) == (
        seen.focal_length,
        seen.interpolation,
    )


def test_no_drive_serves_two_purposes():
    splits = [split for name, split in DRIVES.items() if name != "options"]
    # The plans of the ablation share theirs, and no split of one has the seed of another's.
    data = [yaml.safe_load(path.read_text())["data"] for path in PLANS.glob("*.yaml")]
    for name in ("train", "validation", "test"):
        (seed,) = {plan[name]["seed"] for plan in data}
        splits.append({"seed": seed})
    path = ROOT / "experiments" / "uncertainty" / "conditions.py"
    seeds = [split["seed"] for split in splits] + [module_of(path).SEED]
    assert len(set(seeds)) == len(seeds)


def test_the_student_begins_with_a_run_of_the_ablation():
    arm, _, seed = RECIPES["lircdepth"]["begins_with"].rpartition("-")
    script = module_of(FOLDER / "run.py")
    plan = yaml.safe_load((PLANS / f"{script.ABLATION_PLAN}.yaml").read_text())
    assert int(seed) in plan["arms"][arm]["seeds"]
