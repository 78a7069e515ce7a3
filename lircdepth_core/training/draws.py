"""What is drawn for a sample in an epoch, whichever process asks."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What is drawn; the first number of its seeds. The reader of samples uses 1 to 3."""

    RADAR_DROPOUT = 4
    EXPOSURE_FAULTS = 5
    PADDING = 6
    OTHER_CAMERAS = 7


def draws(
    keys: Iterable[str], purpose: Purpose, seed: int, epoch: int
) -> Iterator[tuple[int, np.random.Generator]]:
    """Each sample's number in the batch, and its generator: of this purpose, seed, epoch and key.

    Args:
        keys: of a batch's samples.
        purpose: draws of two purposes have nothing to do with each other.
        seed: of the run.
        epoch: its number.
    """
    for number, key in enumerate(keys):
        yield number, np.random.default_rng([purpose, seed, epoch, zlib.crc32(key.encode())])
