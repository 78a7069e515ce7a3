"""The ablation of docs/ablation.md: drives, samples, the teacher, every arm, and its test.

    python experiments/ablation/run.py OUT [--jobs N]

What is done is kept in OUT: the same command goes on after an interruption. Each run's figures
land beside this file in `results/`; a run whose figures are there is not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lircdepth_core.inference.model_description import Crop
from lircdepth_core.inference.model_files import read_description, write_description

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "config"
CAPS = ("50", "70", "80")
STREAMS = ("image_feature", "radar_feature", "structure", "inter_depth")
METRICS = ("mae", "rmse", "abs_rel", "delta1")


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        arm: its name in arms.yaml.
        seed: of parameters, order and augmentation.
        network: `student` or `teacher`.
        settings: fields of the configuration.
        starts_from: the run whose parameters it begins with; it is trained first.
    """

    arm: str
    seed: int
    network: str
    settings: tuple[str, ...]
    starts_from: str | None = None

    @property
    def name(self) -> str:
        """Of its folder and of its file in `results/`."""
        return f"{self.arm}-{self.seed}"

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from the teacher, or from its samples alone."""
        alone = all(f"loss.{stream}=0" in self.settings for stream in STREAMS)
        return self.network == "student" and not alone


def planned_runs(plan: dict[str, Any]) -> list[Run]:
    """All runs, seed by seed, so that each arm's first comes early."""
    runs = [
        Run(
            arm,
            seed,
            entry.get("network", "student"),
            (*plan["settings"], *entry["settings"]),
            f"{entry['starts_from']}-{seed}" if "starts_from" in entry else None,
        )
        for arm, entry in plan["arms"].items()
        for seed in entry["seeds"]
    ]
    return sorted(runs, key=lambda run: run.seed)


def waves(runs: list[Run]) -> tuple[list[Run], list[Run], list[Run]]:
    """Runs from nothing, those that go on from them, and those that learn from a teacher."""
    return (
        [run for run in runs if not run.needs_teacher and not run.starts_from],
        [run for run in runs if run.starts_from],
        [run for run in runs if run.needs_teacher],
    )


def lircdepth(*arguments: Any, log: Path) -> None:
    """Run a verb of the command line; its output goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        command = [sys.executable, "-m", "lircdepth_core.cli", *map(str, arguments)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = log.read_text().strip().splitlines()[-1:]
        raise RuntimeError(f"lircdepth {arguments[0]}: {' '.join(last)} ({log})")


def make_data(plan: dict[str, Any], out: Path, processes: int | None) -> None:
    """Drives and samples of the three splits."""
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
        lircdepth("prepare", drives, samples, "--leave-out", "accumulated", *workers, log=log)

    for split in ("train", "validation", "test"):
        make(split)


def train_and_test(
    run: Run, teacher: str, rows: Crop, out: Path, device: str, workers: int
) -> None:
    """Train a network, measure it on rows of the test samples, and keep the figures."""
    results = HERE / "results" / f"{run.name}.json"
    if results.exists():
        return
    folder, log = out / "runs" / run.name, out / "logs" / f"{run.name}.log"
    settings = [
        *run.settings,
        f"seed={run.seed}",
        f"data.train=[{out / 'samples' / 'train'}]",
        f"data.validation=[{out / 'samples' / 'validation'}]",
        f"data.workers={workers}",
    ]
    if run.network == "student":
        model = out / "runs" / teacher / "model"
        settings.append(f"teacher={model if run.needs_teacher else 'null'}")
    if run.starts_from:
        settings.append(f"start.model={out / 'runs' / run.starts_from / 'model'}")
    if not (folder / "model").exists():  # it is written in the end
        lircdepth(
            *("train", run.network, "--config", CONFIGS / f"train_{run.network}_scratch.yaml"),
            *("--out", folder, "--device", device, "--set", *settings),
            log=log,
        )
    description = read_description(folder / "model")
    seen = dataclasses.replace(description.input, crop=rows)
    write_description(folder / "model", dataclasses.replace(description, input=seen))
    evaluation = out / "evaluations" / run.name
    lircdepth(
        *("evaluate", folder / "model", out / "samples" / "test", "--out", evaluation),
        *("--radar", "none", "--frames", 1, "--device", device),
        log=log,
    )
    figures = {"arm": run.arm, "seed": run.seed, "network": run.network, "settings": run.settings}
    figures |= training_figures(folder) | test_figures(evaluation)
    if run.starts_from:
        before = json.loads((HERE / "results" / f"{run.starts_from}.json").read_text())
        figures["image_steps"] += before["image_steps"]
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(figures, indent=1) + "\n")


def training_figures(folder: Path) -> dict[str, Any]:
    """How a run went: its machine, its speed, and validation MAE over images seen."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    start = next(event for event in events if event["event"] == "start")
    steps = [event for event in events if event["event"] == "step"]
    curve = [
        (event["step"] * start["images_per_step"], round(event["mae"], 4))
        for event in events
        if event["event"] == "validation"
    ]
    return {
        "device": start["device"],
        "torch": start["torch"],
        "image_steps": steps[-1]["image_steps"],
        "median_images_per_second": float(np.median([s["images_per_second"] for s in steps])),
        "median_share_waiting": float(np.median([s["wait_share"] for s in steps])),
        "validation_mae": curve,
    }


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


def main() -> int:
    """Make what is not there yet; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of drives, samples, runs and evaluations")
    parser.add_argument("--jobs", type=int, default=1, help="networks trained at a time")
    parser.add_argument("--workers", type=int, default=2, help="loader processes of each")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--processes", type=int, help="for data (default: one per processor)")
    parser.add_argument("--only", nargs="+", metavar="RUN", help="such as teacher-0 none-1")
    args = parser.parse_args()
    plan = yaml.safe_load((HERE / "arms.yaml").read_text())
    out = args.out.resolve()
    make_data(plan, out, args.processes)
    rows = Crop(**plan["data"]["test_rows"])
    runs = [run for run in planned_runs(plan) if not args.only or run.name in args.only]

    failed = []
    with ThreadPoolExecutor(args.jobs) as pool:
        # What waits for another run would wait in the pool and hold a place.
        for wave in waves(runs):
            jobs = {
                run: pool.submit(
                    train_and_test, run, plan["teacher"], rows, out, args.device, args.workers
                )
                for run in wave
            }
            for run, job in jobs.items():
                if job.exception():
                    failed.append(run)
                    print(f"{run.name}: {job.exception()}", file=sys.stderr, flush=True)
                else:
                    print(f"{run.name}: done", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
