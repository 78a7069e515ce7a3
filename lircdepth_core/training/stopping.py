"""When a run stops before its end: at a signal, or because it was told to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
"""Signals after which a run stops cleanly, and what they are called."""

TIME_LIMIT = "time limit"
MAX_STEPS = "max steps"

REASONS = (*SIGNALS.values(), TIME_LIMIT, MAX_STEPS)
"""Why a run stops, the one that counts first."""


class Stop:
    """Whether a run should stop, and why.

    Args:
        seconds: from now until the time is up; None for never.
        max_steps: after which it should; None for never.
    """

    def __init__(self, seconds: float | None = None, max_steps: int | None = None) -> None:
        self._max_steps = max_steps
        self._end = None if seconds is None else time.monotonic() + seconds
        self.signal: signal.Signals | None = None
        self._noted = 0.0

    def is_far_enough(self, step: int) -> bool:
        """Whether a run should make no update after this step."""
        return self._max_steps is not None and step >= self._max_steps

    def reason(self, step: int) -> str | None:
        """Why the run should stop after a step; None if it should not."""
        if self.signal is not None:
            return SIGNALS[self.signal]
        if self._end is not None and time.monotonic() >= self._end:
            return TIME_LIMIT
        if self.is_far_enough(step):
            return MAX_STEPS
        return None

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Take note of a signal instead of ending at once; Ctrl-C later on ends at once."""

        def note(number: int, frame: FrameType | None) -> None:
            # torchrun passes on what the terminal has sent as well: at once is no second wish.
            if number == signal.SIGINT and self.signal and time.monotonic() - self._noted > 2:
                raise KeyboardInterrupt
            if self.signal is None:
                self._noted = time.monotonic()
                self.signal = signal.Signals(number)

        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
