"""`lircdepth calibrate`: give a model sigma and intervals in metres."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys

from lircdepth_core.arguments import add_samples
from lircdepth_core.errors import InputError
from lircdepth_core.inference import MAX_NETWORK_PIXELS, Predictor
from lircdepth_core.inference.model_files import change_description, find_model, read_description
from lircdepth_core.network import MAX_DEPTH
from lircdepth_core.output_folder import output_folder
from lircdepth_core.result_files import write_atomically

REPORT_FILE = "calibration.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth calibrate`."""
    parser.epilog = (
        "model.yaml is replaced in one step, and calibration.json beside it says what it was "
        "fitted on and how well it holds. Give samples that the network has not learned from."
    )
    parser.add_argument("model", metavar="MODEL", help="model folder; its head must be trained")
    add_samples(parser)
    parser.add_argument(
        "--truth",
        choices=("exact", "single_scan"),
        required=True,
        help="which depth is true: exact, which generated drives have, or the lidar's single scan",
    )
    parser.add_argument(
        "--cap",
        type=float,
        default=MAX_DEPTH,
        metavar="METRES",
        help="truth beyond is not used (default: %(default)g, as far as the network can see)",
    )
    parser.add_argument(
        "--pixels-per-image",
        type=int,
        default=2000,
        metavar="N",
        help="taken at random, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--bad-exposures",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of how many images an almost black form is used besides, an almost white one, and "
        "one behind a grey veil: images that show next to nothing have a calibration of their own; "
        "how far it holds is in the table by exposure (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of that (default: %(default)s)")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument(
        "--max-network-pixels",
        type=int,
        default=MAX_NETWORK_PIXELS,
        metavar="N",
        help="shrink larger images further than the model asks; sigma then fits that bound alone "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth calibrate`; errors are raised as `InputError`.

    Returns:
        The exit status: 0, or 1 if a damaged shard or sample was skipped.
    """
    if not 0 < args.cap <= MAX_DEPTH:
        raise InputError(f"--cap {args.cap:g}: give more than 0 and up to {MAX_DEPTH:g} metres")
    if args.pixels_per_image < 1:
        raise InputError(f"--pixels-per-image {args.pixels_per_image}: give 1 or more")
    if not 0 <= args.bad_exposures <= 1:
        raise InputError(f"--bad-exposures {args.bad_exposures:g}: give a number from 0 to 1")
    if args.seed < 0:
        raise InputError(f"--seed {args.seed}: give 0 or more")
    folder = find_model(args.model)
    description = read_description(folder)
    if not (description.trained and description.uncertainty_trained):
        raise InputError(f"{folder}: its network and uncertainty head must be trained first")
    from lircdepth_core.calibration.fit import LEAST_PIXELS, fit_calibrations
    from lircdepth_core.calibration.pixel_errors import collect_errors
    from lircdepth_core.calibration.report import coverage_tables, cross_validated
    from lircdepth_core.evaluation.sources import PreparedSamples
    from lircdepth_core.progress import Progress

    source = PreparedSamples(tuple(args.data))
    progress, total, done = Progress("images"), source.count(), itertools.count(1)
    with output_folder(folder):  # one of an installation, for example, cannot be written to
        predictor = Predictor.load(
            folder, args.device, backend="torch", max_network_pixels=args.max_network_pixels
        )
        errors = collect_errors(
            source,
            predictor,
            truth=args.truth,
            cap=args.cap,
            pixels_per_image=args.pixels_per_image,
            bad_exposures=args.bad_exposures,
            seed=args.seed,
            progress=lambda: progress(next(done), total),
        )
        print("fitting, and checking on scenes left out ...", file=sys.stderr, flush=True)
        fitted = fit_calibrations(errors)
        held_out = cross_validated(errors)
        description = change_description(
            folder, description, calibration=fitted.ordinary, blind_calibration=fitted.blind
        )
        report = {
            "weights": dataclasses.asdict(description.weights),
            "data": list(args.data),
            "truth": args.truth,
            "cap": args.cap,
            "images": errors.images,
            "bad_exposures": args.bad_exposures,
            "max_network_pixels": args.max_network_pixels,
            "notes": list(errors.notes),
            "scenes": list(errors.scenes),
            "pixels": len(errors.error),
            "skipped": list(errors.skipped),
            "held_out": held_out,
        }
        text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False)
        write_atomically(folder / REPORT_FILE, text)
    print(
        f"{folder}: calibrated on {len(errors.error)} pixels of {errors.images} images, "
        f"{len(errors.scenes)} scenes"
    )
    for note in errors.notes:
        print(f"note: {note}", file=sys.stderr)
    if held_out:
        print("\n\n".join(table.text() for table in coverage_tables(held_out)))
    else:
        print(
            "how well it holds elsewhere was not checked: with some scenes left out, fewer than "
            f"{LEAST_PIXELS} pixels remain",
            file=sys.stderr,
        )
    for reason in errors.skipped:
        print(f"skipped: {reason}")
    return 1 if errors.skipped else 0
