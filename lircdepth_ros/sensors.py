"""Which radar sweeps belong to an image.

Stamps are integer nanoseconds of the messages' clock, reception times are seconds of the steady
clock: bags carry stamps of years ago, so only differences between stamps are ever compared.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from lircdepth_ros.stamps import JUMP_BACK_NANOSECONDS, jumped_back

MAX_GAP_NANOSECONDS = 1_000_000_000
"""Sweeps are not accumulated over a longer silence."""

PERIODS = 5
"""Of a radar that are looked at to tell when its next sweep is due."""

JITTER = 0.25
"""By how much of its period a sweep may come early."""

MAX_KEPT_BYTES = 2**27
"""Of the messages of one sensor that are kept; the newest always is."""


@dataclass(eq=False)
class Sweep:
    """One message of a radar.

    Attributes:
        topic: where it came from.
        stamp: nanoseconds.
        cloud: the message.
        size: of its data, bytes.
        returns: what the worker read from the cloud; None until then.
    """

    topic: str
    stamp: int
    cloud: Any
    size: int = 0
    returns: Any = None


class RadarSweeps:
    """The latest sweeps of one radar, in the order of their stamps.

    Args:
        topic: of the radar.
        capacity: sweeps that are kept.
        max_bytes: of data that are kept; the newest sweep always is.
    """

    def __init__(self, topic: str, capacity: int = 64, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self.topic = topic
        self._max_bytes = max_bytes
        self._sweeps: deque[Sweep] = deque(maxlen=capacity)
        self._last_received: float | None = None

    def add(self, stamp: int, cloud: Any, received: float, size: int = 0) -> bool:
        """Store a sweep of `size` bytes, in place of one of the same stamp.

        Returns:
            Whether its stamp jumped back and older sweeps were forgotten.
        """
        jumped = jumped_back(stamp, self._sweeps[-1].stamp if self._sweeps else None)
        if jumped:
            self._sweeps.clear()
        later = []
        while self._sweeps and self._sweeps[-1].stamp > stamp:
            later.append(self._sweeps.pop())
        if self._sweeps and self._sweeps[-1].stamp == stamp:
            self._sweeps.pop()
        self._sweeps.append(Sweep(self.topic, stamp, cloud, size))
        self._sweeps.extend(reversed(later))
        kept = sum(sweep.size for sweep in self._sweeps)
        while kept > self._max_bytes and len(self._sweeps) > 1:
            kept -= self._sweeps.popleft().size
        self._last_received = received
        return jumped

    def forget_after(self, stamp: int) -> None:
        """Forget sweeps from before a jump back: all, if the newest is far in an image's future.

        Those near the image's stamp are of the old time too, and would be taken for its own.
        """
        if self._sweeps and self._sweeps[-1].stamp > stamp + JUMP_BACK_NANOSECONDS:
            self._sweeps.clear()

    def is_live(self, now: float, silence: float, since: float) -> bool:
        """Whether a sweep arrived within the last `silence` seconds of the steady clock.

        A radar that was never heard counts as heard at `since`, so that the first image waits.
        """
        last = since if self._last_received is None else self._last_received
        return now - last <= silence

    def has_reached(self, stamp: int) -> bool:
        """Whether no sweep that is still to come can be nearer to `stamp` than the last one.

        It is stamped at or after it, or so little before that the next one, even if it is a
        quarter of the radar's period early, is farther away.
        """
        if not self._sweeps:
            return False
        if jumped_back(stamp, self._sweeps[-1].stamp):
            return False  # the sweep is of another time, as where a bag begins again
        behind = stamp - self._sweeps[-1].stamp
        return behind <= 0 or 2 * behind <= (1 - JITTER) * self._period()

    def _period(self) -> float:
        """Nanoseconds between the latest sweeps; 0 where there are too few.

        The least, for some radars send two scans of one cycle close after each other.
        """
        stamps = [sweep.stamp for sweep in islice(reversed(self._sweeps), PERIODS + 1)]
        if len(stamps) <= PERIODS:
            return 0.0
        return min(later - earlier for later, earlier in pairwise(stamps))

    def select(self, stamp: int, max_age: int, count: int) -> list[Sweep]:
        """The sweep nearest `stamp` on either side within `max_age` ns, and `count` - 1 before it.

        Returns the nearest first; empty if none is near enough. The sweeps before it, for
        accumulation, end at a gap of a second.
        """
        sweeps = list(self._sweeps)
        if not sweeps:
            return []
        nearest = min(range(len(sweeps)), key=lambda index: abs(sweeps[index].stamp - stamp))
        if abs(sweeps[nearest].stamp - stamp) > max_age:
            return []
        chosen = [sweeps[nearest]]
        for sweep in sweeps[max(0, nearest - count + 1) : nearest][::-1]:
            if chosen[-1].stamp - sweep.stamp > MAX_GAP_NANOSECONDS:
                break
            chosen.append(sweep)
        return chosen


def radar_is_complete(
    radars: list[RadarSweeps], stamp: int, now: float, silence: float, since: float
) -> bool:
    """Whether waiting longer cannot bring a nearer sweep of any live radar.

    Args:
        radars: all radars.
        stamp: the image's, nanoseconds.
        now: steady seconds.
        silence: a radar silent for longer is not live, seconds.
        since: when the first image came, steady seconds.
    """
    return all(radar.has_reached(stamp) for radar in radars if radar.is_live(now, silence, since))
