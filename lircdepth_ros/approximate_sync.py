"""`sync: approximate`: message_filters' ApproximateTimeSynchronizer, with every image counted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import message_filters

from lircdepth_core.errors import InputError
from lircdepth_ros.sensors import MAX_KEPT_BYTES
from lircdepth_ros.stamps import jumped_back, stamp_nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from lircdepth_ros.subscriptions import InputSubscription


MAX_COMBINATIONS = 20_000
"""Of kept clouds, one of each radar: the synchroniser tries all with a message where stamps are
such that none matches. Jazzy's own then takes half a second."""


def check_queue_size(queue_size: int, radars: int) -> None:
    """See that all combinations of clouds can be compared in time.

    Args:
        queue_size: clouds kept of each radar.
        radars: how many.

    Raises:
        InputError: there are too many.
    """
    if queue_size**radars > MAX_COMBINATIONS:
        most = int(MAX_COMBINATIONS ** (1 / radars) + 1e-6)
        raise InputError(
            f"parameter approximate_queue_size is {queue_size}; of {radars} radars no more than "
            f"{most} clouds each can be compared in time"
        )


class ApproximateSync:
    """Pairs images and clouds. Used from one executor thread.

    `saw` is to be called with each message of each topic before its filter passes it on.

    Args:
        queue_size: messages kept per topic, as far as they have no more than `max_bytes` of data.
        slop: messages whose stamps differ by less match, seconds.
        on_match: called with an image and its (topic, cloud) pairs; must not raise, since the
            synchroniser would keep its lock for ever.
        on_unmatched: called once for each image that gets no match; told whether for want of
            clouds, or because synchronising ended before it was known.
        max_bytes: of data kept per topic; the newest message always is.
    """

    def __init__(
        self,
        queue_size: int,
        slop: float,
        on_match: Callable[[Any, tuple[tuple[str, Any], ...]], None],
        on_unmatched: Callable[[bool], None],
        max_bytes: int = MAX_KEPT_BYTES,
    ) -> None:
        self._queue_size = queue_size
        self._slop = slop
        self._on_match = on_match
        self._on_unmatched = on_unmatched
        self._max_bytes = max_bytes
        self._image: InputSubscription | None = None
        self._radars: list[InputSubscription] = []
        self._last_stamps: dict[str, int] = {}
        self._last_match = 0  # its image's stamp
        self._waiting: deque[int] = deque()

    def connect(self, image: InputSubscription, radars: list[InputSubscription]) -> None:
        """Synchronise these subscriptions from now on."""
        self._image, self._radars = image, radars
        self._restart()

    def saw_image(self, message: Any) -> None:
        """Note an image before the synchroniser gets it."""
        stamp = self._note("image", message)
        if stamp in self._waiting:
            self._on_unmatched(True)  # the synchroniser keeps one message per stamp
            return
        self._waiting.append(stamp)
        while len(self._waiting) > self._queue_size:
            self._waiting.remove(min(self._waiting))  # as the synchroniser does
            self._on_unmatched(True)
        for forgotten in self._make_room(0, message):
            if forgotten in self._waiting:
                self._waiting.remove(forgotten)
                self._on_unmatched(True)

    def saw_cloud(self, topic: str, message: Any) -> None:
        """Note a cloud of the topic of this resolved name before the synchroniser gets it."""
        self._note(topic, message)
        self._make_room(1 + self._radar_names.index(topic), message)

    def close(self) -> None:
        """End, and give up the images that still wait."""
        self._give_up(goes_on=False)

    def _give_up(self, goes_on: bool) -> None:
        while self._waiting:
            # Those before one that was matched had their chance.
            had_its_chance = self._waiting.popleft() < self._last_match
            self._on_unmatched(goes_on or had_its_chance)

    def _note(self, topic: str, message: Any) -> int:
        """The stamp; where it jumped back, the synchroniser begins anew.

        It would drop each message of the new time at once, as the oldest of a full queue.
        """
        stamp = stamp_nanoseconds(message.header.stamp)
        if jumped_back(stamp, self._last_stamps.get(topic)):
            self._give_up(goes_on=True)
            self._restart()
        self._last_stamps[topic] = stamp
        return stamp

    @property
    def _radar_names(self) -> list[str]:
        return [radar.topic for radar in self._radars]

    def _make_room(self, index: int, message: Any) -> list[int]:
        """Forget the oldest messages of an input that are too many bytes with a new one.

        Returns:
            Their stamps, nanoseconds.
        """
        queue = self._synchroniser.queues[index]  # stamp: message
        kept = len(message.data) + sum(len(other.data) for other in queue.values())
        forgotten = []
        for stamp in sorted(queue):
            if kept <= self._max_bytes:
                break
            kept -= len(queue.pop(stamp).data)
            forgotten.append(stamp)
        return forgotten

    def _restart(self) -> None:
        assert self._image is not None
        self._last_stamps, self._last_match = {}, 0
        self._synchroniser = message_filters.ApproximateTimeSynchronizer(
            [subscription.restart_filter() for subscription in (self._image, *self._radars)],
            self._queue_size,
            self._slop,
        )
        self._synchroniser.registerCallback(self._matched)

    def _matched(self, message: Any, *clouds: Any) -> None:
        stamp = stamp_nanoseconds(message.header.stamp)
        if stamp in self._waiting:
            self._waiting.remove(stamp)
        self._last_match = max(self._last_match, stamp)
        self._on_match(message, tuple(zip(self._radar_names, clouds, strict=True)))
