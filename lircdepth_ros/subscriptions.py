"""A subscription that follows what its topic's publishers offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import message_filters
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from lircdepth_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.node import Node

    from lircdepth_ros.health import Health

_AUTOMATIC = "automatic"
_RELIABILITIES = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}


class InputSubscription:
    """One input topic.

    Reliable if every publisher of the topic offers it, else best effort; made again when that
    changes, when the type changes, or on an incompatible-QoS event. The parameters
    `qos_overrides.<topic>.subscription.reliability` and `.depth` fix either.

    Args:
        node: owner.
        topic: name as the node uses it, for example `~/input/image`.
        choose_type: message class for the type names that the topic's publishers offer; None:
            cannot be told yet.
        callback: called with each message, before `filter` passes it on; must not raise.
        health: counts messages, losses and QoS events.
        depth: messages kept while the node is busy.

    Raises:
        InputError: a QoS override is not one of the values above.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        choose_type: Callable[[list[str]], type | None],
        callback: Callable[[Any], None] | None,
        health: Health,
        depth: int,
    ) -> None:
        self.topic = node.resolve_topic_name(topic)
        self.filter = message_filters.SimpleFilter()
        self._node = node
        self._choose_type = choose_type
        self.callback = callback
        self._health = health
        self._subscriber: message_filters.Subscriber | None = None
        self._made_as: tuple[type, ReliabilityPolicy] | None = None
        self._incompatible = False
        self._reliability, self._depth = self._read_overrides(depth)
        self.review()

    def restart_filter(self) -> message_filters.SimpleFilter:
        """A new filter in place of the old one, which then gets no more messages."""
        self.filter = message_filters.SimpleFilter()
        return self.filter

    def review(self) -> None:
        """Look at the topic's publishers and make the subscription anew if they ask for it."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        message_type = self._choose_type(sorted({entry.topic_type for entry in publishers}))
        reliability = _RELIABILITIES.get(self._reliability)
        if reliability is None:
            all_reliable = all(
                entry.qos_profile.reliability == ReliabilityPolicy.RELIABLE for entry in publishers
            )
            reliability = (
                ReliabilityPolicy.RELIABLE
                if all_reliable and not (self._incompatible and publishers)
                else ReliabilityPolicy.BEST_EFFORT
            )
            self._incompatible = self._incompatible and not all_reliable
        if message_type is None or (message_type, reliability) == self._made_as:
            return
        self.destroy()
        self._made_as = (message_type, reliability)
        self._subscriber = message_filters.Subscriber(
            self._node,
            message_type,
            self.topic,
            qos_profile=QoSProfile(
                history=HistoryPolicy.KEEP_LAST, depth=self._depth, reliability=reliability
            ),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible, message_lost=self._on_lost
            ),
        )
        self._subscriber.registerCallback(self._on_message)

    def destroy(self) -> None:
        """Unsubscribe."""
        if self._subscriber is not None:
            self._node.destroy_subscription(self._subscriber.sub)
        self._subscriber, self._made_as = None, None

    def _on_message(self, message: Any) -> None:
        self._health.received(self.topic)
        if self.callback is not None:
            self.callback(message)
        self.filter.signalMessage(message)

    def _on_incompatible(self, event: Any) -> None:
        self._incompatible = True
        self._health.event(f"{self.topic}: incompatible QoS", event.total_count_change)

    def _on_lost(self, event: Any) -> None:
        self._health.event(f"{self.topic}: messages lost", event.total_count_change)

    def _read_overrides(self, depth: int) -> tuple[str, int]:
        values = []
        for policy, default in (("reliability", _AUTOMATIC), ("depth", depth)):
            name = f"qos_overrides.{self.topic}.subscription.{policy}"
            if not self._node.has_parameter(name):
                self._node.declare_parameter(name, default)
            values.append(self._node.get_parameter(name).value)
        reliability, depth = values
        if reliability not in (_AUTOMATIC, *_RELIABILITIES):
            raise InputError(
                f"parameter qos_overrides.{self.topic}.subscription.reliability is "
                f"{reliability!r}; use {_AUTOMATIC}, {' or '.join(_RELIABILITIES)}"
            )
        if depth < 1:
            raise InputError(
                f"parameter qos_overrides.{self.topic}.subscription.depth is {depth}; at least 1"
            )
        return reliability, depth
