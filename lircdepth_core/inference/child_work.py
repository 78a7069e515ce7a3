"""What `run_in_child` can have done, as the child sees it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference.artefacts import Artefacts, network_code
from lircdepth_core.inference.backends.child_process import ERROR, REPORT
from lircdepth_core.inference.backends.choice import try_and_keep
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.inference.onnx_export import export_onnx
from lircdepth_core.network import DeploymentGraph


def choose(model: Path, network: str, folder: str, device: str, width: str, height: str) -> None:
    """Have the choice of a back end made and kept; the parent holds the lock.

    Args:
        model: the model's folder.
        network: which network that must be, see `Artefacts`.
        folder: of the artefacts.
        device: `cpu` or `cuda:N`.
        width: of the images to measure with.
        height: the same.
    """
    artefacts, size = Artefacts(Path(folder), network), (int(width), int(height))
    try_and_keep(
        _graph(model, network), device, size, artefacts, lambda text: print(REPORT, text, sep="")
    )


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
    """Do it: a name in `WORK`, the model's folder, the code, how many threads, and arguments."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Only reports are for the parent: libraries that print do so beside them.
    reports = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(reports, "w", buffering=1, encoding="utf-8")
    work, model, code, threads, *arguments = words
    try:
        if network_code() != code:
            raise InputError(f"it would run another lircdepth_core, {Path(__file__).parents[1]}")
        torch.set_num_threads(int(threads))
        WORK[work](Path(model), *arguments)
    except Exception as error:  # noqa: BLE001 the parent tells it, or does the work itself
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        print(ERROR, kind, " ".join(str(error).split())[:300], sep="")
        sys.exit(1)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _graph(model: Path, network: str) -> DeploymentGraph:
    description = read_description(model)
    if Artefacts.of(description).network != network:
        raise InputError(f"{model}: another model than before; load it again")
    return DeploymentGraph(load_network(model, description))
