"""What the ablation says of its figures, and in what order it trains."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "ablation"


def load(name: str):
    """A script of the ablation as a module; dataclasses look it up by its name."""
    spec = importlib.util.spec_from_file_location(f"ablation_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(arm: str, seed: int, mae: float) -> dict:
    caps = {cap: {"mae": mae, "rmse": 2 * mae, "abs_rel": 0.1, "delta1": 0.5} for cap in "578"}
    caps = {f"{cap}0": values for cap, values in caps.items()}
    return {
        "arm": arm, "seed": seed, "image_steps": 8000, "without_radar_mae_80": 3 * mae,
        "test": {"exact": caps, "single_scan": caps}, "validation_mae": [[4, 9.0], [8, mae]],
    }  # fmt: skip


@pytest.fixture
def results():
    none = {seed: run("none", seed, 10.0) for seed in range(3)}
    every = {seed: run("all", seed, 9.9 - 0.1 * seed) for seed in range(3)}
    return {"none": none, "all": every, "structure": {1: run("structure", 1, 9.5)}}


def test_the_gain_is_paired_by_seed_with_students_interval(results):
    mean, half, seeds = load("report").gain(results, "all")
    # 1 %, 2 % and 3 %: standard deviation 1 %, and t of two degrees of freedom is 4.303.
    assert (mean, seeds) == (pytest.approx(2.0), 3)
    assert half == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_interval(results):
    report = load("report")
    assert report.gain(results, "structure") == (pytest.approx(5.0), None, 1)
    line = report.table(results).splitlines()[-1]
    assert line.endswith("| +5.0 % (one seed) |")
    assert "| 8,000 |" in line


def test_before_the_baseline_there_is_a_table_without_gain(results):
    del results["none"]
    assert load("report").table(results).splitlines()[-1].endswith("| no common seed |")


def test_every_arm_of_the_plan_is_a_run_and_seeds_are_paired():
    plan = yaml.safe_load((FOLDER / "arms.yaml").read_text())
    runs = load("run").planned_runs(plan)
    assert {each.arm for each in runs} == set(load("report").ORDER)
    seeds = {arm: [r.seed for r in runs if r.arm == arm] for arm in ("none", "all")}
    assert seeds["none"] == seeds["all"]
    assert len(seeds["all"]) >= 3
    assert [each.seed for each in runs] == sorted(each.seed for each in runs)
    alone = {each.arm for each in runs if not each.needs_teacher}
    assert alone == {"teacher", "none", "teacher_16000", "none_16000"}
    assert all("length.image_steps=8000" in each.settings for each in runs)


def test_what_goes_on_from_a_run_or_learns_from_one_comes_after_it():
    plan = yaml.safe_load((FOLDER / "arms.yaml").read_text())
    script = load("run")
    waves = script.waves(script.planned_runs(plan))
    done: set[str] = set()
    for wave in waves:
        for each in wave:
            assert each.starts_from is None or each.starts_from in done
            assert not each.needs_teacher or plan["teacher"] in done
        done |= {each.name for each in wave}
    assert len(done) == sum(map(len, waves)) == len(script.planned_runs(plan))


def test_the_test_shows_as_many_rows_as_training_did():
    plan = yaml.safe_load((FOLDER / "arms.yaml").read_text())
    assert f"data.height={plan['data']['test_rows']['height']}" in plan["settings"]
