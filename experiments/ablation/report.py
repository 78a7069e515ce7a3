"""Tables and curves of docs/ablation.md from `results/`.

    python experiments/ablation/report.py

Prints the tables in Markdown and writes docs/ablation.png.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from run import STREAMS
from scipy import stats

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parents[1] / "docs" / "ablation.png"
COMPARED = (
    "features",
    "structure",
    "inter_depth",
    "all",
    "all_but_radar_feature",
    "all_plain_l1",
    "hints_structure",
    "all_scan",
)
BASELINES = {
    "teacher_12000": "none_12000",
    **dict.fromkeys(COMPARED, "none"),
    "all_plain_l1": "all",
    "all_scan": "none_scan",
}
"""Whom an arm is compared with: the student without distillation of the same image-steps; that with
plain L1 or with sparse labels, with the one that differs from it in nothing else."""
ORDER = ("teacher_12000", "none_12000", "none", "none_scan", *COMPARED)

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

Results = dict[str, dict[int, dict[str, Any]]]
"""Figures by arm and seed."""


def read_results() -> Results:
    """All that is there, in the order of the table."""
    found: Results = defaultdict(dict)
    for path in (HERE / "results").glob("*.json"):
        figures = json.loads(path.read_text())
        found[figures["arm"]][figures["seed"]] = figures
    results = {arm: dict(sorted(found[arm].items())) for arm in ORDER if arm in found}
    for arm in results:
        check_comparable(results, arm)
    return results


def check_comparable(results: Results, arm: str) -> None:
    """See that an arm's runs and its baseline's differ in nothing but what the arm is about.

    Raises:
        ValueError: it names the two runs and the fields of their configurations.
    """
    for ours, theirs in pairs_with_baseline(results, arm) if arm in BASELINES else ():
        one, other = leaves(ours["configuration"]), leaves(theirs["configuration"])
        differing = {name for name in one.keys() | other if one.get(name) != other.get(name)}
        differing -= MAY_DIFFER
        if ours["network"] != theirs["network"]:
            may = {name for name in differing if name.startswith(MAY_DIFFER_BETWEEN_NETWORKS)}
            differing -= may - set(LABELS)
        differing |= {name for name in ("precision", "image_steps") if ours[name] != theirs[name]}
        if differing:
            raise ValueError(
                f"{arm}-{ours['seed']} and {BASELINES[arm]}-{theirs['seed']} differ in "
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


def gain(results: Results, arm: str) -> tuple[float, float | None, int]:
    """By how many percent an arm's MAE is below its baseline's of the same seeds.

    Returns:
        The mean over seeds, half of its 95 % interval (Student's t over seeds; None for fewer than
        two), and how many seeds.
    """
    pairs = pairs_with_baseline(results, arm)
    gains = np.array([100 * (1 - mae(ours) / mae(theirs)) for ours, theirs in pairs])
    if len(gains) < 2:
        return float(gains.mean()) if len(gains) else math.nan, None, len(gains)
    return float(gains.mean()), half_interval(gains), len(gains)


def gain_of_scenes(results: Results, arm: str) -> dict[str, float]:
    """By how many percent of its baseline's MAE over all scenes an arm's is below it in each one.

    The mean over seeds that both have; the mean over scenes is the gain, where these have equally
    many images.
    """
    pairs = pairs_with_baseline(results, arm)
    whole = np.mean([mae(theirs) for _, theirs in pairs])
    by_scene = "exact_mae_80_by_scene"
    return {
        scene: float(
            np.mean([theirs[by_scene][scene] - ours[by_scene][scene] for ours, theirs in pairs])
            * 100
            / whole
        )
        for scene in (pairs[0][0][by_scene] if pairs else ())
    }


def pairs_with_baseline(results: Results, arm: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Figures of an arm's runs, each with those of its baseline of the same seed."""
    ours, theirs = results[arm], results.get(BASELINES[arm], {})
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def half_interval(values: np.ndarray) -> float:
    """Half of the 95 % interval of the mean of (N,) values, by Student's t."""
    count = len(values)
    return float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count))


def table(results: Results) -> str:
    """One line for each arm: means over its seeds."""
    lines = [
        "| arm | seeds | image-steps | MAE 50 m | MAE 70 m | MAE 80 m | RMSE 80 m | δ1 80 m | "
        "MAE 80 m, single scan | MAE 80 m, no radar | gain over seeds | interval over scenes |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
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
            f"{np.mean([run['without_radar_mae_80'] for run in every]):.3f}",
            *(_gain_cells(results, arm) if arm in BASELINES else ("", "")),
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


def scenes_table(results: Results) -> str:
    """The gain of every arm in each scene of the test."""
    gains = {arm: gain_of_scenes(results, arm) for arm in results if arm in BASELINES}
    gains = {arm: of_scenes for arm, of_scenes in gains.items() if of_scenes}
    scenes = sorted({scene for of_scenes in gains.values() for scene in of_scenes})
    lines = ["| scene | " + " | ".join(gains) + " |", "|---" * (len(gains) + 1) + "|"]
    for scene in scenes:
        cells = [f"{of_scenes[scene]:+.1f} %" for of_scenes in gains.values()]
        lines.append(f"| {scene.removeprefix('scene-')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: Results) -> None:
    """Validation MAE over images seen, and the test MAE of every run."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, (arm, runs) in enumerate(results.items()):
        colour = f"C{number}"
        for seed, run in runs.items():
            steps, errors = zip(*run["validation_mae"], strict=True)
            left.plot(
                steps,
                errors,
                color=colour,
                alpha=0.8,
                label=arm if seed == min(runs) else None,
            )
        right.plot([number] * len(runs), [mae(run) for run in runs.values()], "o", color=colour)
    left.set(xlabel="images seen", ylabel="validation MAE up to 80 m [m]")
    left.legend(fontsize=8)
    right.set_xticks(range(len(results)), results, rotation=30, ha="right")
    right.set(ylabel="test MAE up to 80 m, exact depth [m]")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(PICTURE, dpi=110)


def _gain_cells(results: Results, arm: str) -> tuple[str, str]:
    mean, half, seeds = gain(results, arm)
    if math.isnan(mean):
        return "no common seed", ""
    interval = "one seed" if half is None else f"± {half:.1f}, {seeds} seeds"
    scenes = np.array(list(gain_of_scenes(results, arm).values()))
    return f"{mean:+.1f} % ({interval})", f"± {half_interval(scenes):.1f}"


def main() -> None:
    """Print and draw."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    found = read_results()
    print(table(found), seeds_table(found), scenes_table(found), sep="\n\n")
    draw(found)


if __name__ == "__main__":
    main()
