"""Measures back ends one after another, each in turns with the baseline."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lircdepth_core.benchmark.candidate import BASELINE, Candidate, CandidateProcess
from lircdepth_core.errors import InputError
from lircdepth_core.inference.backends import BACKENDS
from lircdepth_core.inference.backends.package_versions import versions
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.processors import usable_processors
from lircdepth_core.radar import RADAR_CHANNELS

ROUNDS = 5
"""Times that a back end and the baseline take turns: the machine's speed drifts."""


@dataclass(frozen=True)
class Speed:
    """A back end at one size.

    Attributes:
        backend: its name.
        width: of the network's input.
        height: of the network's input.
        failure: why it could not be measured; the rest is then NaN.
        p50: seconds of the median run.
        p95: seconds that 95 % of runs stay below.
        per_second: runs per second, one after another.
        ratio: the baseline's median over this one's, both of the same turns.
        load_seconds: from the start of a process to its first answer, with built forms kept.
        peak_memory: bytes, of a process that only does this.
        share_of_peak: operations of the unchanged network per second, over those of a large matrix
            product in float32.
        deviation: mean of |depth / the baseline's - 1| over the fixed set.
        error: mean absolute error on samples, metres; NaN if there are none.
        within_sigma: share of the errors on samples that sigma holds; NaN if there are none, or
            the model is not calibrated.
    """

    backend: str
    width: int
    height: int
    failure: str = ""
    p50: float = np.nan
    p95: float = np.nan
    per_second: float = np.nan
    ratio: float = np.nan
    load_seconds: float = np.nan
    peak_memory: float = np.nan
    share_of_peak: float = np.nan
    deviation: float = np.nan
    error: float = np.nan
    within_sigma: float = np.nan


def measure(
    model: Path,
    device: str,
    backends: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    runs: int,
    report: Callable[[str], None],
) -> list[Speed]:
    """The speed of the baseline and of each back end at each size.

    Args:
        model: its folder.
        device: `cpu` or `cuda:N`.
        backends: names in `BACKENDS`.
        sizes: width and height of the network's input, multiples of 32.
        runs: that each back end makes.
        report: is told what is measured.
    """
    found = []
    for width, height in sizes:
        try:
            found += _at_size(model, device, backends, (width, height), runs, report)
        except InputError as error:  # the baseline's, which all are measured against
            found += [Speed(name, width, height, str(error)) for name in (BASELINE, *backends)]
    return found


def _at_size(
    model: Path,
    device: str,
    backends: Sequence[str],
    size: tuple[int, int],
    runs: int,
    report: Callable[[str], None],
) -> list[Speed]:
    width, height = size
    operations = count_operations(model, height, width)
    found = []
    with CandidateProcess(Candidate(BASELINE, model, device, height, width)) as baseline:
        peak = baseline.matrix_multiply_rate()
        reference = baseline.depths()
        for name in (BASELINE, *backends):
            report(f"{name} at {width}x{height}")
            candidate = Candidate(name, model, device, height, width)
            try:
                speed = _against(baseline, candidate, runs, reference, operations / peak)
            except InputError as error:
                speed = Speed(name, width, height, str(error))
            found.append(speed)
    return found


def _against(
    baseline: CandidateProcess,
    candidate: Candidate,
    runs: int,
    reference: list[np.ndarray],
    seconds_at_peak: float,
) -> Speed:
    if candidate.backend != BASELINE and BACKENDS[candidate.backend].builds:
        with CandidateProcess(candidate):
            pass
    with CandidateProcess(candidate) as process:
        depths = process.depths()
        own: list[float] = []
        others: list[float] = []
        for _ in range(ROUNDS):
            own += process.run(-(-runs // ROUNDS))
            others += baseline.run(2)
        return Speed(
            backend=candidate.backend,
            width=candidate.columns,
            height=candidate.rows,
            p50=float(np.median(own)),
            p95=float(np.quantile(own, 0.95)),
            per_second=len(own) / sum(own),
            ratio=float(np.median(others) / np.median(own)),
            load_seconds=process.load_seconds,
            peak_memory=process.peak_memory(),
            share_of_peak=seconds_at_peak / float(np.median(own)),
            deviation=float(
                np.mean(
                    [
                        np.abs(depth / right - 1)
                        for depth, right in zip(depths, reference, strict=True)
                    ]
                )
            ),
        )


def count_operations(model: Path, rows: int, columns: int) -> int:
    """Floating-point operations of a model's convolutions, multiplications and additions."""
    network = load_network(model, read_description(model))
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(
            torch.zeros(1, 3, rows, columns), torch.zeros(1, len(RADAR_CHANNELS), rows, columns)
        )
    return counter.get_total_flops()


def machine(device: str) -> dict[str, Any]:
    """What the figures are of."""
    accelerator = {} if device == "cpu" else {"gpu": torch.cuda.get_device_name(device)}
    return {
        "processor": _processor(),
        "processors": usable_processors(),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "other back ends": versions(("onnxruntime", "openvino")),
        **accelerator,
    }


def _processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def as_record(speeds: Sequence[Speed]) -> list[dict[str, Any]]:
    """For JSON, which has no NaN."""
    return [
        {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in asdict(speed).items()
        }
        for speed in speeds
    ]
