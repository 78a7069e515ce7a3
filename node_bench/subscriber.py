"""`python -m node_bench.subscriber TOPIC ...`: takes images and throws them away."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image


def main() -> None:
    """Until it is interrupted."""
    rclpy.init()
    node = rclpy.create_node("node_bench_subscriber")
    for topic in sys.argv[1:]:
        node.create_subscription(Image, topic, lambda _: None, 10)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return


if __name__ == "__main__":
    main()
