"""The network in torch, on any device."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from lircdepth_core.errors import first_line
from lircdepth_core.inference.artefacts import CacheError, cache_folder
from lircdepth_core.inference.backends.backend import NetworkMaps
from lircdepth_core.network import DeploymentGraph, InferenceOutput


def _keep_compiled_forms_apart() -> None:
    """In this user's own folder: torch unpickles them, and would keep them in /tmp."""
    if os.environ.get("TORCHINDUCTOR_CACHE_DIR"):
        return
    folder = cache_folder() / "inductor"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(f"{folder}: {first_line(error)}; set LIRCDEPTH_CACHE") from error
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


class TorchBackend:
    """Runs a graph eagerly or compiled.

    Args:
        graph: is moved to the device; in half precision a copy is.
        device: `cpu` or `cuda:N`.
        half: run convolutions in half precision: float16 on CUDA, bfloat16 on a CPU.
        compiled: by torch.compile, on CUDA with CUDA graphs since torch 2.13; every new size is
            compiled anew, up to torch's limit of eight, beyond which others run eagerly.
    """

    def __init__(
        self, graph: DeploymentGraph, device: str, *, half: bool = False, compiled: bool = False
    ) -> None:
        self._device = torch.device(device)
        self._dtype: torch.dtype | None = None
        if half:
            self._dtype = torch.float16 if self._device.type == "cuda" else torch.bfloat16
            graph = graph.for_autocast(self._dtype)
        graph = graph.to(self._device)
        if self._device.type == "cpu":
            # Two thirds of the time with channels first (0.40 s against 0.77 s, 704x384).
            graph = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run: Callable[..., InferenceOutput] = graph
        if compiled:
            # Before, a thread other than the one that warmed up could compile no further size.
            _keep_compiled_forms_apart()
            graphs = self._device.type == "cuda" and torch.__version__ >= "2.13"
            mode = "reduce-overhead" if graphs else "default"
            self._run = torch.compile(graph, mode=mode, dynamic=False)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run the network, see `Backend`."""
        precision: AbstractContextManager[object] = nullcontext()
        if self._dtype is not None:
            precision = torch.autocast(self._device.type, self._dtype)
        with precision:
            output = self._run(
                torch.from_numpy(image)[None].to(self._device),
                torch.from_numpy(radar)[None].to(self._device),
            )
        return NetworkMaps(*(values[0].cpu().numpy() for values in output))
