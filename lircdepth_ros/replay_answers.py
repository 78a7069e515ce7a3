"""The node's answers, as the replay that waits for them sees them."""

from __future__ import annotations

from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from lircdepth_ros.replay_bag import BagMessage, absolute, header_stamp


class Answers:
    """Collects header.stamp of the images on the answer topic, undeserialised.

    Attributes:
        stamps: ns, of what came so far; the owner clears it.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self.stamps: set[int] = set()
        self._node, self._topic = node, absolute(topic)
        self._subscription: Any = None
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def matched(self) -> bool:
        """Whether a publisher is there and this reader is connected to it."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if publishers and self._subscription is None:
            reliable = all(
                x.qos_profile.reliability == ReliabilityPolicy.RELIABLE for x in publishers
            )
            take: Any = self._take  # raw: bytes, for which rclpy has no annotation
            self._subscription = self._node.create_subscription(
                Image,
                self._topic,
                take,
                QoSProfile(
                    depth=10,
                    reliability=ReliabilityPolicy.RELIABLE
                    if reliable
                    else ReliabilityPolicy.BEST_EFFORT,
                ),
                raw=True,
            )
        return self._subscription is not None and self._subscription.get_publisher_count() > 0

    def _take(self, data: bytes) -> None:
        self.stamps.add(header_stamp(BagMessage(self._topic, 0, data)))

    def spin(self, seconds: float) -> None:
        """Take answers for at most so long; returns at the first."""
        self._executor.spin_once(timeout_sec=seconds)

    def close(self) -> None:
        """Give the node back."""
        self._executor.remove_node(self._node)
        self._executor.shutdown()
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
