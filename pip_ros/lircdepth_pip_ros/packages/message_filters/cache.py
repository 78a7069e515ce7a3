"""The last messages of a topic, looked up by time."""

from collections import deque
from typing import Any

from rclpy.time import Time

from .simple_filter import SimpleFilter
from .stamps import stamp_of


class Cache(SimpleFilter):
    """Keeps the last `cache_size` messages of filter `f` in the order of their arrival.

    Stamps asked for are `rclpy.time.Time` in ROS time. Each message is passed on as well.
    """

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False):
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self._entries: deque[tuple[Time, Any]] = deque(maxlen=cache_size)
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Take messages from `f`, too."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Store a message, dropping the one that came first if there are too many."""
        stamp = stamp_of(msg, self.allow_headerless)
        if stamp is None:
            return
        self._entries.append((stamp, msg))
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Return the messages stamped between the two times, both included."""
        assert from_stamp <= to_stamp, "from_stamp is after to_stamp"
        return [msg for stamp, msg in tuple(self._entries) if from_stamp <= stamp <= to_stamp]

    def getElemAfterTime(self, stamp: Time) -> Any | None:
        """Return the first message at or after the time, or None."""
        return next((msg for time, msg in tuple(self._entries) if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Time) -> Any | None:
        """Return the last message at or before the time, or None."""
        return next((msg for time, msg in reversed(tuple(self._entries)) if time <= stamp), None)

    def getLastestTime(self) -> Time | None:
        """Return the stamp of the newest message, or None. The name is Jazzy's."""
        entries = tuple(self._entries)
        return entries[-1][0] if entries else None

    def getOldestTime(self) -> Time | None:
        """Return the stamp of the oldest message, or None."""
        entries = tuple(self._entries)
        return entries[0][0] if entries else None

    def getLast(self) -> Any | None:
        """Return the newest message, or None; the later stamped if they came out of order."""
        newest = self.getLastestTime()
        return None if newest is None else self.getElemAfterTime(newest)
