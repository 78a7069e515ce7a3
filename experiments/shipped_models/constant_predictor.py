"""The error of the simplest predictor: for every pixel the median depth of the training drives.

    python experiments/shipped_models/constant_predictor.py TRAIN... --test TEST --out FILE.json

Truth is exact depth up to 80 m, in the median as in the error; the error is averaged over images,
as `lircdepth evaluate` does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.output_folder import output_folder
from lircdepth_core.result_files import write_atomically

CAP = 80.0
"""Metres."""

EVERY = 4
"""Of the training samples every fourth is used: neighbours in time show the same street."""


def main() -> None:
    """Print the error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "train", nargs="+", help="folders of lircdepth prepare; images of one size and view"
    )
    parser.add_argument("--test", required=True, help="the same, of other drives")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    with output_folder(args.out.parent):
        train = PreparedSamples(tuple(args.train))
        maps = [s.exact for _, s in train(lambda number: number % EVERY == 0, print)]
        known = np.stack([np.where(depth <= CAP, depth, np.nan) for depth in maps])
        # Row by row: a median over all pixels at once would copy everything.
        constant = np.stack([np.nanmedian(known[:, row], axis=0) for row in range(known.shape[1])])
        constant[np.isnan(constant)] = CAP
        errors = []
        for _, sample in PreparedSamples((args.test,))(lambda number: True, print):
            valid = sample.exact <= CAP
            if sample.exact.shape != constant.shape:
                constant = cv2.resize(constant, sample.exact.shape[::-1])
            errors.append(np.abs(constant - sample.exact)[valid].mean())
        found = {"training_images": len(maps), "images": len(errors), "mae": float(np.mean(errors))}
        write_atomically(args.out, json.dumps(found))
    print(
        f"{len(maps)} training images, {len(errors)} test images: MAE {np.mean(errors):.3f} m "
        f"up to {CAP:g} m"
    )


if __name__ == "__main__":
    main()
