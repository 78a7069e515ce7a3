"""The recipe of the shipped model can be trained by."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("webdataset", reason="needs the extra 'train'")

from lircdepth_core.training.command import StudentTraining
from lircdepth_core.training.config_files import read_config

ROOT = Path(__file__).resolve().parents[2]
RECIPE = yaml.safe_load((ROOT / "experiments" / "shipped_model" / "recipe.yaml").read_text())
ABLATION = yaml.safe_load((ROOT / "experiments" / "ablation" / "arms.yaml").read_text())


@pytest.mark.parametrize("stage", RECIPE["stages"], ids=lambda stage: stage["name"])
def test_each_stage_is_a_configuration(stage):
    config = read_config(
        StudentTraining,
        ROOT / "config" / f"{stage.get('config', 'train_student_scratch')}.yaml",
        [*RECIPE["settings"], *stage["settings"], "start.model=before"],
    )
    assert not config.loss.distils
    assert set(stage["data"]) <= {"ablation", "drives"}


def test_no_drive_serves_two_purposes():
    splits = [RECIPE["drives"][name] for name in ("train", "validation", "calibration", "test")]
    splits += [ABLATION["data"][name] for name in ("train", "validation", "test")]
    assert len({split["seed"] for split in splits}) == len(splits)


def test_it_begins_with_a_run_of_the_ablation():
    arm, _, seed = RECIPE["begins_with"].rpartition("-")
    assert int(seed) in ABLATION["arms"][arm]["seeds"]
