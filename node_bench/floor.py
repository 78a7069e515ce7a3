"""The least that turning an image message into two depth messages can cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

Step = Callable[[], object]


def floor_steps(
    image: np.ndarray,
    jpeg: bytes | None,
    network_size: tuple[int, int],
    publishers: Sequence[Publisher],
) -> dict[str, Step]:
    """Each step by its name; the sum of their times is the floor.

    Args:
        image: (H, W, 3) uint8, as the camera gives it.
        jpeg: the same compressed, to be decoded; None if it comes raw.
        network_size: width and height that it is scaled to.
        publishers: of depth and of sigma, with a subscriber each.
    """
    height, width = image.shape[:2]
    small = np.random.default_rng(0).uniform(2, 80, network_size[::-1]).astype(np.float32)
    message = Image(encoding="32FC1", height=height, width=width, step=4 * width)
    message.data.frombytes(bytes(4 * height * width))
    steps: dict[str, Step] = {}
    if jpeg is not None:
        data = np.frombuffer(jpeg, np.uint8)
        steps["decode"] = lambda: cv2.imdecode(data, cv2.IMREAD_COLOR)
    steps["shrink"] = lambda: cv2.resize(image, network_size, interpolation=cv2.INTER_LINEAR)

    def enlarge() -> object:
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    steps["enlarge depth"], steps["enlarge sigma"] = enlarge, enlarge
    steps["publish depth"] = lambda: publishers[0].publish(message)
    steps["publish sigma"] = lambda: publishers[1].publish(message)
    return steps


class Floor:
    """What the steps take, done once after each image that the node answered.

    In a loop of their own they take half as long: there the processor's caches hold what they
    need, and where the node works they hold the network.

    Args:
        steps: each by its name.
    """

    def __init__(self, steps: dict[str, Step]) -> None:
        self._steps = steps
        self._seconds: dict[str, list[float]] = {name: [] for name in steps}

    def measure(self) -> None:
        """Do each step once."""
        for name, step in self._steps.items():
            start = time.perf_counter()
            step()
            self._seconds[name].append(time.perf_counter() - start)

    def milliseconds(self, left_out: int) -> dict[str, float]:
        """The median of each step, without so many first ones."""
        return {
            name: 1000 * float(np.median(values[left_out:]))
            for name, values in self._seconds.items()
        }
