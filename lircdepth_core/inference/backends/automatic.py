"""The back end that `auto` means, and torch where that cannot run after all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from lircdepth_core.inference.artefacts import Artefacts, CacheError
from lircdepth_core.inference.backends.backend import Backend, NetworkMaps
from lircdepth_core.inference.backends.catalogue import open_backend
from lircdepth_core.inference.backends.choice import fastest, forget
from lircdepth_core.network import DeploymentGraph

Result = TypeVar("Result")


class AutomaticBackend:
    """The fastest back end as it was measured once; torch as soon as that fails.

    What ran then may not now: a library of the graphics card is gone, or the cache cannot be
    written and an image of another size comes. Then the choice is forgotten, and made anew at the
    next start.

    Args:
        graph: what is to run.
        device: `cpu` or `cuda:N`.
        size: width and height of the images to measure with, see `fastest`.
        artefacts: where the choice and built forms of the network are kept; None for nowhere, then
            torch runs it.
        report: is told before something takes long, and why torch took over.

    Attributes:
        name: of the back end in use, one of `BACKENDS`.
        reason: why it is, in words.

    Raises:
        NonFiniteError: torch itself answers with NaN or infinity.
    """

    def __init__(
        self,
        graph: DeploymentGraph,
        device: str,
        size: tuple[int, int],
        artefacts: Artefacts | None,
        report: Callable[[str], None],
    ) -> None:
        self._graph, self._device, self._size = graph, device, size
        self._artefacts, self._report = artefacts, report
        self.name, self.reason = "torch", ""
        if artefacts is not None:
            try:
                self.name, self.reason = fastest(graph, device, size, artefacts, report)
            except CacheError as error:  # torch runs without a cache
                self.reason = nothing_kept(error)
        self._network: Backend | None = None
        self._with_torch_behind(lambda network: None)

    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run the network, see `Backend`."""
        return self._with_torch_behind(lambda network: network(image, radar))

    def _with_torch_behind(self, work: Callable[[Backend], Result]) -> Result:
        """Do something with the back end, or with torch if the back end fails."""
        try:
            return work(self._opened())
        except Exception as error:  # ONNX Runtime's and OpenVINO's own are plain Exceptions
            if self.name == "torch":
                raise
            failed = f"{self.name}, the fastest, fails: {' '.join(str(error).split())}"
            if self._artefacts is not None and not isinstance(error, CacheError):
                forget(self._device, self._size, self._artefacts)
        # Only now, that the error no longer holds what ran.
        self._network = None
        self.name, self.reason = "torch", failed[:200]
        self._report(f"{self.reason}; from now on torch answers")
        return work(self._opened())

    def _opened(self) -> Backend:
        if self._network is None:
            self._network = open_backend(
                self.name, self._graph, self._device, self._artefacts, self._report
            )
        return self._network


def nothing_kept(error: CacheError) -> str:
    """Why torch is taken where there is no cache."""
    return f"nothing can be kept: {error}"
