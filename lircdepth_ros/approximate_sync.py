"""`sync: approximate`: message_filters' ApproximateTimeSynchronizer, with every image counted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import message_filters

from lircdepth_ros.sensors import JUMP_BACK_NANOSECONDS
from lircdepth_ros.transforms import stamp_nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from lircdepth_ros.subscriptions import InputSubscription


class ApproximateSync:
    """Pairs images and clouds. Used from one executor thread.

    Args:
        image: the image's subscription; its messages must also be given to `saw_image`.
        radars: the radars' subscriptions.
        queue_size: messages kept per topic.
        slop: largest difference between stamps, seconds.
        on_match: called with an image and its (topic, cloud) pairs; must not raise, since the
            synchroniser would keep its lock for ever.
        on_unmatched: called once for each image that gets no match.
    """

    def __init__(
        self,
        image: InputSubscription,
        radars: list[InputSubscription],
        queue_size: int,
        slop: float,
        on_match: Callable[[Any, tuple[tuple[str, Any], ...]], None],
        on_unmatched: Callable[[], None],
    ) -> None:
        self._image = image
        self._radars = radars
        self._queue_size = queue_size
        self._slop = slop
        self._on_match = on_match
        self._on_unmatched = on_unmatched
        self._waiting: deque[int] = deque()
        self._connect()

    def saw_image(self, message: Any) -> None:
        """Note an image before the synchroniser gets it."""
        stamp = stamp_nanoseconds(message.header.stamp)
        if self._waiting and stamp < self._waiting[-1] - JUMP_BACK_NANOSECONDS:
            # Messages of the old time would be matched for ever after.
            self.close()
            self._connect()
        if stamp in self._waiting:
            self._on_unmatched()  # the synchroniser keeps one message per stamp
            return
        self._waiting.append(stamp)
        while len(self._waiting) > self._queue_size:
            self._waiting.popleft()
            self._on_unmatched()

    def close(self) -> None:
        """Give up the images that still wait."""
        while self._waiting:
            self._waiting.popleft()
            self._on_unmatched()

    def _connect(self) -> None:
        subscriptions = [self._image, *self._radars]
        self._synchroniser = message_filters.ApproximateTimeSynchronizer(
            [subscription.restart_filter() for subscription in subscriptions],
            self._queue_size,
            self._slop,
        )
        self._synchroniser.registerCallback(self._matched)

    def _matched(self, message: Any, *clouds: Any) -> None:
        stamp = stamp_nanoseconds(message.header.stamp)
        if stamp in self._waiting:
            self._waiting.remove(stamp)
        names = [radar.topic for radar in self._radars]
        self._on_match(message, tuple(zip(names, clouds, strict=True)))
