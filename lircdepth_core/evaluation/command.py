"""`lircdepth evaluate`: how good a model's depth and uncertainty are on prepared samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from lircdepth_core.arguments import add_samples
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.options import RADAR_CHANGES, EvaluationOptions
from lircdepth_core.extras import not_installed
from lircdepth_core.inference import MAX_NETWORK_PIXELS
from lircdepth_core.inference.backends import BACKENDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth evaluate`."""
    parser.epilog = (
        "The exit status is 0 if all samples were measured, 1 if damaged shards or samples were "
        "skipped, which the output and both files name, 2 if nothing could be done, as with a "
        "wrong argument, and 130 after Ctrl-C."
    )
    default = EvaluationOptions()
    parser.add_argument("model", metavar="MODEL", help="model folder or name")
    add_samples(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("evaluation"),
        metavar="DIR",
        help="folder for evaluation.json and evaluation.html (default: %(default)s)",
    )
    parser.add_argument(
        "--caps",
        type=float,
        nargs="+",
        default=default.caps,
        metavar="METRES",
        help="truth is used up to each; uncertainty and breakdowns up to the last, those by sigma "
        "and by predicted depth up to 100 m "
        "(default: 50 70 80)",
    )
    parser.add_argument(
        "--range-step",
        type=float,
        default=default.range_step,
        metavar="METRES",
        help="width of the bins of true depth (default: %(default)g)",
    )
    parser.add_argument(
        "--coverage",
        type=float,
        nargs="+",
        default=default.coverage_shares,
        metavar="SHARE",
        help="shares of errors whose intervals are checked (default: 0.5 0.683 0.9 0.95)",
    )
    parser.add_argument(
        "--radar",
        nargs="*",
        choices=RADAR_CHANGES[1:],
        default=RADAR_CHANGES[1:],
        help="besides the radar as it is, evaluate without it, with half of its returns, and with "
        "every return where it was before; each takes as long again (default: all three)",
    )
    parser.add_argument(
        "--radar-shift",
        type=float,
        default=default.radar_shift,
        metavar="SECONDS",
        help="how much too old 'shifted' radar is: every return goes back by its velocity times "
        "this (default: %(default)g)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=default.seed,
        help="of the returns that 'half' keeps (default: %(default)s)",
    )
    parser.add_argument(
        "--clamp-to-cap",
        action="store_true",
        help="limit predictions to each cap before depth metrics are taken, as some published "
        "evaluations do (default: no)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=2,
        metavar="N",
        help="how many best, typical and worst frames the page shows (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="number of processes, each with the model in memory; on the CPU they share its cores, "
        "and another number of threads changes the last digits (default: %(default)s)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument(
        "--backend",
        default="torch",
        help="what runs the network: auto (the fastest, tried once), "
        f"{', '.join(BACKENDS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--max-network-pixels",
        type=int,
        default=MAX_NETWORK_PIXELS,
        metavar="N",
        help="shrink larger images further than the model asks (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth evaluate`; errors are raised as `InputError`.

    Returns:
        The exit status: 0, or 1 if a damaged shard or sample was skipped.
    """
    options = EvaluationOptions(
        caps=tuple(args.caps),
        range_step=args.range_step,
        coverage_shares=tuple(args.coverage),
        radar=("full", *args.radar),
        radar_shift=args.radar_shift,
        seed=args.seed,
        clamp_to_cap=args.clamp_to_cap,
    )
    if args.frames < 0:
        raise InputError(f"--frames {args.frames}: give 0 or more")
    try:
        from lircdepth_core.evaluation.write_evaluation import (
            PAGE_FILE,
            RESULTS_FILE,
            results_text,
            write_evaluation,
        )
    except ImportError as error:
        raise InputError(not_installed(error.name, "train")) from error
    found = write_evaluation(
        args.model,
        args.data,
        args.out,
        options,
        frames=args.frames,
        workers=args.workers,
        device=args.device,
        backend=args.backend,
        max_network_pixels=args.max_network_pixels,
    )
    print(f"{results_text(found)}\n\n{args.out / RESULTS_FILE}, {args.out / PAGE_FILE}")
    return 1 if found["data"]["skipped"] else 0
