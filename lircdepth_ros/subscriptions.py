"""A subscription that follows what its topic's publishers offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import message_filters
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from lircdepth_core.errors import InputError, first_line
from lircdepth_ros.message_limits import cut_long_parts, read_cloud
from lircdepth_ros.publication_gaps import PublicationGaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rclpy.node import Node
    from rclpy.subscription import Subscription
    from rclpy.topic_endpoint_info import TopicEndpointInfo

    from lircdepth_ros.health import Health

_AUTOMATIC = "automatic"
_RELIABILITIES = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}


class InputSubscription:
    """One input topic.

    Reliable if every publisher of the topic offers it, else best effort; made again when that or
    the type changes. The read-only parameters `qos_overrides.<topic>.subscription.reliability` and
    `.depth` fix either.

    Args:
        node: owner.
        topic: name as the node uses it, for example `~/input/image`.
        usable: message classes that can be read, the preferred one first.
        callback: called with each message, before `filter` passes it on; must not raise.
        health: counts messages, losses and QoS events.
        depth: messages kept while the node is busy.
        latched: also take what publishers that are transient local sent before.

    Raises:
        InputError: a QoS override is not one of the values above.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        usable: tuple[type, ...],
        callback: Callable[[Any], None],
        health: Health,
        depth: int = 10,
        latched: bool = False,
    ) -> None:
        self.topic = node.resolve_topic_name(topic)
        self.filter = message_filters.SimpleFilter()
        self._name = topic  # rclpy remaps it; the resolved name would be remapped twice
        self._node = node
        self._usable = usable
        self._callback = callback
        self._health = health
        self._latched = latched
        self._subscription: Subscription | None = None
        self._gaps = PublicationGaps(lambda: _identifiers(self._publishers()))
        self._made_as: tuple[type, ReliabilityPolicy, DurabilityPolicy] | None = None
        self._reliability, self._depth = self._read_overrides(depth)
        health.expect(self.topic, must_flow=not latched)
        self.review()

    def restart_filter(self) -> message_filters.SimpleFilter:
        """A new filter in place of the old one, which then gets no more messages."""
        self.filter = message_filters.SimpleFilter()
        return self.filter

    def review(self) -> None:
        """Look at the topic's publishers and make the subscription anew if they ask for it."""
        publishers = self._publishers()
        self._gaps.review(_identifiers(publishers))
        types = {entry.topic_type for entry in publishers}
        self._tell_of_types(types)
        message_type = self._choose_type(types)
        offered = [entry.qos_profile for entry in publishers]
        wanted = (self._choose_reliability(offered), self._choose_durability(offered))
        if message_type is None or (message_type, *wanted) == self._made_as:
            return
        self._unsubscribe()
        try:
            self._subscription = self._subscribe(message_type, *wanted)
        except RuntimeError as error:  # rclpy's, when the middleware refuses
            self._health.event(f"{self.topic}: cannot subscribe", problem=first_line(error))
            return
        self._made_as = (message_type, *wanted)

    def _choose_type(self, offered: set[str]) -> type | None:
        """What to subscribe to; None where the publishers are to tell, and none is there."""
        for kind in self._usable:
            if len(self._usable) == 1 or _type_name(kind) in offered:
                return kind
        # By their names' custom, so that nothing is missed at first.
        compressed = self.topic.endswith("compressed") and CompressedImage in self._usable
        return CompressedImage if compressed else None

    def _tell_of_types(self, offered: set[str]) -> None:
        """Warn, as long as it lasts, where publishers have none of the types that can be read."""
        usable = {_type_name(kind) for kind in self._usable}
        detail = None
        if offered and not usable & offered:
            found, wanted = ", ".join(sorted(offered)), " or ".join(sorted(usable))
            detail = f"its publishers offer {found}; {wanted} is needed"
        self._health.condition(f"{self.topic} cannot be read", detail)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._unsubscribe()
        self._tell_of_types(set())

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._made_as = None, None
        self._gaps.review(frozenset())

    def _subscribe(
        self, message_type: type, reliability: ReliabilityPolicy, durability: DurabilityPolicy
    ) -> Subscription:
        return self._node.create_subscription(
            message_type,
            self._name,
            self._on_message,  # type: ignore[arg-type]  # rclpy looks at its arguments
            qos_profile=QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=self._depth,
                reliability=reliability,
                durability=durability,
            ),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible, message_lost=self._on_lost
            ),
            raw=message_type is PointCloud2,
        )

    def _choose_reliability(self, offered: list[QoSProfile]) -> ReliabilityPolicy:
        if self._reliability in _RELIABILITIES:
            return _RELIABILITIES[self._reliability]
        all_reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
        return ReliabilityPolicy.RELIABLE if all_reliable else ReliabilityPolicy.BEST_EFFORT

    def _choose_durability(self, offered: list[QoSProfile]) -> DurabilityPolicy:
        latched = [qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered]
        if self._latched and latched and all(latched):
            return DurabilityPolicy.TRANSIENT_LOCAL
        return DurabilityPolicy.VOLATILE

    def _publishers(self) -> list[TopicEndpointInfo]:
        found: list[TopicEndpointInfo] = self._node.get_publishers_info_by_topic(self._name)
        return found

    def _on_message(self, message: Any, info: dict[str, Any]) -> None:
        self._health.received(self.topic)
        if missed := self._gaps.missed(info.get("publication_sequence_number")):
            self._health.event(f"{self.topic}: messages lost", missed)
        if isinstance(message, bytes):
            try:
                message = read_cloud(message)
            except InputError as error:
                self._health.message_dropped(self.topic, "unusable cloud", str(error))
                return
        cut_long_parts(message)
        # message_filters would raise; that of a camera_info is never read.
        if message.header.stamp.sec < 0 and not isinstance(message, CameraInfo):
            remedy = "set the driver's clock"
            if isinstance(message, Image | CompressedImage):
                self._health.image_received()
                self._health.image_dropped("negative stamp", remedy)
            else:
                self._health.message_dropped(self.topic, "negative stamp", remedy)
            return
        self._callback(message)
        self.filter.signalMessage(message)

    def _on_incompatible(self, event: Any) -> None:
        problem = ""
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        # Else the next review mends it.
        if policy == "reliability" and self._reliability in _RELIABILITIES:
            problem = f"a publisher offers another {policy}, see the parameter qos_overrides"
        self._health.event(f"{self.topic}: incompatible QoS", event.total_count_change, problem)

    def _on_lost(self, event: Any) -> None:
        if not self._gaps.follows:  # else the next message shows it, and once is enough
            self._health.event(f"{self.topic}: messages lost", event.total_count_change)

    def _read_overrides(self, depth: int) -> tuple[str, int]:
        """The reliability and depth that the user fixed, or the defaults."""
        prefix = f"qos_overrides.{self.topic}.subscription"
        reliability = self._read(f"{prefix}.reliability", _AUTOMATIC)
        if reliability not in (_AUTOMATIC, *_RELIABILITIES):
            raise InputError(
                f"parameter {prefix}.reliability is {reliability!r}; use {_AUTOMATIC}, "
                f"{' or '.join(_RELIABILITIES)}"
            )
        depth = self._read(f"{prefix}.depth", depth)
        if depth < 1:
            raise InputError(f"parameter {prefix}.depth is {depth}; at least 1")
        return reliability, depth

    def _read(self, name: str, default: Any) -> Any:
        if not self._node.has_parameter(name):
            descriptor = ParameterDescriptor(
                read_only=True, description=f"QoS of the subscription to {self.topic}."
            )
            try:
                self._node.declare_parameter(name, default, descriptor)
            except InvalidParameterTypeException as error:
                raise InputError(f"parameter {name}: {error}") from error
        return self._node.get_parameter(name).value


def _identifiers(publishers: Iterable[TopicEndpointInfo]) -> frozenset[bytes]:
    return frozenset(bytes(entry.endpoint_gid) for entry in publishers)


def _type_name(message_type: type) -> str:
    """As publishers tell it, for example sensor_msgs/msg/Image."""
    return f"{message_type.__module__.partition('.')[0]}/msg/{message_type.__name__}"
