"""One image at a time through the node, and what its diagnostics say of the time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from soak.feed import IMAGE_TOPIC, camera_info, header, make_context, radar_cloud, radar_points

START_SECONDS, ANSWER_SECONDS = 120.0, 20.0
OUTPUTS = ("/depth/output/depth/image_rect", "/depth/output/uncertainty/image_rect")
PAUSE_SECONDS = 0.02
"""Between an image and the radar before it, so that no wait for radar is measured, and before that
after the answers, whose stages end in the node a little after they are heard."""


class Rig:
    """Publishes to the node and hears it; to be used as a context.

    Args:
        process: the node's; its end is an error.
        jpeg: images are sent compressed, as this; None sends them raw.
        image: (H, W, 3) uint8 BGR.
        points: how many radar points come before each image.
        namespace: of the node.

    Attributes:
        node: for publishers of one's own.
        diagnostics: the last values of the node.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        jpeg: bytes | None,
        image: np.ndarray,
        points: int,
        namespace: str = "",
    ) -> None:
        self._process, self._jpeg, self._image, self._points = process, jpeg, image, points
        self._context = make_context()
        self.node = rclpy.create_node(
            f"node_bench{namespace.replace('/', '_')}", context=self._context
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        kind: type = Image if jpeg is None else CompressedImage
        create = self.node.create_publisher
        self._images = create(kind, namespace + IMAGE_TOPIC, 10)
        self._infos = create(CameraInfo, f"{namespace}/depth/input/camera_info", 10)
        self._radar = create(PointCloud2, f"{namespace}/depth/input/radar", 10)
        self._heard: dict[str, int] = {}
        self._stamp = 0
        name = f"{namespace}/depth".lstrip("/")
        self._told = {f"{name}: stages", f"{name}: images"}
        self._outputs = tuple(namespace + topic for topic in OUTPUTS)
        for topic in self._outputs:
            self.node.create_subscription(Image, topic, self._hearing(topic), 10)
        self.diagnostics: dict[str, str] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._rng = np.random.default_rng(0)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def wait_for_node(self) -> None:
        """Until it listens to everything.

        Raises:
            RuntimeError: it does not, or has ended.
        """
        publishers = (self._images, self._infos, self._radar)
        self._wait(
            lambda: all(p.get_subscription_count() for p in publishers) and bool(self.diagnostics),
            START_SECONDS,
            "the node does not listen",
        )

    @contextmanager
    def floor_publishers(self, topics: Sequence[str]) -> Iterator[tuple[Publisher, ...]]:
        """Publishers with a subscriber each in another process, as the node's have; a context.

        Raises:
            RuntimeError: the subscriber does not come.
        """
        publishers = tuple(self.node.create_publisher(Image, topic, 10) for topic in topics)
        subscriber = subprocess.Popen([sys.executable, "-m", "node_bench.subscriber", *topics])
        try:
            self._wait(
                lambda: all(p.get_subscription_count() for p in publishers),
                START_SECONDS,
                "the subscriber does not listen",
            )
            yield publishers
        finally:
            subscriber.kill()
            subscriber.wait()

    def send(self) -> None:
        """Send one image with radar, and wait for both answers.

        Raises:
            RuntimeError: there is none, or the node has ended.
        """
        self.send_radar()
        self._spin(PAUSE_SECONDS)
        self.send_image()
        self.wait_for_answers()
        self._spin(PAUSE_SECONDS)

    def send_radar(self) -> None:
        """Send what comes before the next image."""
        self._stamp = time.time_ns()
        self._infos.publish(camera_info())
        self._radar.publish(radar_cloud(radar_points(self._rng, self._points), self._stamp))

    def send_image(self) -> None:
        """Send an image of the last radar's stamp."""
        self._images.publish(self._message(self._stamp))

    def wait_for_answers(self) -> None:
        """Until depth and sigma of the last image are there.

        Raises:
            RuntimeError: they do not come, or the node has ended.
        """
        self._wait(
            lambda: all(self._heard.get(topic) == self._stamp for topic in self._outputs),
            ANSWER_SECONDS,
            "an image was not answered",
        )

    def stages(self) -> dict[str, float]:
        """Milliseconds of the median of each stage, of the last 200 images, as the node says."""
        self.diagnostics = {}
        self._wait(lambda: bool(self.diagnostics), ANSWER_SECONDS, "no diagnostics")
        end = " p50 [ms]"
        return {
            key.removesuffix(end): float(value)
            for key, value in self.diagnostics.items()
            if key.endswith(end)
        }

    def _message(self, stamp: int) -> Image | CompressedImage:
        if self._jpeg is not None:
            message = CompressedImage(header=header(stamp, "CAM_FRONT"), format="jpeg")
            message.data.frombytes(self._jpeg)
            return message
        height, width = self._image.shape[:2]
        raw = Image(header=header(stamp, "CAM_FRONT"), encoding="bgr8", step=3 * width)
        raw.height, raw.width = height, width
        raw.data.frombytes(self._image.tobytes())
        return raw

    def _hearing(self, topic: str) -> Callable[[Image], None]:
        def hear(message: Image) -> None:
            self._heard[topic] = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec

        return hear

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            if status.name in self._told:
                self.diagnostics |= {value.key: value.value for value in status.values}

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _wait(self, until: Callable[[], Any], seconds: float, failure: str) -> None:
        end = time.monotonic() + seconds
        while not until():
            if self._process.poll() is not None:
                raise RuntimeError(f"the node ended with {self._process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"{failure} within {seconds:g} s")
            self._executor.spin_once(timeout_sec=0.05)
