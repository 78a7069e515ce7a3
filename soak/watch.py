"""What is seen of the node from outside: its answers, diagnostics, memory and open files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from soak.feed import IMAGE_TOPIC, Feed
from soak.node_process import resident_bytes

PERIOD = 1.0
"""Seconds between two looks at the process."""


@dataclass
class Watch:
    """Collects over the whole run.

    Attributes:
        latencies: (steady seconds, seconds from sending an image to its answer).
        values: of images in the last diagnostics.
        lost: images that DDS lost on the way, as the node counts them.
        levels: how many diagnostics had each level.
        looks: (steady seconds, resident bytes, open files).
    """

    node: Any
    process: int
    feed: Feed
    latencies: list[tuple[float, float]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    levels: dict[int, int] = field(default_factory=dict)
    looks: list[tuple[float, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        subscribe = self.node.create_subscription
        subscribe(Image, "/depth/output/depth/image_rect", self._on_depth, 10)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def look(self) -> None:
        """Note memory and open files, if it is time."""
        now = time.monotonic()
        if self.looks and now - self.looks[-1][0] < PERIOD:
            return
        files = len(os.listdir(f"/proc/{self.process}/fd"))  # noqa: PTH208 as many, not which
        self.looks.append((now, resident_bytes(self.process), files))

    def _on_depth(self, message: Image) -> None:
        now = time.monotonic()
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        sent = self.feed.at.pop(stamp, None)
        if sent is not None:
            self.latencies.append((now, now - sent))

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            found = {value.key: value.value for value in status.values}
            if status.name.endswith(": images"):
                level = int.from_bytes(status.level, "little")
                self.levels[level] = self.levels.get(level, 0) + 1
                self.values = found
            elif status.name.endswith(": inputs"):
                self.lost = int(found.get(f"{IMAGE_TOPIC}: messages lost", 0))
