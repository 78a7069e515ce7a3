"""Tables and curves of docs/ablation.md from `results/`.

    python experiments/ablation/report.py [--plan NAME]

Prints the tables in Markdown and writes docs/ablation-NAME.png.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import yaml
from run import STREAMS, plan_of, results_of
from scipy import stats

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"

MAY_DIFFER = {
    *("teacher", "teacher_precision", "loss.rectified", "loss.detach_norm", "data.workers"),
    *("start.model", "length.image_steps"),  # all of its image-steps are compared
    *(f"loss.{stream}" for stream in STREAMS),
}
"""Fields of the configuration that two students which are compared may differ in."""
MAY_DIFFER_BETWEEN_NETWORKS = ("learns", "optimiser.learning_rate", "start.imagenet.", "loss.")
"""And, by how they begin, those of a teacher and a student."""
LABELS = ("loss.depth_dense", "loss.depth_single")
"""Of losses, what no two may differ in."""

BY_SCENE = "exact_mae_80_by_scene"

Results = dict[str, dict[int, dict[str, Any]]]
"""Figures by arm and seed."""

Baselines = dict[str, str]
"""Whom an arm is compared with: one that differs from it in nothing but what the arm is about."""


def baselines_of(plan: dict[str, Any]) -> Baselines:
    """By arm, of those that are compared with another."""
    arms = plan["arms"].items()
    return {arm: entry["compared_with"] for arm, entry in arms if "compared_with" in entry}


def read_results(plan: dict[str, Any], folder: Path) -> Results:
    """All that is there of arms that are compared or teach, in the order of the plan."""
    found: Results = defaultdict(dict)
    for path in folder.glob("*.json"):
        figures = json.loads(path.read_text())
        found[figures["arm"]][figures["seed"]] = figures
    baselines = baselines_of(plan)
    entries = [plan, *plan["arms"].values()]
    teachers = {entry["teacher"] for entry in entries if "teacher" in entry}
    shown = {*baselines, *baselines.values(), *(name.rpartition("-")[0] for name in teachers)}
    results = {
        arm: dict(sorted(found[arm].items()))
        for arm in plan["arms"]
        if arm in found and arm in shown
    }
    for arm in results.keys() & baselines.keys():
        check_comparable(results, arm, baselines[arm])
    weights: dict[str, set[str]] = defaultdict(set)
    for figures in (figures for runs in results.values() for figures in runs.values()):
        if figures.get("teacher_weights"):
            weights[figures["teacher"]].add(figures["teacher_weights"])
    for name, hashes in weights.items():
        if len(hashes) > 1:
            raise ValueError(f"{folder}: its students learned from different teachers, {name}")
    return results


def check_comparable(results: Results, arm: str, baseline: str) -> None:
    """See that an arm's runs and its baseline's differ in nothing but what the arm is about.

    Raises:
        ValueError: it names the two runs and the fields of their configurations.
    """
    for ours, theirs in pairs(results, arm, baseline):
        one, other = leaves(ours["configuration"]), leaves(theirs["configuration"])
        differing = {name for name in one.keys() | other if one.get(name) != other.get(name)}
        differing -= MAY_DIFFER
        if ours["network"] != theirs["network"]:
            may = {name for name in differing if name.startswith(MAY_DIFFER_BETWEEN_NETWORKS)}
            differing -= may - set(LABELS)
        seen = ("precision", "image_steps", "steps_per_epoch", "images", "data")
        differing |= {name for name in seen if ours.get(name) != theirs.get(name)}
        if ours[BY_SCENE].keys() != theirs[BY_SCENE].keys():
            differing.add("test scenes")
        if differing:
            raise ValueError(
                f"{arm}-{ours['seed']} and {baseline}-{theirs['seed']} differ in "
                f"{', '.join(sorted(differing))}: they cannot be compared"
            )


def leaves(configuration: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of a configuration by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in configuration.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def mae(figures: dict[str, Any], truth: str = "exact", cap: str = "80") -> float:
    """Metres, on the test samples."""
    return figures["test"][truth][cap]["mae"]


def mae_without_radar(figures: dict[str, Any]) -> float:
    """Metres up to 80 m against exact depth, where the network is shown no radar."""
    return figures["without_radar_mae_80"]


def gain(
    results: Results,
    arm: str,
    baseline: str,
    error: Callable[[dict[str, Any]], float] = mae,
) -> tuple[float, float | None, int]:
    """By how many percent an arm's error is below its baseline's of the same seeds.

    Returns:
        The mean over seeds, half of its 95 % interval (Student's t over seeds; None for fewer than
        two), and how many seeds.
    """
    both = pairs(results, arm, baseline)
    gains = np.array([100 * (1 - error(ours) / error(theirs)) for ours, theirs in both])
    if len(gains) < 2:
        return float(gains.mean()) if len(gains) else math.nan, None, len(gains)
    return float(gains.mean()), half_interval(gains), len(gains)


def gain_of_scenes(results: Results, arm: str, baseline: str) -> dict[str, float]:
    """By how many percent of its baseline's MAE over all scenes an arm's is below it in each one.

    The mean over seeds that both have; the mean over scenes is the gain, where these have equally
    many images.
    """
    both = pairs(results, arm, baseline)
    return {
        scene: float(
            np.mean(
                [
                    100 * (theirs[BY_SCENE][scene] - ours[BY_SCENE][scene]) / mae(theirs)
                    for ours, theirs in both
                ]
            )
        )
        for scene in (both[0][0][BY_SCENE] if both else ())
    }


def pairs(results: Results, arm: str, baseline: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Figures of an arm's runs, each with those of its baseline of the same seed."""
    ours, theirs = results[arm], results.get(baseline, {})
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def half_interval(values: np.ndarray) -> float:
    """Half of the 95 % interval of the mean of (N,) values, by Student's t."""
    count = len(values)
    return float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count))


def table(results: Results, baselines: Baselines) -> str:
    """One line for each arm: means over its seeds."""
    lines = [
        "| arm | seeds | image-steps | MAE 50 m | MAE 70 m | MAE 80 m | RMSE 80 m | δ1 80 m | "
        "MAE 80 m, single scan | gain over seeds | interval over scenes | MAE 80 m, no radar | "
        "gain, no radar |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, runs in results.items():
        every = list(runs.values())

        def mean(truth: str, cap: str, metric: str, every: list[dict[str, Any]] = every) -> float:
            return float(np.mean([run["test"][truth][cap][metric] for run in every]))

        cells = [
            arm,
            str(len(runs)),
            f"{every[0]['image_steps']:,}",
            *(f"{mean('exact', cap, 'mae'):.3f}" for cap in ("50", "70", "80")),
            f"{mean('exact', '80', 'rmse'):.3f}",
            f"{100 * mean('exact', '80', 'delta1'):.1f} %",
            f"{mean('single_scan', '80', 'mae'):.3f}",
            *(_gain_cells(results, arm, baselines[arm]) if arm in baselines else ("", "")),
            f"{np.mean([mae_without_radar(run) for run in every]):.3f}",
            _gain(results, arm, baselines[arm], mae_without_radar) if arm in baselines else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seeds_table(results: Results) -> str:
    """MAE at 80 m of every run."""
    seeds = sorted({seed for runs in results.values() for seed in runs})
    lines = [
        "| arm | " + " | ".join(f"seed {seed}" for seed in seeds) + " |",
        "|---" * (len(seeds) + 1) + "|",
    ]
    for arm, runs in results.items():
        cells = [f"{mae(runs[seed]):.3f}" if seed in runs else "" for seed in seeds]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scenes_table(results: Results, baselines: Baselines) -> str:
    """The gain of every arm in each scene of the test."""
    gains = {
        arm: gain_of_scenes(results, arm, baselines[arm]) for arm in results if arm in baselines
    }
    gains = {arm: of_scenes for arm, of_scenes in gains.items() if of_scenes}
    scenes = sorted({scene for of_scenes in gains.values() for scene in of_scenes})
    lines = ["| scene | " + " | ".join(gains) + " |", "|---" * (len(gains) + 1) + "|"]
    for scene in scenes:
        cells = [f"{of_scenes[scene]:+.1f} %" for of_scenes in gains.values()]
        lines.append(f"| {scene.removeprefix('scene-')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: Results, picture: Path) -> None:
    """Validation MAE over images seen, and the test MAE of every run."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    for number, (arm, runs) in enumerate(results.items()):
        colour = plt.colormaps["tab20"](number)
        for seed, run in runs.items():
            left.plot(
                *np.array(run["validation_mae"]).reshape(-1, 2).T,
                color=colour,
                alpha=0.8,
                label=arm if seed == min(runs) else None,
            )
        right.plot([number] * len(runs), [mae(run) for run in runs.values()], "o", color=colour)
    left.set(xlabel="images seen", ylabel="validation MAE up to 80 m [m]")
    figure.legend(loc="outside lower center", ncols=5, fontsize=8)
    right.set_xticks(range(len(results)), results, rotation=30, ha="right")
    right.set(ylabel="test MAE up to 80 m, exact depth [m]")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def _gain(
    results: Results, arm: str, baseline: str, error: Callable[[dict[str, Any]], float]
) -> str:
    mean, half, seeds = gain(results, arm, baseline, error)
    if math.isnan(mean):
        return "no common seed"
    return f"{mean:+.1f} % ({'one seed' if half is None else f'± {half:.1f}, {seeds} seeds'})"


def _gain_cells(results: Results, arm: str, baseline: str) -> tuple[str, str]:
    scenes = np.array(list(gain_of_scenes(results, arm, baseline).values()))
    interval = f"± {half_interval(scenes):.1f}" if len(scenes) else ""
    return _gain(results, arm, baseline, mae), interval


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plan", default="128x64", help="of plans/ (default: %(default)s)")
    args = parser.parse_args()
    plan = yaml.safe_load(plan_of(args.plan).read_text())
    found, baselines = read_results(plan, results_of(args.plan)), baselines_of(plan)
    print(table(found, baselines), seeds_table(found), scenes_table(found, baselines), sep="\n\n")
    draw(found, DOCS / f"ablation-{args.plan}.png")


if __name__ == "__main__":
    main()
