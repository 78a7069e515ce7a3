"""Whether sigma grows in fog and at night, of the same streets as on a clear day.

    python experiments/uncertainty/conditions.py MODEL DRIVES --out DIR

Test drives of other weathers show other streets, so their sigmas tell nothing of the weather. Here
the same drives are generated under each condition, image by image from the same place, and kept in
DRIVES: the same command goes on after an interruption. Compared is with exact depth up to 80 m.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lircdepth_core.evaluation.sample_prediction import predict_sample
from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.inference import Predictor
from lircdepth_core.output_folder import output_folder
from lircdepth_core.result_files import write_atomically

DRIVES = Path(__file__).resolve().parents[1] / "shipped_models" / "drives.yaml"
CAP = 80.0
"""Metres."""

SEED, SCENES, DURATION = 206, 8, 10
"""Of the drives, of no other ones' seed; seconds of each."""

USUAL = ("clear", "day")
CONDITIONS = (USUAL, ("fog", "day"), ("clear", "night"))


def make_samples(weather: str, light: str, out: Path) -> Path:
    """Drives under a condition, and their samples' folder."""
    name = f"{weather}-{light}"
    drives, samples = out / "drives" / name, out / "samples" / name
    options = [str(option) for option in yaml.safe_load(DRIVES.read_text())["options"]]
    options += ["--scenes", str(SCENES), "--duration", str(DURATION), "--seed", str(SEED)]
    options += ["--weather", weather, "--light", light]
    lircdepth = [sys.executable, "-m", "lircdepth_core.cli"]
    subprocess.run([*lircdepth, "drive", drives, *options], check=True)
    leave_out = ["--leave-out", "accumulated", "dense"]
    subprocess.run([*lircdepth, "prepare", drives, samples, *leave_out], check=True)
    return samples


def rows(predictor: Predictor, samples: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """(N, 3) of each image the median sigma, the mean error and the share within sigma; and the
    exact depths, every eighth row and column.
    """
    found, places = [], []
    for _, sample in PreparedSamples((str(samples),))(lambda number: True, print):
        assert sample.exact is not None
        prediction = predict_sample(predictor, sample, sample.radar_returns())
        known = (sample.exact <= CAP) & np.isfinite(prediction.depth)
        error = np.abs(prediction.depth - sample.exact)[known]
        sigma = prediction.sigma[known]
        found.append((np.median(sigma), error.mean(), (error <= sigma).mean()))
        places.append(sample.exact[::8, ::8])
    return np.array(found), places


def summary(found: np.ndarray, usual: np.ndarray) -> dict[str, float]:
    """Medians and means over images, and over pairs with the usual condition's."""
    ratio = found[:, 0] / usual[:, 0]
    return {
        "median_sigma": float(np.median(found[:, 0])),
        "mae": float(found[:, 1].mean()),
        "within_sigma": float(found[:, 2].mean()),
        "sigma_ratio": float(np.median(ratio)),
        "sigma_grew": float((ratio > 1).mean()),
        "error_ratio": float(np.median(found[:, 1] / usual[:, 1])),
    }


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("drives", type=Path, help="folder of the drives and their samples")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets conditions.json")
    args = parser.parse_args()
    with output_folder(args.out):
        told = _measured(args.model, args.drives)
        write_atomically(args.out / "conditions.json", json.dumps(told, indent=1, allow_nan=False))
    print(json.dumps(told["conditions"], indent=1))


def _measured(model: Path, drives: Path) -> dict[str, Any]:
    """What conditions.json holds; ends with an error if the streets are not the same."""
    predictor = Predictor.load(model, device="cpu")
    if predictor.model.calibration is None:
        raise SystemExit(f"{model}: not calibrated; run lircdepth calibrate first")
    measured = {pair: rows(predictor, make_samples(*pair, drives)) for pair in CONDITIONS}
    usual, streets = measured[USUAL]
    for pair, (found, places) in measured.items():
        pairs = zip(places, streets, strict=False)
        same = [np.isclose(a, b, atol=0.1, equal_nan=True).mean() for a, b in pairs]
        print(f"{' '.join(pair)}: {np.mean(same):.1%} of the depths are those of the usual day")
        if len(found) != len(usual) or np.mean(same) < 0.9:
            raise SystemExit(f"{drives}: not the same streets under {' '.join(pair)}")
    told = {" ".join(pair): summary(found, usual) for pair, (found, _) in measured.items()}
    described = hashlib.sha256((model / "model.yaml").read_bytes()).hexdigest()
    return {"model_yaml": described, "images": len(usual), "conditions": told}


if __name__ == "__main__":
    main()
