"""A ROS subscription as the source of a chain of filters."""

from typing import Any

from rclpy.node import Node

from .simple_filter import SimpleFilter


class Subscriber(SimpleFilter):
    """A subscription of `node` to `topic`; its output is each message.

    As in Jazzy, the first three arguments are positional and everything else (`qos_profile`,
    default 10, `callback_group`, `event_callbacks`, ...) goes by keyword to
    `Node.create_subscription`. The subscription itself is `sub`; its attributes can be read here.
    """

    def __init__(self, node: Node, msg_type: type, topic: str, /, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        kwargs.setdefault("qos_profile", 10)
        self.sub = node.create_subscription(msg_type, topic, self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Receive a message."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Return the topic's name as it was given."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        if key == "sub":  # not made yet, or refused
            raise AttributeError(key)
        return getattr(self.sub, key)
