"""What a back end is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from lircdepth_core.errors import InputError


class NetworkMaps(NamedTuple):
    """A network's answer for one image, at its own size.

    Attributes:
        depth: (h, w) float32 metres.
        uncertainty: (h, w) float32 in 0..1, NaN for a network without the head.
    """

    depth: np.ndarray
    uncertainty: np.ndarray


class NotInstalledError(InputError):
    """What a back end needs is not there, and will not be before something is installed."""


class Backend(Protocol):
    """Runs a network. Not to be shared between threads."""

    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run it; the first call of a size may take long, because it is then made ready.

        Args:
            image: (h, w, 3) uint8 RGB, h and w multiples of 32.
            radar: (4, h, w) float32 of `RADAR_CHANNELS`.

        Returns:
            Arrays that are the caller's.
        """
        ...
