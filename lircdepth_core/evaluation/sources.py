"""Where the samples of an evaluation come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_sample
from lircdepth_core.dataset.shards import find_shards, read_shard

_UNUSED = ("accumulated.png", "dense.png")


class SampleSource(Protocol):
    """Opens a data set."""

    def __call__(self, wanted: Callable[[int], bool]) -> Iterator[Sample]:
        """The samples whose number, counted from 0 in an order that never changes, is wanted."""


@dataclass(frozen=True)
class PreparedSamples:
    """The samples that `lircdepth prepare` made; what evaluation does not use is not decoded.

    Attributes:
        locations: folders with an index, tar files, patterns or URLs, as `find_shards` takes them.
    """

    locations: tuple[str, ...]

    def __call__(self, wanted: Callable[[int], bool]) -> Iterator[Sample]:
        """The samples whose number is wanted.

        Raises:
            InputError: there are no shards, or one is damaged.
        """
        number = 0
        for shard in find_shards(self.locations):
            for key, files in read_shard(shard):
                if wanted(number):
                    used = {name: data for name, data in files.items() if name not in _UNUSED}
                    yield decode_sample(used, f"{shard.location}: {key}")
                number += 1

    def count(self) -> int | None:
        """Number of samples, None if an index does not say it."""
        counts = [shard.samples for shard in find_shards(self.locations)]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
