"""Recording time as messages of the topic /clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lircdepth_ros.replay_bag import BagMessage

CLOCK_TOPIC = "/clock"


def with_clock(messages: Iterable[BagMessage], frequency: float) -> Iterator[BagMessage]:
    """Put a clock message before each message, and more in between where messages are rare.

    Args:
        messages: in order of recording.
        frequency: the least number of clock messages per recorded second, Hz.
    """
    step = max(round(1e9 / frequency), 1)
    last: int | None = None
    for message in messages:
        while last is not None and last + step < message.time:
            last += step
            yield _clock_message(last)
        if last is None or message.time > last:
            last = message.time
            yield _clock_message(last)
        yield message


def _clock_message(now: int) -> BagMessage:
    """rosgraph_msgs/Clock of that recording time, ns, in little-endian CDR."""
    seconds, nanoseconds = divmod(now, 10**9)
    data = b"\x00\x01\x00\x00" + seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little")
    return BagMessage(CLOCK_TOPIC, now, data)
