"""The model card of a shipped model, every figure from files that other commands wrote.

    python experiments/shipped_models/card.py OUT/NAME MODEL

OUT is the folder of run.py, when it is done; with an evaluation of a real frame in
OUT/NAME/real_frame the card tells of it. The card becomes MODEL/README.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jinja2
import yaml

from lircdepth_core.inference.model_files import read_description

HERE = Path(__file__).resolve().parent
RADAR = {"full": "as measured", "half": "half of the returns", "none": "none"}


def card(out: Path, model: Path) -> str:
    """The text."""

    def read(name: str) -> Any:
        return json.loads((out / name).read_text(encoding="utf-8"))

    description = read_description(model)

    def evaluated(folder: str) -> Any:
        found = read(f"{folder}/evaluation.json")
        if found["model"]["weights"] != dataclasses.asdict(description.weights):
            raise SystemExit(
                f"{out / folder}: of other weights than {model} has; evaluate it again"
            )
        return found

    described = hashlib.sha256((model / "model.yaml").read_bytes()).hexdigest()

    def measured(name: str) -> Any:
        found = read(name)
        if found["model_yaml"] != described:
            raise SystemExit(f"{out / name}: of another model than {model} is; measure it again")
        return found

    evaluation = evaluated("evaluation")
    real = None
    if (out / "real_frame").exists():
        real = evaluated("real_frame")["truths"]["single_scan"]["by_radar"]["full"]
    camera_only = None
    if (out / "camera_only").exists():
        truth = read("camera_only/evaluation/evaluation.json")["truths"]["exact"]
        camera_only = truth["by_radar"]["none"]["depth"]["80"]["mae"]
    exact, scan = evaluation["truths"]["exact"], evaluation["truths"]["single_scan"]
    recipe, drives = (
        yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in (description.name, "drives")
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment.get_template("card.md.j2").render(
        name=description.name,
        about=recipe["card"],
        drives=drives,
        seen=description.input,
        steps=[_image_steps(stage) for stage in recipe["stages"]],
        evaluation=evaluation,
        exact=exact,
        scan=scan["by_radar"]["full"],
        full=exact["by_radar"]["full"]["uncertainty"],
        uncertainty=measured("uncertainty.json"),
        constant=read("constant.json")["mae"],
        radar=RADAR,
        real=real,
        conditions=measured("conditions.json"),
        quantised=recipe.get("quantise", False),
        camera_only=camera_only,
        blind=description.blind_calibration is not None,
    )


def _image_steps(stage: dict[str, Any]) -> str:
    """How many a stage has; in brackets those that only the uncertainty head learns from."""
    settings = dict(setting.split("=", 1) for setting in stage["settings"])
    steps = f"{int(settings['length.image_steps']):,}"
    return f"({steps})" if stage.get("config") == "train_uncertainty" else steps


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of a model of run.py")
    parser.add_argument("model", type=Path, help="model folder whose README.md it becomes")
    args = parser.parse_args()
    (args.model / "README.md").write_text(card(args.out, args.model), encoding="utf-8")


if __name__ == "__main__":
    main()
