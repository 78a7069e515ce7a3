"""What `run_in_child` can have done, as the child sees it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends.choice import fastest
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.inference.onnx_export import export_onnx
from lircdepth_core.network import DeploymentGraph


def choose(model: Path, network: str, folder: str, device: str) -> None:
    """Have the choice of a back end made and kept.

    Args:
        model: the model's folder.
        network: which network that must be, see `Artefacts`.
        folder: of the artefacts.
        device: `cpu` or `cuda:N`.
    """
    graph = _graph(model, network)
    fastest(graph, device, Artefacts(Path(folder), network), lambda text: print(text, flush=True))


def export(model: Path, network: str, path: str, rows: str, columns: str) -> None:
    """Write the network as ONNX for images of a size.

    Args:
        model: the model's folder.
        network: which network that must be, see `Artefacts`.
        path: of the file.
        rows: of the images.
        columns: of the images.
    """
    export_onnx(_graph(model, network), Path(path), (int(rows), int(columns)))


WORK: dict[str, Callable[..., None]] = {"choose": choose, "export": export}


def main(words: list[str]) -> None:
    """Do it: a name in `WORK`, the model's folder, how many threads, and the arguments."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Only reports are for the parent: libraries that print do so beside them.
    reports = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(reports, "w", encoding="utf-8")
    work, model, threads, *arguments = words
    torch.set_num_threads(int(threads))
    WORK[work](Path(model), *arguments)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _graph(model: Path, network: str) -> DeploymentGraph:
    description = read_description(model)
    if Artefacts.of(description).network != network:
        raise InputError(f"{model}: another model than before; load it again")
    return DeploymentGraph(load_network(model, description))
