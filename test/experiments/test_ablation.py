"""What the ablation says of its figures, and in what order it trains."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import math
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import yaml
from training_rig import write_shards

from lircdepth_core.dataset.shards import read_samples
from lircdepth_core.training.config_files import format_config

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "ablation"
PLANS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("plans/*.yaml")}
PLAN = PLANS["224x128"]
START = {
    "device": "cpu",
    "torch": "2",
    "precision": "bf16",
    "threads": 1,
    "images_per_step": 4,
    "steps_per_epoch": 9,
}
"""What a run says when it begins."""
BASELINES = {"all": "none", "structure": "none"}
each_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


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
    none = {seed: run("none", seed, 10.0 * (1 + seed)) for seed in range(3)}
    every = {seed: run("all", seed, (9.9 - 0.1 * seed) * (1 + seed)) for seed in range(3)}
    return {"none": none, "all": every, "structure": {1: run("structure", 1, 19.0)}}


def test_the_gain_is_paired_by_seed_with_students_interval(results):
    mean, half, seeds = load("report").gain(results, "all", "none")
    # 1 %, 2 % and 3 %: standard deviation 1 %, and t of two degrees of freedom is 4.303.
    assert (mean, seeds) == (pytest.approx(2.0), 3)
    assert half == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_what_an_arm_gains_without_radar_is_told_beside(results):
    report = load("report")
    for figures in results["all"].values():
        figures["without_radar_mae_80"] /= 2
    # Halves of 0.99, 0.98 and 0.97.
    gain = report.gain(results, "all", "none", report.mae_without_radar)
    assert gain == (pytest.approx(51.0), pytest.approx(4.3027 * 0.5 / math.sqrt(3), rel=1e-4), 3)
    line = report.table(results, BASELINES).splitlines()[-2]
    assert line.endswith("| +51.0 % (± 1.2, 3 seeds) |")


def test_one_seed_has_no_interval(results):
    report = load("report")
    assert report.gain(results, "structure", "none") == (pytest.approx(5.0), None, 1)
    line = report.table(results, BASELINES).splitlines()[-1]
    assert "| +5.0 % (one seed) | ± 31.8 |" in line  # 7.5 % and 2.5 % in the two scenes
    assert "| 8,000 |" in line


def test_the_gain_of_each_scene_is_a_share_of_the_whole_error(results):
    report = load("report")
    gains = report.gain_of_scenes(results, "all", "none")
    # Seeds of 1 %, 2 % and 3 %, in a scene of half as large an error again, and in one of half.
    assert gains == {"scene-0001": pytest.approx(3.0), "scene-0002": pytest.approx(1.0)}
    # Half of 3 - 1, times t of one degree of freedom, 12.706.
    assert "3 seeds) | ± 12.7 |" in report.table(results, BASELINES).splitlines()[-2]
    assert "| 0001 | +3.0 % | +7.5 % |" in report.scenes_table(results, BASELINES)


def test_plain_l1_is_compared_with_what_differs_in_nothing_else(results):
    results["all_plain_l1"] = {0: run("all_plain_l1", 0, 9.9)}
    assert load("report").gain(results, "all_plain_l1", "all")[0] == pytest.approx(0.0)


def test_before_the_baseline_there_is_a_table_without_gain(results):
    del results["none"]
    last = load("report").table(results, BASELINES).splitlines()[-1]
    assert last.endswith("| no common seed |  | 57.000 | no common seed |")


@each_plan
def test_every_arm_is_compared_with_one_of_the_plan_and_seeds_are_paired(plan):
    runs = load("run").planned_runs(plan)
    baselines = load("report").baselines_of(plan)
    assert baselines.keys() | set(baselines.values()) <= plan["arms"].keys()
    seeds = {arm: [r.seed for r in runs if r.arm == arm] for arm in plan["arms"]}
    assert all(set(seeds[arm]) <= set(seeds[baseline]) for arm, baseline in baselines.items())
    assert seeds["none"] == seeds["all"]
    assert len(seeds["all"]) >= 3
    assert [each.seed for each in runs] == sorted(each.seed for each in runs)
    teachers = {each.teacher for each in runs if each.teacher}
    networks = {each.name: each.network for each in runs}
    assert {networks[teacher] for teacher in teachers} == {"teacher"}
    # Whoever distils is compared with one that does not, or that distils too.
    assert {each.arm for each in runs if each.teacher and each.tested} <= baselines.keys()


def last_of(settings: tuple[str, ...], name: str) -> str:
    return [value for key, _, value in (each.partition("=") for each in settings) if key == name][
        -1
    ]


@each_plan
def test_students_that_are_compared_differ_in_their_losses_alone(plan):
    every = {each.name: each for each in load("run").planned_runs(plan)}
    for arm, baseline in load("report").baselines_of(plan).items():
        for ours in (each for each in every.values() if each.arm == arm):
            theirs = every[f"{baseline}-{ours.seed}"]
            if ours.network != theirs.network:
                continue
            phases = [ours, *([every[ours.start]] if ours.start else [])]
            steps = [int(last_of(phase.settings, "length.image_steps")) for phase in phases]
            assert sum(steps) == int(last_of(theirs.settings, "length.image_steps"))
            for phase in phases:
                assert phase.seed == theirs.seed
                assert phase.learns_from == theirs.learns_from
                assert but_losses(phase) == but_losses(theirs)


def but_losses(each) -> set[str]:
    """A run's settings but its losses and length."""
    return {s for s in each.settings if not s.startswith(("loss.", "length.image"))}


@each_plan
def test_what_learns_from_a_run_comes_after_it(plan):
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
    runs = script.planned_runs(copy.deepcopy(PLAN))
    nothing_there = script.with_needed(runs, {"all-1"}, lambda name: False)
    assert [each.name for each in nothing_there] == ["teacher_12000-0", "all-1"]
    with_teacher = script.with_needed(runs, {"all-1"}, lambda name: name == "teacher_12000-0")
    assert [each.name for each in with_teacher] == ["all-1"]


@pytest.mark.parametrize("kept", [False, True])
def test_the_teacher_is_trained_only_where_none_is_kept(kept, monkeypatch):
    script = load("run")
    monkeypatch.setattr(script, "is_kept", lambda folder: kept)
    runs = script.planned_runs(PLANS["128x64"])
    nothing_there = script.with_needed(runs, {"all-1"}, lambda name: False)
    first = [] if kept else ["teacher_8000-0"]
    assert [each.name for each in nothing_there] == [*first, "kept_teacher-0", "all-1"]


def test_what_is_kept_of_the_teacher_stands_for_its_run_in_a_new_folder(tmp_path, kept_teacher):
    script = load("run")
    runs = {each.name: each for each in script.planned_runs(PLANS["128x64"])}
    kept = runs["kept_teacher-0"]
    assert not script.is_trained(kept.name, tmp_path)
    script.train(kept, tmp_path, "cpu", 0)
    assert script.is_trained(kept.name, tmp_path)
    script.train(kept, tmp_path, "cpu", 0)
    figures = script.training_figures(kept, tmp_path)
    assert figures["image_steps"] == 8800  # 200 updates of four with rounded parameters
    assert figures["configuration"]["data"]["train"] == ["OUT/samples/train"]
    assert figures["validation_mae"] == []  # they were of the teacher before that
    (tmp_path / "runs" / kept.name / "kept.yaml").write_text("of another")
    with pytest.raises(ValueError, match=r"kept_teacher-0: is of another teacher than .*128x64"):
        script.train(kept, tmp_path, "cpu", 0)


def test_a_kept_teacher_of_another_plan_is_refused(tmp_path):
    script = load("run")
    kept = next(each for each in script.planned_runs(PLANS["128x64"]) if each.kept_in)
    write_config(script, kept, tmp_path, "OUT")
    script.check_plan(kept, tmp_path, "OUT")
    now = dataclasses.replace(kept, settings=(*kept.settings, "loss.inter_depth=0"))
    with pytest.raises(ValueError, match=r"was trained with another loss\.inter_depth than"):
        script.check_plan(now, tmp_path, "OUT")


def write_config(script, each, folder: Path, out: str) -> None:
    """The configuration that a run's training leaves in its folder."""
    kind = script.TeacherTraining if each.network == "teacher" else script.StudentTraining
    settings = [*script.settings_of(each, out), "data.workers=7"]
    config = script.read_config(kind, script.config_of(each), settings)
    (folder / "config.yaml").write_text(format_config(config))


def test_a_run_that_is_there_is_gone_on_with_only_if_the_plan_still_says_so(tmp_path, monkeypatch):
    script, commands = load("run"), []
    monkeypatch.setattr(script, "lircdepth", lambda *words, log: commands.append(words))
    monkeypatch.setattr(script, "is_trained", lambda name, out: True)
    each = next(r for r in script.planned_runs(PLANS["128x64"]) if r.name == "inter_depth-0")
    folder = tmp_path / "runs" / each.name
    folder.mkdir(parents=True)
    write_config(script, each, folder, str(tmp_path))
    script.train(each, tmp_path, "cpu", 0)
    assert not commands
    now = dataclasses.replace(each, settings=(*each.settings, "loss.inter_depth=7"))
    with pytest.raises(
        ValueError, match=r"inter_depth-0: was trained with another loss\.inter_depth"
    ):
        script.train(now, tmp_path, "cpu", 0)
    with pytest.raises(ValueError, match=r"another teacher than"):
        script.train(dataclasses.replace(each, teacher="other-0"), tmp_path, "cpu", 0)


def test_what_goes_on_from_a_run_starts_with_its_parameters_and_counts_its_images(
    tmp_path, monkeypatch
):
    script, commands = load("run"), []
    monkeypatch.setattr(script, "lircdepth", lambda *words, log: commands.append(words))
    second = next(
        each
        for each in script.planned_runs(copy.deepcopy(PLAN))
        if each.name == "hints_structure-0"
    )
    assert second.needs == {"teacher_12000-0", "hints-0"}
    script.train(second, tmp_path, "cpu", 0)
    assert f"start.model={tmp_path / 'runs' / 'hints-0' / 'model'}" in commands[0]
    step = {"image_steps": 1000, "images_per_second": 1.0, "wait_share": 0.0}
    for name in (second.name, second.start):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 0\n")
        events = [{"event": "start", **START}, {"event": "step", **step}]
        events.append({"event": "validation", "step": 250, "mae": 9.0})
        events.append({"event": "end", "image_steps": 1000})
        (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    figures = script.training_figures(second, tmp_path)
    assert figures["image_steps"] == 2000
    # Of the first phase nothing could be learned of depth: the curve is the second's.
    assert figures["validation_mae"] == [(2000, 9.0)]


def test_a_plan_names_no_run_that_is_not_in_it():
    plan = copy.deepcopy(PLAN)
    plan["arms"]["hints_structure"]["seeds"] = [0, 1]
    with pytest.raises(ValueError, match="hints_structure-1 needs hints-1, which is no run"):
        load("run").planned_runs(plan)


def test_an_arm_of_fewer_image_steps_is_not_compared():
    report = load("report")
    results = {name: {0: run(name, 0, 10.0)} for name in ("none", "all")}
    results["all"][0]["image_steps"] = 7000
    with pytest.raises(ValueError, match="all-0 and none-0 differ in image_steps"):
        report.check_comparable(results, "all", "none")


def test_a_run_that_was_stopped_is_not_trained(tmp_path):
    script = load("run")
    model = tmp_path / "runs" / "none-0" / "model"
    model.mkdir(parents=True)  # a validation wrote it
    log = model.parent / "log.jsonl"
    log.write_text("")
    assert not script.is_trained("none-0", tmp_path)
    log.write_text('{"event": "start"}\n{"event": "end", "stopped_by": "Ctrl-C"}\n')
    assert not script.is_trained("none-0", tmp_path)
    log.write_text(log.read_text() + '{"event": "end", "stopped_by": null}\n')
    assert script.is_trained("none-0", tmp_path)


def test_sparse_labels_are_points_of_the_scan_and_the_same_whenever_they_are_drawn():
    sparse = load("sparse_labels").sparse
    scan = np.zeros((6, 8), np.float32)
    scan[1:4, ::2] = np.arange(12).reshape(3, 4) + 5
    thinned = sparse(scan, 5, "scene-1__a__CAM_FRONT")
    assert np.count_nonzero(thinned) == 5
    assert (thinned[thinned > 0] == scan[thinned > 0]).all()
    assert (thinned == sparse(scan, 5, "scene-1__a__CAM_FRONT")).all()
    assert (thinned != sparse(scan, 5, "scene-1__b__CAM_FRONT")).any()
    assert (sparse(scan, 99, "") == scan).all()


def test_samples_with_sparse_labels_are_the_same_else(tmp_path):
    write_shards(tmp_path / "all", [2, 1])
    script = load("sparse_labels")
    script.make_sparse(tmp_path / "all", tmp_path / "sparse", 7)
    before, after = (list(read_samples(tmp_path / name)) for name in ("all", "sparse"))
    assert len(before) == len(after) == 3
    for one, other in zip(before, after, strict=True):
        assert one.key == other.key
        assert (one.image == other.image).all()
        assert (one.exact == other.exact).all()
        assert np.count_nonzero(other.single_scan) == 7 < np.count_nonzero(one.single_scan)


def test_an_arm_learns_from_the_samples_that_the_plan_names():
    script = load("run")
    arms = {each.arm: each for each in script.planned_runs(PLANS["128x64"])}
    assert "data.train=[OUT/samples/train]" in script.settings_of(arms["none"], "OUT")
    sparse = script.settings_of(arms["none_sparse"], "OUT")
    assert "data.train=[OUT/samples/train_sparse]" in sparse
    assert "data.validation=[OUT/samples/validation]" in sparse


@each_plan
def test_the_test_shows_as_many_rows_as_training_did(plan):
    assert f"data.height={plan['data']['test_rows']['height']}" in plan["settings"]


def test_figures_tell_the_configuration_without_the_place_of_the_data(tmp_path):
    folder = tmp_path / "runs" / "none-0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed: 0\ndata: {{train: [{tmp_path}/samples/train]}}\n")
    step = {"image_steps": 4, "images_per_second": 1.0, "wait_share": 0.0}
    events = [
        {"event": "start", **START},
        {"event": "step", **step},
        {"event": "validation", "step": 1, "mae": 2.5},
        {"event": "end", "image_steps": 4},
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
    baseline = report.baselines_of(PLAN)[arm]
    results = {name: {0: run(name, 0, 10.0)} for name in (arm, baseline)}
    results[arm][0]["network"] = "teacher" if arm.startswith("teacher") else "student"
    for name, value in changed.items():
        section, _, field = name.rpartition(".")
        configuration = results[arm][0]["configuration"]
        (configuration[section] if section else configuration)[field] = value
    if named is None:
        report.check_comparable(results, arm, baseline)
        return
    with pytest.raises(ValueError, match=f"{arm}-0 and {baseline}-0 differ in {named}"):
        report.check_comparable(results, arm, baseline)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"data": {"test": {"seed": 104}}}, "data"),
        ({"exact_mae_80_by_scene": {"scene-0009": 1.0}}, "test scenes"),
    ],
)
def test_what_was_tested_on_other_scenes_is_not_compared(changed, named):
    results = {"none": {0: run("none", 0, 10.0)}, "all": {0: run("all", 0, 9.0) | changed}}
    with pytest.raises(ValueError, match=f"all-0 and none-0 differ in {named}: "):
        load("report").check_comparable(results, "all", "none")


@pytest.mark.parametrize("others", ["one", "two"])
def test_students_of_two_teachers_of_one_name_stand_in_no_table(tmp_path, others):
    for seed, teacher in enumerate(["one", others]):
        figures = run("all", seed, 9.0) | {"teacher": teacher, "teacher_weights": str(seed)}
        (tmp_path / f"all-{seed}.json").write_text(json.dumps(figures))
    refused = pytest.raises(ValueError, match="learned from different teachers, one")
    with refused if others == "one" else nullcontext():
        load("report").read_results(PLANS["128x64"], tmp_path)


def test_few_labels_are_few_for_the_whole_chain_where_an_arm_says_so():
    runs = {each.name: each for each in load("run").planned_runs(PLANS["128x64"])}
    chains = [each for each in runs.values() if each.arm.endswith("_both_sparse")]
    assert chains
    for each in chains:
        teacher = runs[each.teacher]
        assert teacher.learns_from == each.learns_from == "train_sparse"
        assert last_of(teacher.settings, "data.dense_from") == "single_scan"
        assert last_of(each.settings, "loss.depth_dense") == "0"


@pytest.mark.parametrize("name", [path.name for path in FOLDER.glob("results/*")])
def test_the_kept_results_can_be_compared(name):
    report = load("report")
    assert report.read_results(PLANS[name], report.results_of(name))
