"""The fastest back end of those installed, found by trying them once."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lircdepth_core.errors import NonFiniteError
from lircdepth_core.inference.artefacts import Artefacts, CacheError, locked, network_code
from lircdepth_core.inference.backends.backend import Backend, NetworkMaps, NotInstalledError
from lircdepth_core.inference.backends.catalogue import BACKENDS, open_backend
from lircdepth_core.inference.backends.child_process import (
    ChildError,
    ChildKilledError,
    run_in_child,
)
from lircdepth_core.inference.backends.example import example
from lircdepth_core.inference.backends.package_versions import versions
from lircdepth_core.network import DeploymentGraph
from lircdepth_core.processors import usable_processors

LARGEST_DEVIATION = 1e-3
"""Means of |depth / torch's depth - 1| and of |U - torch's U| up to which a back end is as good as
torch in float32."""

UNSTEADY = 1.3
"""Ratio of the middle run to the quickest from which other work is taken to have disturbed them."""

_DOUBT_HOLDS_SECONDS = 86_400.0

_RUNS = 5
_FILE = "choice.json"


def fastest(
    graph: DeploymentGraph,
    device: str,
    size: tuple[int, int],
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> tuple[str, str]:
    """The fastest back end whose depth and uncertainty are those of torch in float32.

    Measured the first time, in a process of its own where the artefacts name a model, and kept for
    this network, device, size and these versions; for a day only where one of them failed or
    other work disturbed it, since that may pass. Of processes that start together one measures and
    the others wait.

    Args:
        graph: what is to run.
        device: `cpu` or `cuda:N`.
        size: width and height of the images to measure with, multiples of 32.
        artefacts: where the choice and built forms of the network are kept.
        report: is told before something takes long.

    Returns:
        Its name in `BACKENDS`, and why, in words.

    Raises:
        NonFiniteError: torch itself answers with NaN or infinity.
        CacheError: nothing can be kept.
    """
    made_of = _made_of(device, size)
    choice = _read(artefacts.find(made_of))
    if choice is None or choice.is_stale:
        try:
            choice = _made_anew(choice, graph, device, size, artefacts, report)
        except CacheError:
            if choice is None:
                raise
            # An old choice is better than none, as in an image that cannot be written.
    return choice.name, choice.why


def try_and_keep(
    graph: DeploymentGraph,
    device: str,
    size: tuple[int, int],
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> None:
    """Try the back ends and keep the fastest, if none is kept; see `fastest`, which calls it.

    Raises:
        NonFiniteError: torch itself answers with NaN or infinity.
        CacheError: nothing can be kept.
    """

    def build(folder: Path) -> None:
        candidates = _candidates(device)
        report(f"trying {', '.join(candidates)}, once; the fastest is kept in {artefacts.folder}")
        _write(_try_all(candidates, graph, device, size, artefacts, report), folder)

    artefacts.get(_made_of(device, size), build)


def keep_torch(why: str, device: str, size: tuple[int, int], artefacts: Artefacts) -> None:
    """Have `fastest` answer torch for a day, if that can be kept: what it chose failed later.

    Made anew at once, the choice might be the same, where only images of another size fail.
    """
    made_of = _made_of(device, size)
    artefacts.discard(made_of)
    with suppress(CacheError):
        _keep(_Choice("torch", why, True, time.time()), made_of, artefacts)


def _considered(device: str) -> list[str]:
    kind = device.partition(":")[0]
    return [name for name, entry in BACKENDS.items() if kind in entry.automatic]


def _candidates(device: str) -> list[str]:
    """Those that are installed; torch is the first."""
    return [name for name in _considered(device) if not BACKENDS[name].missing]


def _made_of(device: str, size: tuple[int, int]) -> dict[str, str]:
    """What a choice depends on, besides the network."""
    made_of = {"choice": "{}x{}".format(*size), "device": _machine(device)}
    return made_of | {name: versions(BACKENDS[name].packages) for name in _considered(device)}


def _made_anew(
    before: _Choice | None,
    graph: DeploymentGraph,
    device: str,
    size: tuple[int, int],
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> _Choice:
    """The choice of this process, or of another that was measuring.

    Args:
        before: an old one.
        graph: see `fastest`.
        device: see `fastest`.
        size: see `fastest`.
        artefacts: see `fastest`.
        report: see `fastest`.
    """
    made_of = _made_of(device, size)
    artefacts.make_folder()
    where = artefacts.folder
    with locked(
        where, lambda: report(f"another process tries back ends ({where}), waiting for it")
    ):
        choice = _read(artefacts.find(made_of))
        if choice is None or choice.is_stale:
            artefacts.discard(made_of)
            _try_apart(before, device, size, artefacts, report)
            try_and_keep(graph, device, size, artefacts, report)
            choice = _read(artefacts.find(made_of))
    assert choice is not None
    return choice


def _try_apart(
    before: _Choice | None,
    device: str,
    size: tuple[int, int],
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> None:
    """Have them tried in a process of its own, if one can load the model.

    Where that was killed the choice of before stays, or torch is chosen, for a day.
    """
    if artefacts.model is None:
        return
    words = [artefacts.network, str(artefacts.folder.resolve()), device, *map(str, size)]
    try:
        run_in_child("choose", artefacts.model, network_code(), words, report)
    except ChildKilledError as error:
        name = before.name if before else _candidates(device)[0]
        killed = _Choice(name, f"trying the others was {error}", True, time.time())
        _keep(killed, _made_of(device, size), artefacts)
    except ChildError as error:
        report(f"trying back ends in this process, for another one failed: {error}")


@dataclass(frozen=True)
class _Choice:
    """A back end and why it was chosen.

    Attributes:
        name: in `BACKENDS`.
        why: in words.
        doubtful: whether one that was tried failed, or other work disturbed the measurement.
        time: when that was, seconds since 1970.
    """

    name: str
    why: str
    doubtful: bool
    time: float

    @property
    def is_stale(self) -> bool:
        """Whether it is time to try again; also where the clock says that it was made later."""
        return self.doubtful and not 0 <= time.time() - self.time < _DOUBT_HOLDS_SECONDS


def _keep(choice: _Choice, made_of: dict[str, str], artefacts: Artefacts) -> None:
    """Have it found by the next start, where none is kept."""
    artefacts.get(made_of, lambda folder: _write(choice, folder))


def _write(choice: _Choice, folder: Path) -> None:
    (folder / _FILE).write_text(json.dumps(asdict(choice)), encoding="utf-8")


def _read(folder: Path | None) -> _Choice | None:
    """What a folder holds; None for no folder, where another process just removed it, and for what
    is no choice.
    """
    if folder is None:
        return None
    try:
        choice = _Choice(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    kinds = (choice.name, str), (choice.why, str), (choice.doubtful, bool), (choice.time, float)
    is_one = all(isinstance(value, kind) for value, kind in kinds) and choice.name in BACKENDS
    return choice if is_one else None


def _try_all(
    names: list[str],
    graph: DeploymentGraph,
    device: str,
    size: tuple[int, int],
    artefacts: Artefacts,
    report: Callable[[str], None],
) -> _Choice:
    width, height = size
    image, radar = example(height, width)
    reference: NetworkMaps | None = None
    seconds: dict[str, float] = {}
    told = [
        f"{name} needs {', '.join(kind.missing)} too"
        for name, kind in BACKENDS.items()
        if device.partition(":")[0] in kind.automatic and kind.is_half_installed
    ]
    doubtful = False
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
            deviation = _deviation(maps, reference)
            if not deviation <= LARGEST_DEVIATION:
                told.append(f"{name} is {deviation:.1e} off")
                continue
            seconds[name], steady = _measure(backend, image, radar)
            doubtful |= not steady
            beside = "" if steady else " beside other work"
            told.append(f"{name} {1000 * seconds[name]:.0f} ms{beside}")
        except NotInstalledError as error:  # as sure tomorrow
            told.append(f"{name} fails: {_short(error)}")
        # A broken installation raises what its library calls it: ONNX Runtime's and OpenVINO's own
        # errors are plain Exceptions. torch, whose faults are ours, is not excused.
        except Exception as error:
            if name == names[0]:
                raise
            doubtful = True
            told.append(f"{name} fails: {_short(error)}")
    best = min(seconds, key=lambda name: seconds[name])
    return _Choice(best, f"at {width}x{height}: {', '.join(told)}", doubtful, time.time())


def _short(error: Exception) -> str:
    return f"{' '.join(str(error).split()):.80}"


_LEAST_DEPTH = 1e-3
"""Metres, that a difference is told relative to where torch's depth is less."""


def _deviation(maps: NetworkMaps, reference: NetworkMaps) -> float:
    """The larger of the two of `LARGEST_DEVIATION`, NaN if either is."""
    off = np.abs(maps.depth - reference.depth) / np.maximum(reference.depth, _LEAST_DEPTH)
    depth = np.mean(off)
    if np.isnan(reference.uncertainty).all():  # a network without the head
        return float(depth)
    return float(np.maximum(depth, np.mean(np.abs(maps.uncertainty - reference.uncertainty))))


def _measure(backend: Backend, image: np.ndarray, radar: np.ndarray) -> tuple[float, bool]:
    """Seconds of the quickest run, for other work only ever adds to it; and whether none did."""
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        backend(image, radar)
        times.append(time.perf_counter() - start)
    return min(times), float(np.median(times)) <= UNSTEADY * min(times)


def _machine(device: str) -> str:
    """What decides how fast a device is."""
    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, driver of CUDA {torch.version.cuda}"
    capability = torch.backends.cpu.get_cpu_capability()
    given = usable_processors()
    threads = torch.get_num_threads()
    return f"{platform.machine()} {capability}, {_processor()}, {given} given, {threads} threads"


def _processor() -> str:
    """Name and instruction sets, where Linux tells them: one name stands for several machines."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    told = dict(
        line.split(":", 1) for line in text.partition("\n\n")[0].splitlines() if ":" in line
    )
    values = {name.strip(): value.strip() for name, value in told.items()}
    keys = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return "; ".join(values[key] for key in keys if key in values)
