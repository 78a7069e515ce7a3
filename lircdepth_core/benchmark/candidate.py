"""One back end in a process of its own: its memory, its threads and its start are its own too."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends import Backend, NetworkMaps, open_backend
from lircdepth_core.inference.backends.example import example
from lircdepth_core.inference.model_files import (
    int8_network,
    load_network,
    read_description,
)
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD, DeploymentGraph

BASELINE = "baseline"
"""The network in eager torch, float32, channels first, nothing folded."""

_FIXED_SET = 4
"""Examples, by seeds from 0, whose depth is compared."""

_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Candidate:
    """What runs in the process.

    Attributes:
        backend: one of `BACKENDS`, or `BASELINE`.
        model: folder of the model.
        device: `cpu` or `cuda:N`.
        rows: of the network's input.
        columns: of the network's input.
    """

    backend: str
    model: Path
    device: str
    rows: int
    columns: int


class CandidateProcess:
    """A candidate, running; to be used as a context.

    Args:
        candidate: what runs in it.

    Attributes:
        load_seconds: from the start of the process to its first answer.

    Raises:
        InputError: it cannot run here, or its process died.
    """

    def __init__(self, candidate: Candidate) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._name = candidate.backend
        start = time.perf_counter()
        self._process = context.Process(target=_serve, args=(theirs, candidate), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()
        self.load_seconds = time.perf_counter() - start

    def run(self, times: int) -> list[float]:
        """Seconds of each of so many runs in a row."""
        return self._ask("run", times)

    def depths(self) -> list[np.ndarray]:
        """(rows, columns) depth in metres of each example of the fixed set."""
        return self._ask("depths")

    def matrix_multiply_rate(self) -> float:
        """Floating-point operations per second of large matrix products in float32."""
        return self._ask("matrix_multiply_rate")

    def peak_memory(self) -> int:
        """Most bytes that the process had in memory."""
        return self._ask("peak_memory")

    def __enter__(self) -> CandidateProcess:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process: by itself, so that it frees what it holds, or else it is killed."""
        self._connection.close()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, question: str, *arguments: Any) -> Any:
        with suppress(ConnectionError):  # it has ended, which the answer tells
            self._connection.send((question, arguments))
        return self._answer()

    def _answer(self) -> Any:
        try:
            kind, value = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise InputError(
                f"{self._name}: its process ended with status {self._process.exitcode}"
            ) from error
        if kind == "error":
            self.__exit__(None, None, None)
            raise InputError(f"{self._name}: {value}")
        return value


class PlainNetwork:
    """The baseline as a back end."""

    def __init__(self, network: torch.nn.Module, device: str) -> None:
        self._network = network.eval().to(device)
        self._device = device
        self._mean, self._std = (
            255 * torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (IMAGE_MEAN, IMAGE_STD)
        )

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run the network, see `Backend`."""
        # Contiguous, or the convolutions would go on with channels last.
        pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None].contiguous()
        output = self._network(
            (pixels - self._mean) / self._std, torch.from_numpy(radar)[None].to(self._device)
        )
        depth = output.depth[0, 0].cpu().numpy()
        uncertainty = getattr(output, "uncertainty", None)
        if uncertainty is None:
            return NetworkMaps(depth, np.full_like(depth, np.nan))
        return NetworkMaps(depth, uncertainty[0, 0].cpu().numpy())


def _serve(connection: Connection, candidate: Candidate) -> None:
    """Answer questions until the other side ends the process."""
    try:
        _answer_all(connection, candidate)
    # The other side reports it: ONNX Runtime's and OpenVINO's own errors are plain Exceptions.
    except Exception as error:  # noqa: BLE001
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        connection.send(("error", kind + " ".join(str(error).split())))


def _answer_all(connection: Connection, candidate: Candidate) -> None:
    backend = _open(candidate)
    image, radar = example(candidate.rows, candidate.columns)
    backend(image, radar)
    connection.send(("done", None))

    def run(times: int) -> list[float]:
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            backend(image, radar)
            seconds.append(time.perf_counter() - start)
        return seconds

    def depths() -> list[np.ndarray]:
        return [
            backend(*example(candidate.rows, candidate.columns, seed)).depth
            for seed in range(_FIXED_SET)
        ]

    questions: dict[str, Callable[..., Any]] = {
        "run": run,
        "depths": depths,
        "matrix_multiply_rate": lambda: matrix_multiply_rate(candidate.device),
        "peak_memory": peak_memory,
    }
    while True:
        try:
            question, arguments = connection.recv()
        except EOFError:
            return
        connection.send(("done", questions[question](*arguments)))


def _open(candidate: Candidate) -> Backend:
    description = read_description(candidate.model)
    network = load_network(candidate.model, description)
    if candidate.backend == BASELINE:
        return PlainNetwork(network, candidate.device)
    return open_backend(
        candidate.backend,
        DeploymentGraph(network),
        candidate.device,
        Artefacts.of(description),
        lambda text: None,
        int8_network(candidate.model, description),
    )


def matrix_multiply_rate(device: str, size: int = 2048, times: int = 5) -> float:
    """Floating-point operations per second of the quickest of some products in float32."""
    a, b = (torch.rand(size, size, device=device) for _ in range(2))
    (a @ b).sum().item()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def peak_memory() -> int:
    """Most bytes that this process had in memory.

    Not by `getrusage`: on Linux that begins with the memory of the parent.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE)
    assert match is not None
    return 1024 * int(match[1])
