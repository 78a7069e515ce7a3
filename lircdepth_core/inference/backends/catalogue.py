"""Which back ends there are, and how each is opened."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lircdepth_core.errors import InputError
from lircdepth_core.extras import install_command
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends.backend import Backend
from lircdepth_core.inference.backends.onnx_files import (
    EXPORTERS,
    Int8Files,
    Int8Network,
    NetworkFiles,
    OnnxFiles,
)
from lircdepth_core.inference.backends.torch_backend import TorchBackend
from lircdepth_core.network import DeploymentGraph


@dataclass(frozen=True)
class BackendKind:
    """A back end that may be asked for.

    Attributes:
        open: makes it of a graph, a device, and the network's files (None: they are not kept).
        packages: to be imported, besides torch.
        devices: where it runs: `cpu`, `cuda`.
        automatic: where `auto` considers it. Not where making it ready takes minutes.
        int8: whether it runs the model's quantised network.
        builds: whether the first start builds what later ones find.
    """

    open: Callable[[DeploymentGraph, str, NetworkFiles | None], Backend]
    packages: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu", "cuda")
    automatic: tuple[str, ...] = ()
    int8: bool = False
    builds: bool = True

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    @property
    def is_half_installed(self) -> bool:
        """Whether what it is named by is there, but not all that it needs."""
        return bool(self.missing) and self.packages[0] not in self.missing


def _torch(
    graph: DeploymentGraph, device: str, files: NetworkFiles | None, *, half: bool, compiled: bool
) -> Backend:
    if compiled and device == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise InputError("backend: torch.compile needs a C++ compiler, and there is none")
    return TorchBackend(graph, device, half=half, compiled=compiled)


def _onnxruntime(
    graph: DeploymentGraph, device: str, files: NetworkFiles | None, *, tensorrt: bool
) -> Backend:
    from lircdepth_core.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(_needed(files), device, tensorrt=tensorrt)


def _openvino(
    graph: DeploymentGraph, device: str, files: NetworkFiles | None, *, half: bool
) -> Backend:
    from lircdepth_core.inference.backends.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(_needed(files), half=half)


_EAGER = partial(BackendKind, automatic=("cpu", "cuda"), builds=False)
_ONNXRUNTIME = partial(BackendKind, packages=("onnxruntime", *EXPORTERS))
_OPENVINO = partial(
    BackendKind,
    packages=("openvino", *EXPORTERS),
    devices=("cpu",),
    automatic=("cpu",),
)

BACKENDS = {
    "torch": _EAGER(partial(_torch, half=False, compiled=False)),
    "torch-half": _EAGER(partial(_torch, half=True, compiled=False)),
    "torch-compiled": BackendKind(partial(_torch, half=False, compiled=True)),
    "torch-compiled-half": BackendKind(partial(_torch, half=True, compiled=True)),
    "onnxruntime": _ONNXRUNTIME(partial(_onnxruntime, tensorrt=False), automatic=("cpu", "cuda")),
    "tensorrt": _ONNXRUNTIME(partial(_onnxruntime, tensorrt=True), devices=("cuda",)),
    "openvino": _OPENVINO(partial(_openvino, half=False)),
    "openvino-half": _OPENVINO(partial(_openvino, half=True)),
    "onnxruntime-int8": _ONNXRUNTIME(
        partial(_onnxruntime, tensorrt=False), devices=("cpu",), int8=True
    ),
    "openvino-int8": _OPENVINO(partial(_openvino, half=False), automatic=(), int8=True),
}
"""By the name that is asked for. `half` is bfloat16 on a CPU, float16 on CUDA. What is int8 answers
a little differently, so `auto` never takes it."""


_VARIABLE = "LIRCDEPTH_BACKEND"


def requested_backend(name: str, device: str) -> str:
    """What a request for a back end means.

    Args:
        name: one of `BACKENDS`; or `auto`, which `$LIRCDEPTH_BACKEND` decides if it is set.
        device: `cpu` or `cuda:N`.

    Returns:
        `auto` or one of `BACKENDS` that can be had.

    Raises:
        InputError: it is unknown, not for this device, or not installed.
    """
    source = "backend"
    if name == "auto":
        name, source = os.environ.get(_VARIABLE) or "auto", f"${_VARIABLE}"
    if name == "auto":
        return name
    if name not in BACKENDS:
        raise InputError(f"{source}: {name!r:.40} is unknown; give auto or {', '.join(BACKENDS)}")
    kind = BACKENDS[name]
    if device.partition(":")[0] not in kind.devices:
        raise InputError(f"{source}: {name} does not run on {device}; give auto or torch")
    if kind.missing:
        # ONNX Runtime for graphics cards is a package of its own, in the same folder.
        gpu = {"onnxruntime": "onnxruntime-gpu"} if device != "cpu" else {}
        wanted = [gpu.get(package, package) for package in kind.missing]
        raise InputError(
            f"{source}: {name} needs {', '.join(kind.missing)}; run: {install_command(*wanted)}"
        )
    return name


def open_backend(
    name: str,
    graph: DeploymentGraph,
    device: str,
    artefacts: Artefacts | None,
    report: Callable[[str], None],
    int8: Int8Network | None = None,
) -> Backend:
    """A back end by its name in `BACKENDS`.

    Args:
        name: of one that `requested_backend` lets pass.
        graph: what it runs.
        device: `cpu` or `cuda:N`.
        artefacts: where built forms of the network are kept; None for nowhere, which only torch
            can do without.
        report: is told before something takes long.
        int8: the quantised network, if there is one.

    Raises:
        InputError: what is installed cannot run it, there are no artefacts, or the model is not
            quantised, or was before it got its present weights.
    """
    kind = BACKENDS[name]
    files: NetworkFiles | None = None
    if artefacts is not None and kind.int8:
        if int8 is None:
            raise InputError(
                f"backend: {name} needs a quantised model; run: lircdepth quantise MODEL DATA"
            )
        files = Int8Files(int8, artefacts, report)
    elif artefacts is not None:
        files = OnnxFiles(graph, artefacts, report)
    return kind.open(graph, device, files)


def _needed(files: NetworkFiles | None) -> NetworkFiles:
    if files is None:
        raise InputError("backend: this one needs a model from a folder; give torch")
    return files
