"""What the ablation says of its figures, and in what order it trains."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "ablation"
PLAN = FOLDER / "arms.yaml"


@pytest.fixture(autouse=True)
def _as_when_run_as_a_script(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


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
        "arm": arm, "seed": seed, "network": "student", "precision": "bf16",
        "configuration": {
            "data": {"dense_from": "exact", "workers": 1},
            "optimiser": {"learning_rate": 1e-3},
            "loss": {"depth_dense": 1.0, "depth_single": 0.1},
        },
        "image_steps": 8000, "without_radar_mae_80": 3 * mae,
        "test": {"exact": caps, "single_scan": caps}, "validation_mae": [[4, 9.0], [8, mae]],
        "exact_mae_80_by_scene": {"scene-0001": 1.5 * mae, "scene-0002": 0.5 * mae},
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
    assert line.endswith("| +5.0 % (one seed) | ± 31.8 |")  # 7.5 % and 2.5 % in the two scenes
    assert "| 8,000 |" in line


def test_the_gain_of_each_scene_is_a_share_of_the_whole_error(results):
    report = load("report")
    gains = report.gain_of_scenes(results, "all")
    # Seeds of 1 %, 2 % and 3 %, in a scene of half as large an error again, and in one of half.
    assert gains == {"scene-0001": pytest.approx(3.0), "scene-0002": pytest.approx(1.0)}
    # Half of 3 - 1, times t of one degree of freedom, 12.706.
    assert report.table(results).splitlines()[-2].endswith("3 seeds) | ± 12.7 |")
    assert "| 0001 | +3.0 % | +7.5 % |" in report.scenes_table(results)


def test_plain_l1_is_compared_with_what_differs_in_nothing_else(results):
    results["all_plain_l1"] = {0: run("all_plain_l1", 0, 9.9)}
    assert load("report").gain(results, "all_plain_l1")[0] == pytest.approx(0.0)


def test_before_the_baseline_there_is_a_table_without_gain(results):
    del results["none"]
    assert load("report").table(results).splitlines()[-1].endswith("| no common seed |  |")


def test_every_arm_of_the_plan_is_a_run_and_seeds_are_paired():
    plan = yaml.safe_load(PLAN.read_text())
    runs = load("run").planned_runs(plan)
    assert {each.arm for each in runs if each.tested} == {*load("report").ORDER, "none_8000"}
    seeds = {arm: [r.seed for r in runs if r.arm == arm] for arm in ("none", "all")}
    assert seeds["none"] == seeds["all"]
    assert len(seeds["all"]) >= 3
    assert [each.seed for each in runs] == sorted(each.seed for each in runs)
    distilled = {each.arm for each in runs if each.teacher and each.tested}
    assert distilled == set(load("report").COMPARED)
    assert {each.teacher for each in runs if each.teacher} == {"teacher_12000-0"}


def last_of(settings: tuple[str, ...], name: str) -> str:
    return [value for key, _, value in (each.partition("=") for each in settings) if key == name][
        -1
    ]


def test_what_is_compared_differs_in_its_losses_alone():
    plan = yaml.safe_load(PLAN.read_text())
    names = ("none", *load("report").COMPARED)
    every = {each.name: each for each in load("run").planned_runs(plan)}
    runs = [each for each in every.values() if each.arm in names]
    others = set()
    for each in runs:
        every_phase = [each, *([every[each.start]] if each.start else [])]
        steps = [int(last_of(phase.settings, "length.image_steps")) for phase in every_phase]
        assert sum(steps) == 6000
        for phase in every_phase:
            assert phase.seed == each.seed
            others.add(
                tuple(s for s in phase.settings if not s.startswith(("loss.", "length.image")))
            )
    assert len(others) == 1


def test_what_learns_from_a_run_comes_after_it():
    plan = yaml.safe_load(PLAN.read_text())
    script = load("run")
    waves = list(script.waves(script.planned_runs(plan)))
    done: set[str] = set()
    for wave in waves:
        for each in wave:
            assert each.needs <= done
        done |= {each.name for each in wave}
    assert len(done) == sum(map(len, waves)) == len(script.planned_runs(plan))


def test_a_run_brings_those_that_it_needs_and_that_are_not_trained():
    script = load("run")
    runs = script.planned_runs(yaml.safe_load(PLAN.read_text()))
    nothing_there = script.with_needed(runs, {"all-1"}, lambda name: False)
    assert [each.name for each in nothing_there] == ["teacher_12000-0", "all-1"]
    with_teacher = script.with_needed(runs, {"all-1"}, lambda name: name == "teacher_12000-0")
    assert [each.name for each in with_teacher] == ["all-1"]


def test_what_goes_on_from_a_run_starts_with_its_parameters_and_counts_its_images(
    tmp_path, monkeypatch
):
    script, commands = load("run"), []
    monkeypatch.setattr(script, "lircdepth", lambda *words, log: commands.append(words))
    second = next(
        each
        for each in script.planned_runs(yaml.safe_load(PLAN.read_text()))
        if each.name == "hints_structure-0"
    )
    assert second.needs == {"teacher_12000-0", "hints-0"}
    script.train(second, tmp_path, "cpu", 0)
    assert f"start.model={tmp_path / 'runs' / 'hints-0' / 'model'}" in commands[0]
    start = {"device": "cpu", "torch": "2", "precision": "bf16", "threads": 1, "images_per_step": 4}
    step = {"image_steps": 1000, "images_per_second": 1.0, "wait_share": 0.0}
    for name in (second.name, second.start):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 0\n")
        events = [{"event": "start", **start}, {"event": "step", **step}]
        events.append({"event": "validation", "step": 250, "mae": 9.0})
        (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    figures = script.training_figures(second, tmp_path)
    assert figures["image_steps"] == 2000
    # Of the first phase nothing could be learned of depth: the curve is the second's.
    assert figures["validation_mae"] == [(2000, 9.0)]


def test_a_plan_names_no_run_that_is_not_in_it():
    plan = yaml.safe_load(PLAN.read_text())
    plan["arms"]["hints_structure"]["seeds"] = [0, 1]
    with pytest.raises(ValueError, match="hints_structure-1 needs hints-1, which is no run"):
        load("run").planned_runs(plan)


def test_an_arm_of_fewer_image_steps_is_not_compared():
    report = load("report")
    results = {name: {0: run(name, 0, 10.0)} for name in ("none", "all")}
    results["all"][0]["image_steps"] = 7000
    with pytest.raises(ValueError, match="all-0 and none-0 differ in image_steps"):
        report.check_comparable(results, "all")


def test_a_run_that_was_stopped_is_not_trained(tmp_path):
    script = load("run")
    model = tmp_path / "runs" / "none-0" / "model"
    model.mkdir(parents=True)  # a validation wrote it
    log = model.parent / "log.jsonl"
    log.write_text('{"event": "start"}\n{"event": "end", "stopped_by": "Ctrl-C"}\n')
    assert not script.is_trained("none-0", tmp_path)
    log.write_text(log.read_text() + '{"event": "end", "stopped_by": null}\n')
    assert script.is_trained("none-0", tmp_path)


def test_the_test_shows_as_many_rows_as_training_did():
    plan = yaml.safe_load(PLAN.read_text())
    assert f"data.height={plan['data']['test_rows']['height']}" in plan["settings"]


def test_figures_tell_the_configuration_without_the_place_of_the_data(tmp_path):
    folder = tmp_path / "runs" / "none-0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed: 0\ndata: {{train: [{tmp_path}/samples/train]}}\n")
    start = {"device": "cpu", "torch": "2", "precision": "bf16", "threads": 1, "images_per_step": 4}
    step = {"image_steps": 4, "images_per_second": 1.0, "wait_share": 0.0}
    events = [
        {"event": "start", **start},
        {"event": "step", **step},
        {"event": "validation", "step": 1, "mae": 2.5},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    script = load("run")
    figures = script.training_figures(script.Run("none", 0, "student", ()), tmp_path)
    assert figures["configuration"] == {"seed": 0, "data": {"train": ["OUT/samples/train"]}}
    assert figures["validation_mae"] == [(4, 2.5)]


@pytest.mark.parametrize(
    ("arm", "changed", "named"),
    [
        ("all", {"data.dense_from": "lidar", "loss.depth_single": 1.0}, "data.dense_from, loss"),
        ("all", {"optimiser.learning_rate": 5e-4}, "optimiser.learning_rate"),
        ("teacher_12000", {"loss.depth_single": 1.0}, "loss.depth_single"),
        ("all", {"loss.structure": 2.0, "data.workers": 7, "teacher": "OUT/teacher"}, None),
        ("teacher_12000", {"optimiser.learning_rate": 5e-4, "loss.confidence": 1.0}, None),
    ],
)
def test_what_saw_other_data_or_labels_is_not_compared(arm, changed, named):
    report = load("report")
    baseline = report.BASELINES[arm]
    results = {name: {0: run(name, 0, 10.0)} for name in (arm, baseline)}
    results[arm][0]["network"] = "teacher" if arm.startswith("teacher") else "student"
    for name, value in changed.items():
        section, _, field = name.rpartition(".")
        configuration = results[arm][0]["configuration"]
        (configuration[section] if section else configuration)[field] = value
    if named is None:
        report.check_comparable(results, arm)
        return
    with pytest.raises(ValueError, match=f"{arm}-0 and {baseline}-0 differ in {named}"):
        report.check_comparable(results, arm)


def test_the_kept_results_can_be_compared():
    assert load("report").read_results()
