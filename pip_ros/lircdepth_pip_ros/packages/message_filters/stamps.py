"""The time that a filter sorts a message by."""

from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.time import Time


def stamp_of(msg: Any, allow_headerless: bool) -> Time | None:
    """Return the stamp in the message's header, as ROS time.

    A message without header gets the time of now if that is allowed; else it is warned of and
    None returned.
    """
    if hasattr(msg, "header") and hasattr(msg.header, "stamp"):
        stamp = msg.header.stamp
        return stamp if isinstance(stamp, Time) else Time.from_msg(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger("message_filters").warning(
        f"A {type(msg).__name__} has no header.stamp and is dropped; set allow_headerless=True to "
        "take its time of arrival."
    )
    return None
