"""Filters that put messages of several inputs together by their stamps."""

import threading
from collections.abc import Sequence
from itertools import product
from typing import Any

from rclpy.duration import Duration

from .simple_filter import SimpleFilter
from .stamps import stamp_of


class TimeSynchronizer(SimpleFilter):
    """Outputs one message of each filter in `fs` as soon as all have one of the same stamp.

    Of each input the `queue_size` messages of the latest stamps wait for their partners. Callbacks
    run under the lock, one set after the other; one that raises does not keep it.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Take messages from `fs`, with empty queues."""
        self.queues: list[dict[int, Any]] = [{} for _ in fs]  # stamp in ns: message
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Receive a message of one input and output the sets that it completes."""
        stamp = stamp_of(msg, allow_headerless=False)
        if stamp is None:
            return
        with self.lock:
            self._store(stamp.nanoseconds, msg, my_queue)
            for common in sorted(set(self.queues[0]).intersection(*self.queues[1:])):
                self._output([common] * len(self.queues))

    def _store(self, stamp: int, msg: Any, queue: dict[int, Any]) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _output(self, stamps: Sequence[int]) -> None:
        messages = [queue.pop(stamp) for queue, stamp in zip(self.queues, stamps, strict=True)]
        self.signalMessage(*messages)


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Outputs one message of each filter in `fs` when their stamps lie within `slop` seconds.

    A new message is put together with the messages of the other inputs that are nearest to it in
    time, if the latest and the earliest stamp of the set are *less* than `slop` apart.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        super().__init__(fs, queue_size)

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Receive a message of one input and output the set that it completes, if any."""
        time = stamp_of(msg, self.allow_headerless)
        if time is None:
            return
        stamp, slop = time.nanoseconds, self.slop.nanoseconds
        with self.lock:
            self._store(stamp, msg, my_queue)
            if stamp not in my_queue:  # older than all of a full queue
                return
            candidates = [
                [stamp]
                if queue is my_queue
                else sorted(
                    (other for other in queue if abs(other - stamp) <= slop),
                    key=lambda other: abs(other - stamp),
                )
                for queue in self.queues
            ]
            for stamps in product(*candidates):
                if max(stamps) - min(stamps) < slop:
                    self._output(stamps)
                    return
