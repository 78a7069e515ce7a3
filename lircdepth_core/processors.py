"""How many processors this process may use."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """As many as the scheduler gives it, where that can be asked; else as many as there are.

    taskset and containers (`docker run --cpuset-cpus`) give fewer than there are; so does OpenMP
    to the thread that asks, where OMP_PROC_BIND is set and torch was imported.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
