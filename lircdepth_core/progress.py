"""How far long work is, for whoever watches."""

from __future__ import annotations

import sys
import time

_PLAIN_PERIOD = 30.0


class Progress:
    """Tells on stderr how much is done.

    On a terminal it is one line that is written over; elsewhere, as in a log file, a line of its
    own at most every 30 seconds.

    Args:
        unit: what is counted, in the plural.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Say that so many are done, of all if that is known; `note` stands behind it."""
        text = f"{done}{'' if total is None else f' of {total}'} {self._unit}{note}"
        if self._terminal:
            end = "\n" if done == total else ""
            print(f"\r{text}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif time.monotonic() - self._told >= _PLAIN_PERIOD:
            self._told = time.monotonic()
            print(text, file=sys.stderr, flush=True)
