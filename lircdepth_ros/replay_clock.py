"""Recording time as messages of the topic /clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lircdepth_core.errors import InputError
from lircdepth_ros.replay_bag import BagMessage

CLOCK_TOPIC = "/clock"

CLOCK_END = 2**31 * 10**9
"""ns from which on ROS has no time: its seconds are an int32."""


def check_clock_time(bag: Path, time: int) -> None:
    """See that a recording time, ns, is one that a clock of ROS can show.

    Args:
        bag: for the error.
        time: ns.

    Raises:
        InputError: it is not.
    """
    if not 0 <= time < CLOCK_END:
        raise InputError(
            f"{bag}: --clock cannot tell the recording time {time} ns, ROS's are 0 to "
            f"{CLOCK_END - 1}; leave --clock out, or choose another part by --start and --duration"
        )


def with_clock(messages: Iterable[BagMessage], frequency: float, bag: Path) -> Iterator[BagMessage]:
    """Put a clock message before each message, and more in between where messages are rare.

    Args:
        messages: in order of recording.
        frequency: the least number of clock messages per recorded second, Hz.
        bag: where they are from, for errors.

    Raises:
        InputError: a message has a recording time that a clock of ROS cannot show.
    """
    step = max(round(1e9 / frequency), 1)
    last: int | None = None
    for message in messages:
        check_clock_time(bag, message.time)
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
