"""The fastest back end of those installed, found by trying them once."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lircdepth_core.errors import NonFiniteError
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends.backend import Backend, NetworkMaps
from lircdepth_core.inference.backends.catalogue import BACKENDS, open_backend
from lircdepth_core.inference.backends.example import example
from lircdepth_core.network import DeploymentGraph

LARGEST_DEVIATION = 1e-3
"""Mean of |depth / torch's depth - 1| up to which a back end is as good as torch in float32."""

_ROWS, _COLUMNS = 384, 704
_RUNS = 3
_FILE = "choice.json"


def fastest(
    graph: DeploymentGraph, device: str, artefacts: Artefacts, report: Callable[[str], None]
) -> tuple[str, str]:
    """The fastest back end whose depth is that of torch in float32.

    Measured at 704x384 the first time, and kept for this network, device and these versions.

    Args:
        graph: what is to run.
        device: `cpu` or `cuda:N`.
        artefacts: where the choice and built forms of the network are kept.
        report: is told before something takes long.

    Returns:
        Its name in `BACKENDS`, and why, in words.

    Raises:
        NonFiniteError: torch itself answers with NaN or infinity.
    """
    candidates = [
        name
        for name, kind in BACKENDS.items()
        if device.partition(":")[0] in kind.automatic and not kind.missing
    ]

    def build(folder: Path) -> None:
        report(f"trying {', '.join(candidates)}, once; the fastest is kept in {artefacts.folder}")
        choice = _try_all(candidates, graph, device, artefacts, report)
        (folder / _FILE).write_text(json.dumps(choice), encoding="utf-8")

    made_of = {"choice": f"{_COLUMNS}x{_ROWS}", "device": _machine(device)}
    made_of |= {name: _versions(BACKENDS[name].packages) for name in candidates}
    name, why = json.loads((artefacts.get(made_of, build) / _FILE).read_text(encoding="utf-8"))
    return name, why


def _try_all(
    names: list[str],
    graph: DeploymentGraph,
    device: str,
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> tuple[str, str]:
    image, radar = example(_ROWS, _COLUMNS)
    reference: NetworkMaps | None = None
    seconds: dict[str, float] = {}
    told = []
    for name in names:  # torch is the first
        try:
            backend = open_backend(name, graph, device, artefacts, report)
            maps = backend(image, radar)
            if reference is None and not np.isfinite(maps.depth).all():
                raise NonFiniteError(
                    f"the network: depth is not finite, on {device} with {name}; give another "
                    "device, or fetch the model again"
                )
            reference = reference or maps
            deviation = float(np.mean(np.abs(maps.depth / reference.depth - 1)))
            if not deviation <= LARGEST_DEVIATION:
                told.append(f"{name} is {deviation:.1e} off")
                continue
            seconds[name] = _measure(backend, image, radar)
            told.append(f"{name} {1000 * seconds[name]:.0f} ms")
        # A broken installation raises what its library calls it: ONNX Runtime's and OpenVINO's own
        # errors are plain Exceptions. torch, whose faults are ours, is not excused.
        except Exception as error:
            if name == names[0]:
                raise
            told.append(f"{name} fails: {' '.join(str(error).split()):.80}")
    best = min(seconds, key=lambda name: seconds[name])
    return best, f"at {_COLUMNS}x{_ROWS}: {', '.join(told)}"


def _measure(backend: Backend, image: np.ndarray, radar: np.ndarray) -> float:
    """Seconds of the quickest run: other work only ever adds to it."""
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        backend(image, radar)
        times.append(time.perf_counter() - start)
    return min(times)


def _machine(device: str) -> str:
    """What decides how fast a device is."""
    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, driver of CUDA {torch.version.cuda}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} {capability}, {os.cpu_count()} processors"


def _versions(packages: tuple[str, ...]) -> str:
    return " ".join(f"{name} {_version(name)}" for name in packages)


def _version(package: str) -> str:
    """A package's version; some distributions are called otherwise, such as onnxruntime-gpu."""
    found = importlib.metadata.packages_distributions().get(package, [])
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(found)))
