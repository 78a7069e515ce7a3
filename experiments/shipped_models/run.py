"""Makes a shipped model: drives, samples, training, calibration, and its figures.

    python experiments/shipped_models/run.py OUT lircdepth
    python experiments/shipped_models/run.py OUT lircdepth-s-352x192
    python experiments/shipped_models/run.py OUT lircdepth-s

What is done is kept in OUT: the same command goes on after an interruption, and the models share
drives and samples. In the end OUT/NAME/model is the model folder with its card, OUT/NAME/evaluation
its figures on the test drives. lircdepth-s-352x192 begins with the image encoder that
`models/lircdepth` had once, which is taken from git's history, and lircdepth-s with
`models/lircdepth-s-352x192`. With --real-frame NUSCENES, a data set of real frames, the card tells
of these too.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import TrainingBatches
from lircdepth_core.inference.model_description import Crop, StoredWeights
from lircdepth_core.inference.model_files import load_network, read_description, write_model
from lircdepth_core.training.batch_statistics import estimate_statistics

HERE = Path(__file__).resolve().parent
ABLATION = HERE.parent / "ablation" / "run.py"
ABLATION_PLAN = "224x128"
UNCERTAINTY = HERE.parent / "uncertainty"
CONFIGS = HERE.parents[1] / "config"
MODELS_FOLDER = HERE.parents[1] / "models"
SPLITS = ("train", "more_train", "validation", "calibration", "test")
MODELS = ("lircdepth", "lircdepth-s-352x192", "lircdepth-s")

LIRCDEPTH = ("-m", "lircdepth_core.cli")

STATISTICS_BATCHES = 60
"""Of four images."""


def run(*arguments: Any) -> None:
    """Run Python; its output is this program's, and so is its Ctrl-C, whose end is waited for."""
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # a training writes a checkpoint first
            raise
    if status:
        raise subprocess.CalledProcessError(status, command)


def make_data(drives: dict[str, Any], out: Path) -> None:
    """Drives and samples of the splits; exact depth needs no lidar sweeps."""
    for split in SPLITS:
        root = out / "drives" / split
        scenes, seed = drives[split]["scenes"], drives[split]["seed"]
        run(*LIRCDEPTH, "drive", root, "--scenes", scenes, "--seed", seed, *drives["options"])
        leave_out = ("--leave-out", "accumulated", "dense")
        run(*LIRCDEPTH, "prepare", root, out / "samples" / split, *leave_out)


def train(name: str, recipe: dict[str, Any], out: Path, device: str) -> Path:
    """The stages, each from the one before; the last one's model."""
    ablation = out / "ablation"
    begins_with = recipe.get("begins_with")
    if begins_with or any("ablation" in stage["data"] for stage in recipe["stages"]):
        # Without a run to begin with, the ablation is only asked for its data.
        wanted = ("--only", begins_with) if begins_with else ("--data-only",)
        run(ABLATION, ablation, "--plan", ABLATION_PLAN, *wanted, "--device", device)
    model = ablation / "runs" / begins_with / "model" if begins_with else None
    if "model" in recipe:
        model = shipped_then(recipe["model"], out)
    start = (f"start.model={model}", "start.image_encoder=null") if model else ()
    if "image_encoder" in recipe:
        start = (f"start.image_encoder={shipped_then(recipe['image_encoder'], out)}",)
    for stage in recipe["stages"]:
        folder = out / name / "runs" / stage["name"]
        model = train_stage(recipe, stage, start, folder, out, device)
        start = (f"start.model={model}", "start.image_encoder=null")
    assert model is not None
    return model


def train_stage(
    recipe: dict[str, Any],
    stage: dict[str, Any],
    start: tuple[str, ...],
    folder: Path,
    out: Path,
    device: str,
) -> Path:
    """One stage, from what the settings `start` name, in a run's folder; its model.

    It goes on where it was, and where it was done only writes the model again.
    """
    places = {
        "ablation": out / "ablation" / "samples" / "train",
        "drives": out / "samples" / "train",
        "more_drives": out / "samples" / "more_train",
    }
    settings = [
        *recipe["settings"],
        *stage["settings"],
        *start,
        f"data.train=[{','.join(str(places[place]) for place in stage['data'])}]",
        f"data.validation=[{out / 'samples' / 'validation'}]",
    ]
    launcher: tuple[Any, ...] = ()
    if stage["processes"] > 1:
        launcher = ("-m", "torch.distributed.run", "--nproc-per-node", stage["processes"])
    config = CONFIGS / f"{stage.get('config', recipe['config'])}.yaml"
    command = ("train", recipe["network"], "--config", config, "--out", folder)
    run(*launcher, *LIRCDEPTH, *command, "--device", device, "--set", *settings)
    return folder / "model"


def shipped_then(begins: dict[str, str], out: Path) -> Path:
    """The model folder that a recipe begins with: of `models`, or as it was there.

    Args:
        begins: `of`, the folder's name; `sha256` of its weights; a `commit` that has them.
        out: the folder that one of another commit is put into.

    Raises:
        SystemExit: the weights are others than the recipe's, and git does not have those.
    """
    folder = MODELS_FOLDER / begins["of"]
    if weights_of(folder) == begins["sha256"]:
        return folder
    before = out / f"{begins['of']}-of-{begins['commit'][:7]}"
    before.mkdir(parents=True, exist_ok=True)
    for file in ("model.yaml", "weights.safetensors"):
        kept = f"{begins['commit']}:models/{begins['of']}/{file}"
        found = subprocess.run(["git", "-C", HERE, "show", kept], capture_output=True, check=False)
        if found.returncode:
            raise SystemExit(
                f"{folder}: its weights are other ones than this recipe began with, and git has no "
                f"{kept} ({found.stderr.decode().strip()}); clone the whole history, or change "
                "the recipe"
            )
        (before / file).write_bytes(found.stdout)
    if weights_of(before) != begins["sha256"]:
        raise SystemExit(f"{before}: its weights are not of the recipe's sha256")
    return before


def weights_of(folder: Path) -> str:
    """SHA-256 of a model's weights, as its model.yaml says."""
    weights = read_description(folder).weights
    assert isinstance(weights, StoredWeights)
    return weights.sha256


def ship(name: str, trained: Path, crop: Crop, out: Path) -> Path:
    """A copy of a model in half precision, which halves the file, that sees some of the rows."""
    description = read_description(trained)
    network = load_network(trained, description)
    description = dataclasses.replace(
        description,
        name=name,
        input=dataclasses.replace(description.input, crop=crop),
        weights=StoredWeights("", ""),
    )
    folder = out / "model"
    shutil.rmtree(folder, ignore_errors=True)
    write_model(folder, network, description, (trained / "README.md").read_text(), half=True)
    return folder


def with_fresh_statistics(
    trained: Path, recipe: dict[str, Any], data: list[Path], folder: Path
) -> Path:
    """A copy of a model, its batch normalisation measured anew on images without radar.

    Where no return is ever seen, the radar branch's activations vary next to nothing, and running
    means that lag a little behind are divided by that: 3.24 m of error instead of 2.97.
    """
    description = read_description(trained)
    network = load_network(trained, description)
    settings = dict(setting.split("=", 1) for setting in recipe["settings"])
    spec = InputSpec(
        int(settings["data.height"]),
        int(settings["data.width"]),
        description.input.focal_length,
        description.input.interpolation,
    )
    batches = TrainingBatches([str(folder) for folder in data], spec, 4, dense_from="exact")
    without_radar = (each._replace(radar=torch.zeros_like(each.radar)) for each in batches)
    estimate_statistics(network, itertools.islice(without_radar, STATISTICS_BATCHES))
    shutil.rmtree(folder, ignore_errors=True)
    write_model(folder, network, description, (trained / "README.md").read_text())
    return folder


def compare_without_radar(
    name: str, recipe: dict[str, Any], crop: Crop, out: Path, device: str
) -> None:
    """Train and evaluate a student of as many image-steps that does without radar.

    It begins as a stage began, and learns as it did, image by image, but never sees a return. Of
    its evaluation `none` counts: with radar it is shown what it was not taught.
    """
    without, runs = recipe["camera_only"], out / name / "runs"
    names = [stage["name"] for stage in recipe["stages"]]
    number = names.index(without["stage"])
    stage = dict(recipe["stages"][number])
    stage["settings"] = [*stage["settings"], *without["settings"]]
    start = (f"start.model={runs / names[number - 1] / 'model'}", "start.image_encoder=null")
    folder = out / name / "camera_only"
    trained = train_stage(recipe, stage, start, folder / "run", out, device)
    samples = out / "samples"
    data = [samples / "train", samples / "more_train"]
    fresh = with_fresh_statistics(trained, recipe, data, folder / "fresh")
    model = ship("camera-only", fresh, crop, folder)
    evaluation = ("--out", folder / "evaluation", "--radar", "none", "--device", device)
    run(*LIRCDEPTH, "evaluate", model, samples / "test", *evaluation)


def measure(
    name: str, recipe: dict[str, Any], model: Path, out: Path, device: str, real: Path | None
) -> None:
    """Calibrate, then all that the card tells."""
    samples, folder = out / "samples", out / name
    run(*LIRCDEPTH, "calibrate", model, samples / "calibration", "--truth", "exact")
    if recipe.get("quantise"):
        run(*LIRCDEPTH, "quantise", model, samples / "calibration")
    evaluation = ("--out", folder / "evaluation", "--radar", "none")
    run(*LIRCDEPTH, "evaluate", model, samples / "test", *evaluation, "--device", device)
    if real is not None:
        run(*LIRCDEPTH, "prepare", real, out / "real_samples", "--keep-last")
        evaluation = ("--out", folder / "real_frame", "--device", device)
        run(*LIRCDEPTH, "evaluate", model, out / "real_samples", *evaluation)
    run(UNCERTAINTY / "measure.py", model, samples / "test", "--out", folder / "uncertainty.json")
    run(UNCERTAINTY / "conditions.py", model, out / "conditions", "--out", folder)
    train = (samples / "train", samples / "more_train")
    constant = ("--test", samples / "test", "--out", folder / "constant.json")
    run(HERE / "constant_predictor.py", *train, *constant)
    run(HERE / "card.py", folder, model)


def main() -> None:
    """Make what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of drives, samples, runs and the models")
    parser.add_argument("name", choices=MODELS, help="which one")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--real-frame", type=Path, metavar="NUSCENES", help="root of a data set")
    args = parser.parse_args()
    recipe = yaml.safe_load((HERE / f"{args.name}.yaml").read_text())
    out = args.out.resolve()
    for begins in ("image_encoder", "model"):
        if begins in recipe:
            shipped_then(recipe[begins], out)  # if it is nowhere, said before hours of drives
    make_data(yaml.safe_load((HERE / "drives.yaml").read_text()), out)
    trained = train(args.name, recipe, out, args.device)
    crop = Crop(**{"top": None, **recipe["crop"]})
    model = ship(args.name, trained, crop, out / args.name)
    if "camera_only" in recipe:
        compare_without_radar(args.name, recipe, crop, out, args.device)
    measure(args.name, recipe, model, out, args.device, args.real_frame)


if __name__ == "__main__":
    main()
