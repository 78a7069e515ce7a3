"""Each target in a process of its own, which may die or hang."""

from __future__ import annotations

import faulthandler
import multiprocessing
import time
from multiprocessing.queues import SimpleQueue

from fuzz.target import Tally, Target, run_target

HANGS_AFTER = 600.0
"""Seconds in which a target must come to its end for every 1000 cases, else it hangs."""


def targets() -> list[Target]:
    """All there are."""
    from fuzz import documents, files, large_messages, largest, messages, predictions, tables

    modules = (messages, large_messages, largest, predictions, documents, files, tables)
    return [target for module in modules for target in module.TARGETS]


def _run(name: str, cases: int, seed: int, answer: SimpleQueue[Tally]) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(HANGS_AFTER * max(1, cases / 1000), exit=True)
    target = next(target for target in targets() if target.name == name)
    answer.put(run_target(target, cases, seed))


def run_in_process(name: str, cases: int, seed: int) -> Tally:
    """What came of a target; a process that died is a defect."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=_run, args=(name, cases, seed, answer))
    process.start()
    while process.is_alive() and answer.empty():
        time.sleep(0.05)
    if answer.empty():
        return Tally(defect=f"the process ended with status {process.exitcode}")
    tally = answer.get()
    process.join()
    return tally
