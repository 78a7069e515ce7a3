"""What is fuzzed, and how one target's cases are run."""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from threadpoolctl import ThreadpoolController

from lircdepth_core.errors import InputError

SECONDS = 1.0
"""Processor time that a case may take."""

WAITS = 10.0
"""Seconds besides in which a case may wait for anything; other work of the machine counts too."""

MEBIBYTES = 1024
"""By how much the process's memory may grow over all cases of a target, its largest case included.

Decoding the largest image that is allowed, 9 million pixels, takes 60 of them."""

LONGEST_REPORT = 3000
"""Characters of a defect that are kept."""

CHUNK = 1000
"""Cases after which hypothesis forgets what it has tried, so that its own memory stays small."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Attributes:
        name: for the table.
        cases: a strategy for its input.
        check: reads one; it raises `InputError` if it refuses it, and anything else is a defect, an
            `AssertionError` a wrong answer.
        share: of all cases of a run.
    """

    name: str
    cases: SearchStrategy[Any]
    check: Callable[[Any], None]
    share: float


@dataclass
class Tally:
    """What came of a target's cases.

    Attributes:
        answered, refused: numbers of cases.
        slowest: seconds of processor time.
        grown: MiB by which the process's largest size grew.
        defect: the first case that broke a promise, and how; None if none did.
    """

    answered: int = 0
    refused: int = 0
    slowest: float = 0.0
    grown: float = 0.0
    defect: str | None = None
    _first_size: float = field(default_factory=lambda: largest_size(), repr=False)

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.answered + self.refused


def largest_size() -> float:
    """The largest that this process's resident memory ever was, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_target(target: Target, cases: int, first_seed: int) -> Tally:
    """Give a target so many cases; it ends at the first that breaks a promise.

    Args:
        target: which.
        cases: how many; hypothesis may end earlier where there are no more different ones.
        first_seed: the same seed makes the same cases.
    """
    tally = Tally()

    def one(case: Any) -> None:
        message, seconds, waited = checked(target, case)
        if seconds > SECONDS or waited > WAITS:
            # The first case imports what the target needs, and any may meet a collection of what
            # the rest of the process left: a case that is slow by itself is so again.
            message, seconds, waited = checked(target, case)
        if message is None:
            tally.answered += 1
        else:
            tally.refused += 1
            assert message.strip(), "the error says nothing"
            assert "\n" not in message, f"the error has several lines: {message}"
        tally.slowest = max(tally.slowest, seconds)
        assert seconds <= SECONDS, f"took {seconds:.1f} s"
        assert waited <= WAITS, f"waited {waited:.1f} s"

    for number, begin in enumerate(range(0, cases, CHUNK)):
        configured = settings(
            max_examples=min(CHUNK, cases - begin),
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        try:
            seed(first_seed * 100_000 + number)(configured(given(target.cases)(one)))()
        except Exception as error:  # noqa: BLE001 whatever a case brings to light is reported
            notes = "\n".join(getattr(error, "__notes__", []))
            tally.defect = f"{type(error).__name__}: {error}\n{notes}"[:LONGEST_REPORT]
            break
    tally.grown = largest_size() - tally._first_size
    if tally.defect is None and tally.grown > MEBIBYTES:
        tally.defect = f"memory grew by {tally.grown:.0f} MiB, more than {MEBIBYTES}"
    return tally


_pools: tuple[int, ThreadpoolController] | None = None


def pools() -> ThreadpoolController:
    """Of the libraries that are loaded; looked for anew once something was imported."""
    global _pools
    if _pools is None or _pools[0] != len(sys.modules):
        _pools = len(sys.modules), ThreadpoolController()
    return _pools[1]


def checked(target: Target, case: Any) -> tuple[str | None, float, float]:
    """What a case was refused with, if it was, its seconds of processor time, and those besides."""
    message = None
    begin, begin_worked = time.monotonic(), time.process_time()
    try:
        # Several threads wait for each other by spinning, which is no work of the case.
        with pools().limit(limits=1), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's would fill a log
            target.check(case)
    except InputError as error:
        message = str(error)
    worked = time.process_time() - begin_worked
    return message, worked, time.monotonic() - begin - worked
