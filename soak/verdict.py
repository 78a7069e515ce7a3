"""Which promises a long run kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WARM_UP = 0.2
"""Share of the run that memory and latency are not judged by."""

MEMORY_GROWTH = 0.02
LATENCY_GROWTH = 1.5
"""Of the 99th percentile, second half of the rest over the first: other programs disturb it too."""

HEARD_LATE = 2
"""Answers that may be on their way when the run ends, or were before it began."""


@dataclass(frozen=True)
class Verdict:
    """A run's figures and its broken promises.

    Attributes:
        figures: for people and for JSON.
        broken: one line each; empty if all were kept.
    """

    figures: dict[str, Any]
    broken: list[str]


def judge(
    sent: dict[str, int],
    values: dict[str, str],
    lost: int,
    latencies: Sequence[tuple[float, float]],
    looks: Sequence[tuple[float, int, int]],
    pairs: int,
    wrong: dict[str, int],
) -> Verdict:
    """Judge a run that the node has finished, so that nothing is in work.

    Args:
        sent: images sent, by fault.
        values: the last diagnostics of images.
        lost: images that did not reach the node, by its own count of what DDS lost.
        latencies: (time, seconds) of each answer.
        looks: (time, resident bytes, open files).
        pairs: answers that were heard, depth and sigma.
        wrong: what was wrong with their numbers, and how often.
    """
    received, answered = int(values["received"]), int(values["answered"])
    dropped = {k[9:]: int(v) for k, v in values.items() if k.startswith("dropped: ")}
    begin, end = looks[0][0], looks[-1][0]
    warm = begin + WARM_UP * (end - begin)
    middle = (warm + end) / 2
    parts = [(warm, middle), (middle, end)]
    memory = [np.median([m for t, m, _ in looks if low <= t <= high]) for low, high in parts]
    files = [max(n for t, _, n in looks if low <= t <= high) for low, high in parts]
    late = [
        np.percentile([s for t, s in latencies if low <= t <= high] or [np.nan], 99)
        for low, high in parts
    ]
    seconds = [s for t, s in latencies if t >= warm] or [np.nan]
    figures = {
        "minutes": (end - begin) / 60,
        "sent": dict(sent),
        "received": received,
        "lost_on_the_way": lost,
        "answered": answered,
        "heard": pairs,
        "dropped": dropped,
        "latency_ms": {str(p): 1000 * float(np.percentile(seconds, p)) for p in (50, 95, 99)},
        "latency_p99_ms_by_half": [1000 * float(value) for value in late],
        "resident_mib_by_half": [float(value) / 2**20 for value in memory],
        "open_files_by_half": files,
    }
    total = sum(sent.values())
    kept = {
        f"received {received} of {total} images that were sent, {lost} lost by DDS": received + lost
        == total,
        f"{received} received, but {answered} answered and {sum(dropped.values())} dropped with "
        "a reason": received == answered + sum(dropped.values()),
        f"memory grew by {memory[1] / memory[0] - 1:.1%}": memory[1]
        <= memory[0] * (1 + MEMORY_GROWTH),
        f"open files grew from {files[0]} to {files[1]}": files[1] <= files[0],
        f"latency p99 went from {1000 * late[0]:.0f} to {1000 * late[1]:.0f} ms": late[1]
        <= late[0] * LATENCY_GROWTH,
    }
    kept |= {
        f"of {answered} answers {pairs} were heard": answered - HEARD_LATE <= pairs <= answered,
        **{f"{count} answers had {fault}": False for fault, count in wrong.items()},
    }
    return Verdict(figures, [name for name, held in kept.items() if not held])
