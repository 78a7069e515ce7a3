"""Images that wait for their radar and ego motion, and which of them is answered next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from lircdepth_ros.sensors import MAX_KEPT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensor_msgs.msg import CompressedImage, Image

    from lircdepth_ros.sensors import Sweep

Inputs = TypeVar("Inputs")

MAX_WAITING = 1000
"""Images: all are gone through whenever something comes."""


@dataclass(frozen=True, eq=False)
class WaitingImage:
    """An image that nothing was done to yet.

    Attributes:
        message: the image.
        stamp: nanoseconds.
        received: steady seconds.
        sweeps: those that a synchroniser chose for it; None where the nearest are to be found.
    """

    message: Image | CompressedImage
    stamp: int
    received: float
    sweeps: tuple[Sweep, ...] | None = None


@dataclass(frozen=True)
class Taken(Generic[Inputs]):
    """The image to answer, and what belongs to it."""

    image: WaitingImage
    inputs: Inputs


class WaitingImages(Generic[Inputs]):
    """The images that are not begun, in the order in which they came.

    A camera may be faster than radar: several of its images then wait for one sweep, which
    completes them together. They are answered one after another. Where that falls behind the
    camera, which is where two of its images come while one is answered, the newest complete one is
    next, and those before it are dropped.

    Args:
        max_bytes: of messages that wait, of which there are at most `MAX_WAITING`; the newest
            always does. Where there is no room for another, the oldest waits no longer.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._images: deque[WaitingImage] = deque()
        self._bytes = 0
        self._arrived = 0  # since one was taken

    def __len__(self) -> int:
        return len(self._images)

    @property
    def newest(self) -> WaitingImage | None:
        """The one that came last."""
        return self._images[-1] if self._images else None

    def add(self, image: WaitingImage) -> int:
        """Let an image wait.

        Returns:
            How many were dropped to make room.
        """
        self._images.append(image)
        self._arrived += 1
        self._bytes += len(image.message.data)
        before = len(self)
        while len(self) > 1 and (self._bytes > self._max_bytes or len(self) > MAX_WAITING):
            self.drop_oldest()
        return before - len(self)

    def drop_oldest(self) -> None:
        """Drop the one that came first."""
        self._bytes -= len(self._images.popleft().message.data)

    def clear(self) -> int:
        """Drop all; returns how many."""
        count = len(self)
        self._images.clear()
        self._bytes = 0
        return count

    def drop_before_overdue(self, now: float, limit: float) -> int:
        """Drop those that are older than the newest one that has waited for `limit` seconds.

        Returns:
            How many.
        """
        overdue = sum(now - image.received >= limit for image in self._images)
        for _ in range(overdue - 1):
            self.drop_oldest()
        return max(overdue - 1, 0)

    def next_overdue(self, now: float, limit: float) -> float | None:
        """In how many seconds an image will have waited for `limit`; None if none waits."""
        if not self._images:
            return None
        return max(min(image.received for image in self._images) + limit - now, 0)

    def take(
        self,
        now: float,
        limit: float,
        inputs_of: Callable[[WaitingImage, bool], Inputs | None],
        idle: bool,
    ) -> tuple[Taken[Inputs] | None, int]:
        """The image to answer now, if there is one.

        Args:
            now: steady seconds.
            limit: seconds for which an image waits at most.
            inputs_of: what belongs to an image; None if more of it may come, never where the
                image waits no longer, which the second argument tells.
            idle: nothing was answered since this was last asked.

        Returns:
            The image and its inputs, None to wait; and how many older ones were dropped for it.
        """
        ready: list[Taken[Inputs]] = []
        for image in self._images:
            crowded = image is self._images[0] and self._is_crowded
            inputs = inputs_of(image, crowded or now - image.received >= limit)
            if inputs is not None:
                ready.append(Taken(image, inputs))
        if not ready:
            return None, 0
        taken = ready[0] if idle or self._arrived <= 1 else ready[-1]
        self._arrived = 0
        dropped = 0
        while self._images[0] is not taken.image:
            self.drop_oldest()
            dropped += 1
        self.drop_oldest()
        return taken, dropped

    @property
    def _is_crowded(self) -> bool:
        """Whether another image like the newest would push the oldest out."""
        bytes_then = self._bytes + len(self._images[-1].message.data)
        return len(self) > 1 and (bytes_then > self._max_bytes or len(self) >= MAX_WAITING)
