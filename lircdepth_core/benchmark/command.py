"""`lircdepth bench`: how fast a model runs on this machine, by back end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lircdepth_core.arguments import image_size
from lircdepth_core.benchmark.candidate import BASELINE
from lircdepth_core.benchmark.measure import Speed, as_record, machine, measure
from lircdepth_core.benchmark.stages import HEIGHT, RETURNS, WIDTH, predictor_stages
from lircdepth_core.errors import InputError
from lircdepth_core.inference.backends import BACKENDS, requested_backend
from lircdepth_core.inference.device import choose_device, cuda_devices
from lircdepth_core.inference.model_files import find_model, int8_network, read_description
from lircdepth_core.network import SIZE_MULTIPLE
from lircdepth_core.output_folder import output_folder
from lircdepth_core.result_files import write_atomically
from lircdepth_core.text_table import Table

if TYPE_CHECKING:
    from lircdepth_core.dataset.sample import Sample

RESULTS_FILE = "bench.json"
PLOT_FILE = "bench.png"

_NOTE = """\
The baseline is eager torch in float32, channels first, nothing folded; each ratio is of runs in
turns with it. Load: from a process's start to its first answer, with built forms kept. Peak:
operations per second over those of a large float32 matrix product. Off: mean difference of depth
from the baseline's. MAE: on the samples of --samples, truth up to 80 m, averaged over images; in
sigma: of their pixels' errors, how many sigma holds (68.3 % if it is right)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth bench`."""
    parser.add_argument("model", metavar="MODEL", help="model folder or name")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for bench.json and bench.png")
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help=f"of {', '.join(BACKENDS)} (default: all that are installed)",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=image_size,
        default=[(704, 384)],
        metavar="WIDTHxHEIGHT",
        help="of the network's input (default: 704x384)",
    )
    parser.add_argument(
        "--samples",
        nargs="+",
        metavar="DATA",
        help="folder of lircdepth prepare; each back end's error on some of it is measured too",
    )
    parser.add_argument(
        "--images",
        type=int,
        default=40,
        metavar="N",
        help="of these samples, evenly spread (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (default: auto)")
    parser.add_argument(
        "--runs", type=int, default=30, metavar="N", help="of each (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth bench`; errors are raised as `InputError`."""
    if args.runs < 1:
        raise InputError(f"--runs {args.runs}: give 1 or more")
    if args.images < 1:
        raise InputError(f"--images {args.images}: give 1 or more")
    for width, height in args.sizes:
        if width % SIZE_MULTIPLE or height % SIZE_MULTIPLE or not width or not height:
            raise InputError(f"--sizes {width}x{height}: give multiples of {SIZE_MULTIPLE}")
    device = choose_device(args.device, cuda_devices())
    folder = find_model(args.model)
    description = read_description(folder)
    int8 = int8_network(folder, description)
    names = _backends(args.backends, device, quantised=int8 is not None and int8.of_these_weights)
    if args.out is None:
        _measure_and_tell(args, folder, device, names)
        return 0
    with output_folder(args.out):
        speeds, stages = _measure_and_tell(args, folder, device, names)
        record = {"model": args.model, "device": device, "machine": machine(device)}
        record |= {"runs": args.runs, "speeds": as_record(speeds), "stages": stages}
        text = json.dumps(record, indent=1, allow_nan=False)
        write_atomically(args.out / RESULTS_FILE, text)
        (args.out / PLOT_FILE).unlink(missing_ok=True)  # of an older run, where now all fail
        plot(speeds, args.out / PLOT_FILE)
    written = [args.out / name for name in (RESULTS_FILE, PLOT_FILE)]
    print(", ".join(str(path) for path in written if path.exists()))
    return 0


def _backends(asked: Sequence[str] | None, device: str, *, quantised: bool) -> list[str]:
    if asked:
        if "auto" in asked:
            raise InputError(
                "--backends auto: it is one of the others; leave --backends out to see them all"
            )
        return [requested_backend(name, device) for name in asked if name != BASELINE]
    kind = device.partition(":")[0]
    return [
        name
        for name, entry in BACKENDS.items()
        if kind in entry.devices and not entry.missing and (quantised or not entry.int8)
    ]


def _measure_and_tell(
    args: argparse.Namespace, folder: Path, device: str, names: list[str]
) -> tuple[list[Speed], dict[str, Any] | None]:
    """The speeds, and the stages around the network with the fastest back end at the first size."""
    samples = _samples(args)  # those that are not there are told at once
    speeds = measure(
        folder, device, names, args.sizes, args.runs, partial(print, file=sys.stderr, flush=True)
    )
    errors: dict[str, tuple[float, float]] = {}
    failures: list[str] = []
    if samples:
        errors, failures = _errors(speeds, samples, folder, device)
        speeds = [_with_error(speed, errors) for speed in speeds]
    print(", ".join(f"{key}: {value}" for key, value in machine(device).items()))
    for width, height in args.sizes:
        chosen = [speed for speed in speeds if (speed.width, speed.height) == (width, height)]
        print(table(chosen, f"{width}x{height}").text())
        for speed in chosen:
            if speed.failure:
                print(f"  {speed.failure}")
    for failure in failures:
        print(f"  {failure}")
    print(_NOTE)
    return speeds, _stages(speeds, args, folder, device)


def _stages(
    speeds: list[Speed], args: argparse.Namespace, folder: Path, device: str
) -> dict[str, Any] | None:
    """Measured and told; None if there is no back end for it, or it fails."""
    good = [speed for speed in speeds if not speed.failure and speed.backend != BASELINE]
    if not good:
        return None
    first = [speed for speed in good if (speed.width, speed.height) == args.sizes[0]] or good
    backend = min(first, key=lambda speed: speed.p50).backend
    title = f"Stages for images of {WIDTH}x{HEIGHT} and {RETURNS} returns, {backend}"
    try:
        stages = predictor_stages(folder, device, backend, args.runs)
    # What was measured before is not to be lost, and libraries have errors of their own.
    except Exception as error:  # noqa: BLE001
        print(f"{title}: fails: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return None
    told = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in stages.items())
    print(f"{title}: {told}.")
    print("The node tells its own, messages included, in /diagnostics.")
    return {"backend": backend, "image": f"{WIDTH}x{HEIGHT}", "seconds": stages}


def _samples(args: argparse.Namespace) -> list[Sample]:
    """Those that the command asks for; none if it asks for none."""
    if not args.samples:
        return []
    from lircdepth_core.evaluation.sampled_error import spread_samples

    return spread_samples(args.samples, args.images)


def _errors(
    speeds: list[Speed], samples: list[Sample], folder: Path, device: str
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Each back end's MAE and share within sigma, and which fail at it; the baseline is torch."""
    from lircdepth_core.evaluation.sampled_error import sampled_error

    errors: dict[str, tuple[float, float]] = {}
    failures = []
    for name in {speed.backend: None for speed in speeds if not speed.failure}:
        if name == BASELINE:
            continue
        print(f"{name} on {len(samples)} samples", file=sys.stderr, flush=True)
        try:
            found = sampled_error(folder, device, name, samples)
        # What was measured before is not to be lost, and libraries have errors of their own.
        except Exception as error:  # noqa: BLE001
            failures.append(f"{name} on the samples: {' '.join(str(error).split())[:300]}")
        else:
            errors[name] = (found.mae, found.within_sigma)
    return errors, failures


def _with_error(speed: Speed, errors: dict[str, tuple[float, float]]) -> Speed:
    mae, within_sigma = errors.get(speed.backend, (np.nan, np.nan))
    return replace(speed, error=mae, within_sigma=within_sigma)


def table(speeds: Sequence[Speed], title: str) -> Table:
    """The speeds at one size."""
    times = ("p50 ms", "p95 ms", "1/s", "ratio", "load s", "memory MB", "peak")
    columns = (*times, "off", "MAE m", "in sigma")
    return Table(title, ("back end", *columns), [_row(speed) for speed in speeds])


def _row(speed: Speed) -> tuple[str, ...]:
    if speed.failure:
        return (speed.backend, *["fails"] * 10)
    return (
        speed.backend,
        f"{1000 * speed.p50:.0f}",
        f"{1000 * speed.p95:.0f}",
        f"{speed.per_second:.1f}",
        f"{speed.ratio:.2f}",
        f"{speed.load_seconds:.1f}",
        f"{speed.peak_memory / 1e6:.0f}",
        f"{100 * speed.share_of_peak:.0f} %",
        f"{100 * speed.deviation:.3f} %",
        "-" if np.isnan(speed.error) else f"{speed.error:.3f}",
        "-" if np.isnan(speed.within_sigma) else f"{100 * speed.within_sigma:.1f} %",
    )


def plot(speeds: Sequence[Speed], path: Path) -> None:
    """Median and 95 % latency of each back end, a panel per size; no picture if all failed."""
    matplotlib.use("Agg")
    good = [speed for speed in speeds if not speed.failure]
    if not good:
        return
    sizes = sorted({(speed.width, speed.height) for speed in good})
    figure = Figure(figsize=(5 * len(sizes), 1.2 + 0.35 * len(good) / len(sizes)))
    panels = figure.subplots(1, len(sizes), squeeze=False)[0]
    for panel, size in zip(panels, sizes, strict=True):
        chosen = [speed for speed in good if (speed.width, speed.height) == size][::-1]
        median = np.array([1000 * speed.p50 for speed in chosen])
        late = np.array([1000 * speed.p95 for speed in chosen])
        above = [np.zeros_like(median), np.maximum(late - median, 0)]
        panel.barh([speed.backend for speed in chosen], median, xerr=above, color="#1b6ca8")
        panel.set_title(f"{size[0]}x{size[1]}")
        panel.set_xlabel("milliseconds: median, 95 %")
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
