"""Makes the shipped student: drives, samples, training, calibration, and its figures.

    python experiments/shipped_model/run.py OUT

What is done is kept in OUT: the same command goes on after an interruption. In the end OUT/model is
the model folder with its card, OUT/evaluation its figures on the test drives.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lircdepth_core.inference.model_description import Crop, StoredWeights
from lircdepth_core.inference.model_files import load_network, read_description, write_model

HERE = Path(__file__).resolve().parent
ABLATION = HERE.parent / "ablation" / "run.py"
UNCERTAINTY = HERE.parent / "uncertainty" / "measure.py"
CONFIGS = HERE.parents[1] / "config"
SPLITS = ("train", "validation", "calibration", "test")

LIRCDEPTH = ("-m", "lircdepth_core.cli")


def run(*arguments: Any) -> None:
    """Run Python; its output is this program's."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


def make_data(drives: dict[str, Any], out: Path) -> None:
    """Drives and samples of the four splits; exact depth needs no lidar sweeps."""
    for split in SPLITS:
        root = out / "drives" / split
        scenes, seed = drives[split]["scenes"], drives[split]["seed"]
        run(*LIRCDEPTH, "drive", root, "--scenes", scenes, "--seed", seed, *drives["options"])
        leave_out = ("--leave-out", "accumulated", "dense")
        run(*LIRCDEPTH, "prepare", root, out / "samples" / split, *leave_out)


def train(recipe: dict[str, Any], out: Path, device: str) -> Path:
    """The stages, each from the one before; the last one's model."""
    ablation = out / "ablation"
    run(ABLATION, ablation, "--only", recipe["begins_with"], "--device", device)
    places = {
        "ablation": ablation / "samples" / "train",
        "drives": out / "samples" / "train",
    }
    model = ablation / "runs" / recipe["begins_with"] / "model"
    for stage in recipe["stages"]:
        folder = out / "runs" / stage["name"]
        settings = [
            *recipe["settings"],
            *stage["settings"],
            f"start.model={model}",
            f"data.train=[{','.join(str(places[name]) for name in stage['data'])}]",
            f"data.validation=[{out / 'samples' / 'validation'}]",
        ]
        launcher: tuple[Any, ...] = ()
        if stage["processes"] > 1:
            launcher = ("-m", "torch.distributed.run", "--nproc-per-node", stage["processes"])
        config = CONFIGS / f"{stage.get('config', 'train_student_scratch')}.yaml"
        command = ("train", "student", "--config", config, "--out", folder, "--device", device)
        # It goes on where it was, and where it was done only writes the model again.
        run(*launcher, *LIRCDEPTH, *command, "--set", *settings)
        model = folder / "model"
    return model


def ship(trained: Path, crop: Crop, out: Path) -> Path:
    """A copy of a model in half precision, which halves the file, that sees some of the rows."""
    description = read_description(trained)
    network = load_network(trained, description)
    description = dataclasses.replace(
        description,
        name="lircdepth",
        input=dataclasses.replace(description.input, crop=crop),
        weights=StoredWeights("", ""),
    )
    folder = out / "model"
    shutil.rmtree(folder, ignore_errors=True)
    write_model(folder, network, description, (trained / "README.md").read_text(), half=True)
    return folder


def main() -> None:
    """Make what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of drives, samples, runs and the model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    args = parser.parse_args()
    recipe = yaml.safe_load((HERE / "recipe.yaml").read_text())
    out = args.out.resolve()
    make_data(recipe["drives"], out)
    model = ship(train(recipe, out, args.device), Crop(**recipe["crop"]), out)
    samples = out / "samples"
    run(*LIRCDEPTH, "calibrate", model, samples / "calibration", "--truth", "exact")
    evaluation = ("--out", out / "evaluation", "--radar", "none")
    run(*LIRCDEPTH, "evaluate", model, samples / "test", *evaluation, "--device", args.device)
    run(UNCERTAINTY, model, samples / "test", "--out", out / "uncertainty.json")
    constant = ("--out", out / "constant.json")
    run(HERE / "constant_predictor.py", samples / "train", samples / "test", *constant)
    run(HERE / "card.py", out, model)


if __name__ == "__main__":
    main()
