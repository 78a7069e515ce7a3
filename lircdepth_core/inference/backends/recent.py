"""What a back end keeps for the sizes of image that it met last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

KEPT_SIZES = 4
"""A lens that zooms gives ever new sizes, and each takes as much memory as the network does."""


class RecentSizes(Generic[Value]):
    """Values by size, those that were asked for last.

    Args:
        kept: how many at most.
    """

    def __init__(self, kept: int = KEPT_SIZES) -> None:
        self._kept = kept
        self._values: OrderedDict[tuple[int, int], Value] = OrderedDict()

    def __contains__(self, size: tuple[int, int]) -> bool:
        """Whether a size's value is kept."""
        return size in self._values

    def get(self, rows: int, columns: int, make: Callable[[int, int], Value]) -> Value:
        """The value for images of rows x columns, made if it is not kept."""
        size = (rows, columns)
        if size in self._values:
            self._values.move_to_end(size)
            return self._values[size]
        # Before the new one is made: both may not fit into a device's memory.
        while len(self._values) >= self._kept:
            self._values.popitem(last=False)
        value = self._values[size] = make(rows, columns)
        return value
