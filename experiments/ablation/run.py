"""The ablation of docs/ablation.md: drives, samples, the teacher, every arm, and its test.

    python experiments/ablation/run.py OUT [--plan NAME] [--jobs N]

What is done is kept in OUT: the same command goes on after an interruption. Each run's figures
land beside this file in `results/NAME/`. A run whose figures are there is not made again, unless
another needs its parameters or --only names it: then it is trained, and its figures stay.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from kept_teacher import RESTORED_FROM
from sparse_labels import make_sparse

from lircdepth_core.inference.model_description import Crop, StoredWeights
from lircdepth_core.inference.model_files import (
    DESCRIPTION_FILE,
    read_description,
    write_description,
)
from lircdepth_core.result_files import write_atomically
from lircdepth_core.training.command import StudentTraining, TeacherTraining
from lircdepth_core.training.config_files import differences, read_config
from lircdepth_core.training.run_folder import CONFIG_FILE

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "config"
CAPS = ("50", "70", "80")
STREAMS = ("image_feature", "radar_feature", "structure", "inter_depth")
METRICS = ("mae", "rmse", "abs_rel", "delta1")


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        arm: its name in the plan.
        seed: of parameters, order and augmentation.
        network: `student` or `teacher`.
        settings: fields of the configuration.
        teacher: the run that it learns from, if it distils.
        start: the run whose parameters it goes on from, if it does not begin from nothing.
        kept_from: the run that it is packed from instead of trained, see kept_teacher.py.
        kept_in: the folder that it is packed into, below this file's.
        tested: whether it is an arm of the comparison; else only others go on from it.
        learns_from: the samples that it is trained on.
    """

    arm: str
    seed: int
    network: str
    settings: tuple[str, ...]
    teacher: str | None = None
    start: str | None = None
    kept_from: str | None = None
    kept_in: str | None = None
    tested: bool = True
    learns_from: str = "train"

    @property
    def name(self) -> str:
        """Of its folder and of its file in `results/`."""
        return f"{self.arm}-{self.seed}"

    @property
    def needs(self) -> set[str]:
        """The runs that are made before it."""
        packed_from = self.kept_from if self.kept_in and not is_kept(self.kept_in) else None
        return {name for name in (self.teacher, self.start, packed_from) if name}


def planned_runs(plan: dict[str, Any]) -> list[Run]:
    """All runs, seed by seed, so that each arm's first comes early."""
    runs = []
    for arm, entry in plan["arms"].items():
        network = entry.get("network", "student")
        # One that is packed has the settings of the one that it is packed from.
        trained = plan["arms"][entry["kept_from"]] if "kept_from" in entry else entry
        settings = (*plan["settings"], *trained["settings"])
        distils = not all(f"loss.{stream}=0" in settings for stream in STREAMS)
        teacher = entry.get("teacher", plan["teacher"])
        start, kept_from = entry.get("goes_on_from"), entry.get("kept_from")
        runs += [
            Run(
                arm,
                seed,
                network,
                settings,
                teacher=teacher if network == "student" and distils else None,
                start=f"{start}-{seed}" if start else None,
                kept_from=f"{kept_from}-{seed}" if kept_from else None,
                kept_in=entry.get("kept_in"),
                tested=entry.get("tested", True),
                learns_from=entry.get("learns_from", "train"),
            )
            for seed in entry["seeds"]
        ]
    names = {run.name for run in runs}
    for run in runs:
        if lost := run.needs - names:
            raise ValueError(f"{run.name} needs {', '.join(lost)}, which is no run of the plan")
    return sorted(runs, key=lambda run: run.seed)


def with_needed(runs: list[Run], wanted: set[str], trained: Callable[[str], bool]) -> list[Run]:
    """The runs wanted, and those that they need and that are not trained yet."""
    by_name = {run.name: run for run in runs}
    found: set[str] = set()
    to_look_at = set(wanted)
    while to_look_at:
        name = to_look_at.pop()
        found.add(name)
        if not trained(name):
            to_look_at |= {other for other in by_name[name].needs if not trained(other)} - found
    return [run for run in runs if run.name in found]


def waves(runs: list[Run]) -> Iterator[list[Run]]:
    """Runs that can be made at a time: each wave needs only those before it."""
    left = list(runs)
    while left:
        names = {run.name for run in left}
        wave = [run for run in left if not run.needs & names]
        yield wave
        left = [run for run in left if run not in wave]


def python(*arguments: Any, log: Path) -> None:
    """Run a program; its output goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = log.read_text().strip().splitlines()[-1:]
        raise RuntimeError(f"{' '.join(command[1:4])}: {' '.join(last)} ({log})")


def lircdepth(*arguments: Any, log: Path) -> None:
    """Run a verb of the command line, as `python` does."""
    python("-m", "lircdepth_core.cli", *arguments, log=log)


def make_data(plan: dict[str, Any], out: Path, processes: int | None) -> None:
    """Drives and samples of the three splits, and those with few labels if the plan has any."""
    workers = ("--workers", processes) if processes else ()
    data = plan["data"]

    def make(split: str) -> None:
        drives, log = out / "drives" / split, out / "logs" / f"data-{split}.log"
        scenes, seed = data[split]["scenes"], data[split]["seed"]
        lircdepth(
            *("drive", drives, "--scenes", scenes, "--seed", seed),
            *(*data["options"], *workers),
            log=log,
        )
        samples = out / "samples" / split
        lircdepth("prepare", drives, samples, "--leave-out", *data["leave_out"], *workers, log=log)

    for split in ("train", "validation", "test"):
        make(split)
    if points := data.get("sparse_points"):
        make_sparse(out / "samples" / "train", out / "samples" / "train_sparse", points)


def is_kept(folder: str) -> bool:
    """Whether a teacher is there, in a folder below this file's."""
    return (HERE / folder / "model.yaml").exists()


def model_of(name: str, out: Path) -> Path:
    """The folder that a run's model is written to in its end."""
    return out / "runs" / name / "model"


def is_trained(name: str, out: Path) -> bool:
    """Whether a run has come to its end; one that validates writes a model before."""
    if not (model_of(name, out).exists() and (out / "runs" / name / "log.jsonl").exists()):
        return False
    events = events_of(name, out)
    return bool(events) and events[-1]["event"] == "end" and events[-1]["stopped_by"] is None


def plan_of(name: str) -> Path:
    """The file of a plan."""
    return HERE / "plans" / f"{name}.yaml"


def results_of(plan: str) -> Path:
    """The folder of the figures of a plan's runs, each `RUN.json`."""
    return HERE / "results" / plan


def train(run: Run, out: Path, device: str, workers: int) -> None:
    """Train a network, if it is not.

    Raises:
        ValueError: it is, but by another plan.
    """
    folder, log = out / "runs" / run.name, out / "logs" / f"{run.name}.log"
    if is_trained(run.name, out):
        check_trained(run, out)
        return
    if run.kept_in:
        script, kept = HERE / "kept_teacher.py", HERE / run.kept_in
        if not is_kept(run.kept_in):
            python(script, "keep", out / "runs" / str(run.kept_from), kept, log=log)
        check_plan(run, kept, "OUT")
        python(script, "restore", kept, folder, log=log)
        return
    settings = [*settings_of(run, str(out)), f"data.workers={workers}"]
    command = ("train", run.network, "--config", config_of(run), "--out", folder)
    lircdepth(*command, "--device", device, "--set", *settings, log=log)


def config_of(run: Run) -> Path:
    """The file whose fields its settings change."""
    return CONFIGS / f"train_{run.network}_scratch.yaml"


def settings_of(run: Run, out: str) -> list[str]:
    """A run's settings, with what its seed, the folder and other runs add to those of the plan."""
    splits = {"train": run.learns_from, "validation": "validation"}
    samples = [f"data.{split}=[{out}/samples/{name}]" for split, name in splits.items()]
    settings = [*run.settings, f"seed={run.seed}", *samples]
    if run.network == "student":
        teacher = model_of(run.teacher, Path(out)) if run.teacher else "null"
        settings.append(f"teacher={teacher}")
    if run.start:
        settings.append(f"start.model={model_of(run.start, Path(out))}")
    return settings


def check_trained(run: Run, out: Path) -> None:
    """See that a run that came to its end learned what the plan says now.

    Raises:
        ValueError: it names the folder and the fields, or the teacher that is kept now.
    """
    folder = out / "runs" / run.name
    if not run.kept_in:
        check_plan(run, folder, str(out))
        return
    check_plan(run, folder, "OUT")
    now = (HERE / run.kept_in / DESCRIPTION_FILE).read_bytes()
    if (folder / RESTORED_FROM).read_bytes() != now:
        raise ValueError(f"{folder}: is of another teacher than {HERE / run.kept_in}; move it away")


def check_plan(run: Run, folder: Path, out: str) -> None:
    """See that the configuration in a folder is what the plan says now.

    Raises:
        ValueError: it names the folder and the fields.
    """
    kind = TeacherTraining if run.network == "teacher" else StudentTraining
    trained = read_config(kind, folder / CONFIG_FILE)
    planned = read_config(kind, config_of(run), settings_of(run, out))
    differing = [
        name
        for name in differences(trained, planned)
        if not name.startswith(("record.", "data.workers"))
    ]
    if differing:
        raise ValueError(
            f"{folder}: was trained with another {', '.join(differing)} than the plan has now; "
            "move it away to train another"
        )


def test(run: Run, data: dict[str, Any], results: Path, out: Path, device: str) -> None:
    """Measure a network on rows of the test samples, and keep the figures, if they are not kept.

    Args:
        run: that has been trained.
        data: the plan's.
        results: folder of the figures.
        out: folder of the samples and runs.
        device: as `lircdepth evaluate` takes it.
    """
    if not run.tested or (results / f"{run.name}.json").exists():
        return
    model, evaluation = model_of(run.name, out), out / "evaluations" / run.name
    description = read_description(model)
    seen = dataclasses.replace(description.input, crop=Crop(**data["test_rows"]))
    write_description(model, dataclasses.replace(description, input=seen))
    lircdepth(
        *("evaluate", model, out / "samples" / "test", "--out", evaluation),
        *("--radar", "none", "--frames", 1, "--device", device),
        log=out / "logs" / f"{run.name}.log",
    )
    figures = {
        "arm": run.arm,
        "seed": run.seed,
        "network": run.network,
        "teacher": run.teacher,
        "teacher_weights": weights_of(run.teacher, out) if run.teacher else None,
        "data": data,
    }
    figures |= training_figures(run, out)
    figures |= test_figures(evaluation)
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / f"{run.name}.json", json.dumps(figures, indent=1))


def weights_of(name: str, out: Path) -> str:
    """SHA-256 of a run's weights."""
    weights = read_description(model_of(name, out)).weights
    assert isinstance(weights, StoredWeights)
    return weights.sha256


def training_figures(run: Run, out: Path) -> dict[str, Any]:
    """How a run went: its configuration, machine and speed, and validation MAE over images seen.

    Images that the run saw from which it goes on count too.
    """
    configuration = (out / "runs" / run.name / "config.yaml").read_text().replace(str(out), "OUT")
    events = events_of(run.name, out)
    start = next(event for event in events if event["event"] == "start")
    steps = [event for event in events if event["event"] == "step"]
    before = events_of(run.start, out)[-1]["image_steps"] if run.start else 0
    curve = [
        (before + event["step"] * start["images_per_step"], round(event["mae"], 4))
        for event in events
        if event["event"] == "validation"
    ]
    return {
        "configuration": yaml.safe_load(configuration),
        "device": start["device"],
        "torch": start["torch"],
        "precision": start["precision"],
        "threads": start["threads"],
        "steps_per_epoch": start["steps_per_epoch"],
        "image_steps": before + events[-1]["image_steps"],
        "median_images_per_second": float(np.median([s["images_per_second"] for s in steps])),
        "median_share_waiting": float(np.median([s["wait_share"] for s in steps])),
        "validation_mae": curve,
    }


def events_of(name: str, out: Path) -> list[dict[str, Any]]:
    """What a run's log tells."""
    lines = (out / "runs" / name / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_figures(evaluation: Path) -> dict[str, Any]:
    """Errors on the test samples, against exact depth and the single scan."""
    content = json.loads((evaluation / "evaluation.json").read_text())
    truths = content["truths"]
    by_scene: dict[str, list[float]] = defaultdict(list)
    for image in truths["exact"]["per_image"]:
        by_scene[image["key"].partition("/")[0]].append(image["mae"])
    return {
        "images": content["data"]["images"],
        "test": {
            truth: {
                cap: {m: results["by_radar"]["full"]["depth"][cap][m] for m in METRICS}
                for cap in CAPS
            }
            for truth, results in truths.items()
        },
        "without_radar_mae_80": truths["exact"]["by_radar"]["none"]["depth"]["80"]["mae"],
        "exact_mae_80_by_scene": {k: float(np.mean(v)) for k, v in sorted(by_scene.items())},
        "exact_mae_80_by_weather": {
            name: summary["depth"]["80"]["mae"]
            for name, summary in truths["exact"]["by_condition"]["weather"].items()
        },
    }


@contextmanager
def nothing_begun_after_ctrl_c(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Only what runs already is waited for, which Ctrl-C reaches too."""
    try:
        yield
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def main() -> int:
    """Make what is not there yet; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of drives, samples, runs and evaluations")
    parser.add_argument("--plan", default="128x64", help="of plans/ (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="networks trained at a time")
    parser.add_argument("--workers", type=int, default=2, help="loader processes of each")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--processes", type=int, help="for data (default: one per processor)")
    parser.add_argument("--only", nargs="+", metavar="RUN", help="such as all-0 none-1")
    parser.add_argument("--data-only", action="store_true", help="drives and samples, no runs")
    args = parser.parse_args()
    if not plan_of(args.plan).exists():
        known = ", ".join(sorted(path.stem for path in (HERE / "plans").glob("*.yaml")))
        parser.error(f"--plan {args.plan}: no such plan; there are {known}")
    plan = yaml.safe_load(plan_of(args.plan).read_text())
    results, out = results_of(args.plan), args.out.resolve()
    every = planned_runs(plan)
    names = {run.name for run in every}
    if unknown := set(args.only or ()) - names:
        parser.error(f"--only {' '.join(sorted(unknown))}: no such run; there are {sorted(names)}")
    wanted = set(args.only or ()) or {
        run.name for run in every if run.tested and not (results / f"{run.name}.json").exists()
    }
    runs = with_needed(every, wanted, lambda name: is_trained(name, out))
    if not runs and not args.data_only:
        print(f"nothing to do: all figures are in {results}")
        return 0
    make_data(plan, out, args.processes)
    if args.data_only:
        return 0

    def make(run: Run) -> None:
        train(run, out, args.device, args.workers)
        test(run, plan["data"], results, out, args.device)

    failed: set[str] = set()
    with ThreadPoolExecutor(args.jobs) as pool, nothing_begun_after_ctrl_c(pool):
        # What waits for another run would wait in the pool and hold a place.
        for wave in waves(runs):
            jobs = {run.name: pool.submit(make, run) for run in wave if not run.needs & failed}
            for name in {run.name for run in wave} - jobs.keys():
                failed.add(name)
                print(f"{name}: left out, a run that it needs failed", file=sys.stderr, flush=True)
            for name, job in jobs.items():
                if job.exception():
                    failed.add(name)
                    print(f"{name}: {job.exception()}", file=sys.stderr, flush=True)
                else:
                    print(f"{name}: done", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
