"""What is seen of the node from outside: its answers, diagnostics, memory and open files."""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from soak.feed import IMAGE_TOPIC, Feed
from soak.node_process import resident_bytes

PERIOD = 1.0
"""Seconds between two looks at the process."""

KEPT = 20
"""Depths whose sigma may still come, twice as many as DDS keeps."""


@dataclass
class Watch:
    """Collects over the whole run.

    Attributes:
        latencies: (steady seconds, seconds from sending an image to its answer).
        values: of images in the last diagnostics.
        lost: images that DDS lost on the way, as the node counts them.
        levels: how many diagnostics had each level.
        pairs: answers of which depth and sigma came.
        wrong: what was wrong with their numbers, and how often.
        looks: (steady seconds, resident bytes, open files).
    """

    node: Any
    process: int
    feed: Feed
    latencies: list[tuple[float, float]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    levels: dict[int, int] = field(default_factory=dict)
    pairs: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    looks: list[tuple[float, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._depths: dict[int, np.ndarray] = {}  # those whose sigma has not come
        subscribe = self.node.create_subscription
        subscribe(Image, "/depth/output/depth/image_rect", self._on_depth, 10, raw=True)
        subscribe(Image, "/depth/output/uncertainty/image_rect", self._on_sigma, 10, raw=True)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    @property
    def received(self) -> int:
        """Images that the node says it received."""
        return int(self.values.get("received", 0))

    @property
    def answered(self) -> int:
        """Images that the node says it answered."""
        return int(self.values.get("answered", 0))

    def look(self) -> None:
        """Note memory and open files, if it is time."""
        now = time.monotonic()
        if self.looks and now - self.looks[-1][0] < PERIOD:
            return
        files = len(os.listdir(f"/proc/{self.process}/fd"))  # noqa: PTH208 as many, not which
        self.looks.append((now, resident_bytes(self.process), files))

    def _on_depth(self, data: bytes) -> None:
        now = time.monotonic()
        stamp, depth = stamped(data)
        self._depths[stamp] = depth
        if len(self._depths) > KEPT:
            del self._depths[next(iter(self._depths))]
        sent = self.feed.at.pop(stamp, None)
        if sent is not None:
            self.latencies.append((now, now - sent))

    def _on_sigma(self, data: bytes) -> None:
        stamp, sigma = stamped(data)
        depth = self._depths.pop(stamp, None)
        if depth is None:
            return  # its depth came before this began, or was lost
        self.pairs += 1
        for fault in faults(depth, sigma):
            self.wrong[fault] = self.wrong.get(fault, 0) + 1

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            found = {value.key: value.value for value in status.values}
            if status.name.endswith(": images"):
                level = int.from_bytes(status.level, "little")
                self.levels[level] = self.levels.get(level, 0) + 1
                self.values = found
            elif status.name.endswith(": inputs"):
                self.lost = int(found.get(f"{IMAGE_TOPIC}: messages lost", 0))


def faults(depth: np.ndarray, sigma: np.ndarray) -> list[str]:
    """What is wrong with the numbers of an answer.

    Args:
        depth: (N,) metres.
        sigma: (N,) metres; nothing but NaN where the model is not calibrated.
    """
    found = []
    for name, values in (("depth", depth), ("sigma", sigma)):
        # These pass over NaN, and are NaN only where there is nothing else.
        least, largest = np.fmin.reduce(values), np.fmax.reduce(values)
        if least < 0 or largest == np.inf:
            found.append(f"{name} that is infinite or negative")
        if name == "depth" and np.isnan(least):
            found.append("no depth at all")
    missing = np.isnan(sigma)
    if not missing.all() and not np.array_equal(np.isnan(depth), missing):
        found.append("depth without sigma or the other way round")
    return found


def stamped(data: bytes) -> tuple[int, np.ndarray]:
    """Stamp in nanoseconds, and (N,) float32 pixels, of a serialised 32FC1 image.

    Taking it apart here costs a tenth of what rclpy needs to make a message of it. CDR begins with
    four bytes that tell the order, then come the stamp's numbers; the pixels are its end.
    """
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", data, 4)
    place = 16 + length  # of what follows the frame's name
    place += -place % 4
    height, width = struct.unpack_from(f"{order}II", data, place)
    pixels = np.frombuffer(data, f"{order}f4", height * width, len(data) - 4 * height * width)
    return seconds * 10**9 + nanoseconds, pixels
