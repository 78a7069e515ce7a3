"""Where the samples of an evaluation come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.shards import find_shards, numbered_samples
from lircdepth_core.errors import InputError

_UNUSED = ("accumulated.png", "dense.png")


class SampleSource(Protocol):
    """Opens a data set."""

    def __call__(
        self, wanted: Callable[[int], bool], damaged: Callable[[InputError], None]
    ) -> Iterator[tuple[int, Sample]]:
        """Numbers, counted from 0 in an order that never changes, and samples that are wanted.

        Args:
            wanted: whether a number's sample is.
            damaged: told of what cannot be read and is passed over.
        """


@dataclass(frozen=True)
class PreparedSamples:
    """The samples that `lircdepth prepare` made; what evaluation does not use is not read.

    Attributes:
        locations: folders with an index, tar files, patterns or URLs, as `find_shards` takes them.
    """

    locations: tuple[str, ...]

    def __call__(
        self, wanted: Callable[[int], bool], damaged: Callable[[InputError], None]
    ) -> Iterator[tuple[int, Sample]]:
        """The samples whose number is wanted; see `SampleSource`.

        Raises:
            InputError: there are no shards.
        """
        return numbered_samples(self.locations, wanted=wanted, leave_out=_UNUSED, damaged=damaged)

    def count(self) -> int | None:
        """Number of samples, None if an index does not say it."""
        counts = [shard.samples for shard in find_shards(self.locations)]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
