"""Whether a model's sigma knows more than simple rules, and whether it grows where it should.

    python experiments/uncertainty/measure.py MODEL SAMPLES --out FILE.json

SAMPLES are generated drives, prepared; compared is with exact depth up to 80 m, no sky. The
rules: sigma from the predicted depth alone, the disagreement of the student's intermediate depths,
and the distance to the nearest radar return in the image. What is changed in every image: radar
removed, the image black, white, or seen through a veil that leaves little or no contrast. And what
the model says of the sky, which has no depth.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.evaluation.ranking import SPARSIFIED, rank
from lircdepth_core.inference.calibration import SIGMA_SHARE, Calibration
from lircdepth_core.inference.model_description import ModelDescription
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.inference.visible_structure import structure_share
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD, MAX_DEPTH, StudentOutput
from lircdepth_core.network.deployment import folded
from lircdepth_core.output_folder import output_folder
from lircdepth_core.processors import usable_processors
from lircdepth_core.result_files import write_atomically
from lircdepth_core.worker_process import end_with_parent

CAP = 80.0
"""Metres."""

NEAR = 50.0
"""Metres; what is nearer may be taken for an obstacle."""

VEIL_CONTRAST = 0.04
"""What is left of it, as of a lens that is fogged up or covered; less than in fog."""

Maps = dict[str, np.ndarray]
Network = Callable[[torch.Tensor, torch.Tensor], StudentOutput]


def scores(output: StudentOutput, radar: np.ndarray, calibration: Calibration) -> Maps:
    """(h, w) of each: larger where more uncertain."""
    depth = output.depth[0, 0].numpy()
    inter = [MAX_DEPTH * d[0, 0].numpy() for d in output.inter_depths]
    no_return = (radar[0] == 0).astype(np.uint8)
    far = np.full(depth.shape, np.hypot(*depth.shape), np.float32)
    nearest = cv2.distanceTransform(no_return, cv2.DIST_L2, 5) if not no_return.all() else far
    return {
        "nothing, at random": np.zeros_like(depth),
        "sigma": calibration(depth, output.uncertainty[0, 0].numpy(), SIGMA_SHARE),
        "predicted depth": depth,
        "disagreement of intermediate depths": np.std([depth, *inter], axis=0),
        "distance to the nearest radar return": nearest,
    }


def calibration_for(description: ModelDescription, image: torch.Tensor) -> Calibration:
    """As the Predictor chooses it, by what an image (1, 3, h, w), as the network sees it, shows."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    pixels = ((image[0] * std + mean) * 255).round().clip(0, 255).to(torch.uint8)
    shown = structure_share(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    calibration = description.calibration_for(shown)
    assert calibration is not None  # see rows
    return calibration


def depth_and_sigma(
    network: Network, batch: Batch, as_it_is: StudentOutput, description: ModelDescription
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(h, w) depth and sigma of the image, whose output is given, and of what is made of it."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    black, grey, white = (
        (torch.zeros_like(batch.image) + light - mean) / std for light in (0.0, 0.5, 1.0)
    )
    veiled = VEIL_CONTRAST * batch.image + (1 - VEIL_CONTRAST) * grey
    changed = {
        "radar removed": (batch.image, torch.zeros_like(batch.radar)),
        "image black": (black, batch.radar),
        "image saturated": (white, batch.radar),
        "image grey": (grey, batch.radar),
        f"image veiled, {VEIL_CONTRAST:.0%} of its contrast": (veiled, batch.radar),
    }
    outputs = {"as it is": (batch.image, as_it_is)}
    outputs |= {name: (inputs[0], network(*inputs)) for name, inputs in changed.items()}
    found = {}
    for name, (image, output) in outputs.items():
        depth, uncertainty = output.depth[0, 0].numpy(), output.uncertainty[0, 0].numpy()
        calibration = calibration_for(description, image)
        found[name] = depth, calibration(depth, uncertainty, SIGMA_SHARE)
    return found


Triples = list[tuple[float, float, float]]
Rows = tuple[dict[str, list[np.ndarray]], dict[str, Triples], Triples]


def rows(model: Path, samples: str, images: int | None, part: int, parts: int) -> Rows:
    """Of every `parts`th image: AUSE of each score; of each change the median sigma, the mean error
    and the share within sigma; and of its sky the median depth, the share that is `NEAR`, and the
    median sigma.
    """
    if parts > 1:
        torch.set_num_threads(1)
    description = read_description(model)
    if description.calibration is None:
        raise SystemExit(f"{model}: not calibrated; run lircdepth calibrate first")
    network = folded(load_network(model, description).eval())
    network = network.to(memory_format=torch.channels_last)
    seen = description.input
    areas: dict[str, list[np.ndarray]] = {}
    changes: dict[str, Triples] = {}
    skies: Triples = []
    # The middle of nuScenes' images at this focal length, in steps of 32.
    width, height = (round(n * seen.focal_length / 1266.417) // 32 * 32 for n in (1600, 900))
    spec = InputSpec(height, width, seen.focal_length, seen.interpolation)
    batches = TrainingBatches(samples, spec, 1, training=False, dense_from="exact")
    for number, batch in enumerate(batches):
        if number == images:
            break
        if number % parts != part:
            continue
        with torch.no_grad():
            output = network(batch.image, batch.radar)
            changed = depth_and_sigma(network, batch, output, description)
        truth = batch.exact[0, 0].numpy()
        known = (truth > 0) & (truth <= CAP)
        if not known.any():
            raise SystemExit(f"{samples}: {batch.keys[0]} has no exact depth up to {CAP:g} m")
        error = np.abs(output.depth[0, 0].numpy() - truth)[known]
        calibration = calibration_for(description, batch.image)
        for name, score in scores(output, batch.radar[0].numpy(), calibration).items():
            ranking = rank(score[known], error, truth[known])
            areas.setdefault(name, []).append(ranking.ause)
        for name, (depth, sigma) in changed.items():
            wrong = np.abs(depth - truth)[known]
            held = float((wrong <= sigma[known]).mean())
            row = float(np.median(sigma[known])), float(wrong.mean()), held
            changes.setdefault(name, []).append(row)
        sky = np.isposinf(truth)
        if sky.any():
            depth, sigma = (values[sky] for values in changed["as it is"])
            near = float((depth < NEAR).mean())
            skies.append((float(np.median(depth)), near, float(np.median(sigma))))
    return areas, changes, skies


def measure(model: Path, samples: str, images: int | None, workers: int) -> dict[str, object]:
    """AUSE of every score, averaged over images; and for each change the median over images of
    the median sigma, and the means over images of the error and of the share within sigma. Of the
    sky medians over images, and the mean of the share that is near.
    """
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=end_with_parent
    ) as pool:
        begun = [pool.submit(rows, model, samples, images, k, workers) for k in range(workers)]
        found = [future.result() for future in begun]
    # Of more workers than images some have seen none; the first has, if any.
    areas = {
        name: [row for part, *_ in found for row in part.get(name, [])] for name in found[0][0]
    }
    changes = {
        name: [row for _, part, _ in found for row in part.get(name, [])] for name in found[0][1]
    }
    if not changes:
        raise SystemExit(f"{samples}: no samples")
    return {
        "model_yaml": hashlib.sha256((model / "model.yaml").read_bytes()).hexdigest(),
        "images": len(next(iter(changes.values()))),
        "ause": {
            name: dict(zip(SPARSIFIED, np.mean(values, axis=0).tolist(), strict=True))
            for name, values in areas.items()
        },
        "changes": {
            name: {
                "median_sigma": float(np.median([sigma for sigma, _, _ in values])),
                "mae": float(np.mean([error for _, error, _ in values])),
                "within_sigma": float(np.mean([held for _, _, held in values])),
            }
            for name, values in changes.items()
        },
        "sky": sky_of([row for *_, part in found for row in part]),
    }


def sky_of(skies: Triples) -> dict[str, float] | None:
    """What is said of the sky; None where no image shows any."""
    if not skies:
        return None
    depths, near, sigmas = zip(*skies, strict=True)
    return {
        "images": len(skies),
        "median_depth": float(np.median(depths)),
        f"nearer_than_{NEAR:g}": float(np.mean(near)),
        "median_sigma": float(np.median(sigmas)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", help="folder of lircdepth prepare")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, help="only so many")
    parser.add_argument("--workers", type=int, default=usable_processors(), help="processes (CPUs)")
    args = parser.parse_args()
    if args.images is not None and args.images < 1:
        parser.error(f"--images {args.images}: give 1 or more")
    with output_folder(args.out.parent):
        found = measure(args.model, args.samples, args.images, args.workers)
        write_atomically(args.out, json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
