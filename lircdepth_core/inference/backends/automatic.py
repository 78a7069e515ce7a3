"""The back end that `auto` means, and torch where that cannot run after all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from lircdepth_core.inference.artefacts import Artefacts, CacheError
from lircdepth_core.inference.backends.backend import Backend, NetworkMaps
from lircdepth_core.inference.backends.catalogue import open_backend
from lircdepth_core.inference.backends.choice import fastest, keep_torch
from lircdepth_core.network import DeploymentGraph

Result = TypeVar("Result")

_LONGEST_FOREIGN_TEXT = 160


class AutomaticBackend:
    """The fastest back end as it was measured once; torch as soon as that fails.

    What ran then may not now: a library of the graphics card is gone, say, or an image of another
    size comes, for which there is no memory. Torch is the choice then for a day, unless it was the
    cache that could not be written.

    Args:
        graph: what is to run.
        device: `cpu` or `cuda:N`.
        size: width and height of the images to measure with, see `fastest`.
        artefacts: where the choice and built forms of the network are kept; None for nowhere, then
            torch runs it.
        report: is told before something takes long.
        warn: is told why torch took over.

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
        warn: Callable[[str], None],
    ) -> None:
        self._graph, self._device, self._size = graph, device, size
        self._artefacts, self._report, self._warn = artefacts, report, warn
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
            text = " ".join(str(error).split())
            of_cache = isinstance(error, CacheError)
            if not of_cache:  # of those, the end says what to do
                text = text[:_LONGEST_FOREIGN_TEXT]
            why = f"{self.name}, the fastest, fails: {text}"
            if self._artefacts is not None and not of_cache:
                keep_torch(why, self._device, self._size, self._artefacts)
        # Only now, that the error no longer holds what ran.
        self._network = None
        self.name, self.reason = "torch", why
        self._warn(f"{why}; from now on torch answers")
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
