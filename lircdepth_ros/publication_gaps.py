"""Messages that a publisher sent and the middleware never delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Set


class PublicationGaps:
    """Counts what is missing between the messages of a topic's only publisher.

    A subscription that keeps the last messages forgets older ones while its node is busy, and no
    event of the middleware tells of it (QoS event `message_lost` is of the network alone). What
    tells is a gap in the publisher's numbers (`publication_sequence_number` of rmw's message
    info); Fast DDS has them, Cyclone DDS does not. With several publishers the numbers mix, and
    nothing is counted.

    Args:
        publishers: the identifiers (GIDs) of the topic's publishers as the middleware knows them.
    """

    def __init__(self, publishers: Callable[[], Set[bytes]]) -> None:
        self._ask = publishers
        self._publishers: Set[bytes] = frozenset()
        self._next: int | None = None

    @property
    def follows(self) -> bool:
        """Whether a loss will show as a gap."""
        return self._next is not None

    def review(self, publishers: Set[bytes]) -> None:
        """Tell of the publishers there are; where they have changed, counting begins anew."""
        if publishers != self._publishers:
            self._publishers, self._next = frozenset(publishers), None

    def missed(self, number: int | None) -> int:
        """How many messages are missing before one.

        Args:
            number: `publication_sequence_number`; None where the middleware has none.
        """
        if not self._publishers:
            self.review(self._ask())
        if number is None or len(self._publishers) != 1:
            self._next = None
            return 0
        expected, self._next = self._next, number + 1
        if expected is not None and number < expected:
            # It counts from its beginning again, or another was there for a moment.
            self._next = None
        if expected is None or number <= expected:
            return 0
        now = self._ask()
        if now != self._publishers:  # another one, whose number says nothing of the one before
            self.review(now)
            return 0
        return number - expected
