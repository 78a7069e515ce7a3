"""What a vehicle with bad cables publishes: images, radar, odometry and camera_info, by a seed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.context import Context
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2, PointField
from std_msgs.msg import Header

IMAGE_RATE, RADAR_RATE, ODOMETRY_RATE = 12.0, 13.0, 50.0
"""Hz, nuScenes' but for odometry."""

WIDTH, HEIGHT, FOCAL_LENGTH = 1600, 900, 1266.4

IMAGE_FAULTS = {
    "not sent": 0.03,
    "cut": 0.02,
    "not an image": 0.01,
    "another size": 0.01,
    "stamp zero": 0.01,
    "stamp repeated": 0.01,
    "stamp of 2 s before": 0.005,
}
"""Faults and their probabilities."""

IMAGE_TOPIC = "/depth/input/image"
RADAR_FAULTS = {"not sent": 0.1, "cut": 0.03, "of NaN": 0.03, "no fields": 0.02, "late": 0.05}
CAMERA_INFO_FAULTS = {"not sent": 0.05, "without a camera": 0.01, "of no size": 0.01}
ODOMETRY_FAULTS = {"not sent": 0.05, "of NaN": 0.01, "stamp zero": 0.01, "of 2 s before": 0.01}


@dataclass
class Feed:
    """Publishes in time, and remembers what it published.

    Attributes:
        sent: images by their fault; `whole` for none.
        at: steady seconds when a whole image was sent, by its stamp in nanoseconds.
    """

    node: Any
    seed: int
    sent: Counter[str] = field(default_factory=Counter)
    at: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        publisher = self.node.create_publisher
        self._images = publisher(CompressedImage, IMAGE_TOPIC, 10)
        self._infos = publisher(CameraInfo, "/depth/input/camera_info", 10)
        self._radar = publisher(PointCloud2, "/depth/input/radar", 10)
        self._odometry = publisher(Odometry, "/depth/input/odometry", 100)
        noise = self._rng.integers(0, 256, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
        large = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(noise, (WIDTH // 2, HEIGHT // 2))
        self._jpeg, self._other = (cv2.imencode(".jpg", i)[1].tobytes() for i in (large, small))
        self._next = dict.fromkeys((IMAGE_RATE, RADAR_RATE, ODOMETRY_RATE), time.monotonic())
        self._last_stamp = 0

    @property
    def ready(self) -> bool:
        """Whether the node listens."""
        return all(
            publisher.get_subscription_count()
            for publisher in (self._images, self._infos, self._radar, self._odometry)
        )

    @property
    def images_sent(self) -> int:
        """All, whatever their fault."""
        return sum(self.sent.values())

    def publish_due(self) -> float:
        """Publish what is due; seconds until something is."""
        now = time.monotonic()
        for rate, publish in (
            (ODOMETRY_RATE, self._publish_odometry),
            (RADAR_RATE, self._publish_radar),
            (IMAGE_RATE, self._publish_image),
        ):
            if now >= self._next[rate]:
                publish()
                # A tenth of the period is jitter; of what could not be sent in time one is made up.
                period = (1 + self._rng.normal() / 10) / rate
                self._next[rate] = max(self._next[rate], now - 1 / rate) + max(period, 0.001)
        return max(min(self._next.values()) - time.monotonic(), 0.0)

    def _fault(self, faults: dict[str, float]) -> str:
        names = ["whole", *faults]
        chances = [1 - sum(faults.values()), *faults.values()]
        return str(self._rng.choice(names, p=chances))

    def _publish_image(self) -> None:
        self._publish_camera_info()
        fault = self._fault(IMAGE_FAULTS)
        stamp = time.time_ns()
        if fault == "not sent":
            return
        data = {
            "cut": self._jpeg[: len(self._jpeg) // 3],
            "not an image": b"\0" * 1000,
            "another size": self._other,
        }.get(fault, self._jpeg)
        stamp = {
            "stamp zero": 0,
            "stamp repeated": self._last_stamp,
            "stamp of 2 s before": stamp - 2_000_000_000,
        }.get(fault, stamp)
        message = CompressedImage(header=header(stamp, "CAM_FRONT"), format="jpeg")
        message.data.frombytes(data)
        self.sent[fault] += 1
        if fault == "whole":
            self.at[stamp] = time.monotonic()
            self._last_stamp = stamp
        self._images.publish(message)

    def _publish_camera_info(self) -> None:
        fault = self._fault(CAMERA_INFO_FAULTS)
        if fault == "not sent":
            return
        info = camera_info()
        if fault == "without a camera":
            info.k = [0.0] * 9
            info.p = [0.0] * 12
        if fault == "of no size":
            info.width = info.height = 0
        self._infos.publish(info)

    def _publish_radar(self) -> None:
        fault = self._fault(RADAR_FAULTS)
        if fault == "not sent":
            return
        points = radar_points(self._rng, 80)
        if fault == "of NaN":
            points[:] = np.nan
        late = 500_000_000 if fault == "late" else 0
        cloud = radar_cloud(points, time.time_ns() - late)
        if fault == "no fields":
            cloud.fields = []
        if fault == "cut":
            del cloud.data[100:]
        self._radar.publish(cloud)

    def _publish_odometry(self) -> None:
        fault = self._fault(ODOMETRY_FAULTS)
        if fault == "not sent":
            return
        now = time.time_ns()
        stamp = {"stamp zero": 0, "of 2 s before": now - 2_000_000_000}.get(fault, now)
        odometry = Odometry(header=header(stamp, "map"), child_frame_id="base_link")
        x = 10.0 * ((stamp * 1e-9) % 1000)
        odometry.pose.pose.position.x = np.nan if fault == "of NaN" else x
        odometry.pose.pose.orientation.w = 1.0
        self._odometry.publish(odometry)


def radar_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 6): x, y, z in metres, RCS in dBsm, vx, vy in m/s, ahead of the radar."""
    return rng.uniform((5, -15, -1, -5, -15, -2), (80, 15, 1, 30, 5, 2), (count, 6))


def radar_cloud(points: np.ndarray, nanoseconds: int) -> PointCloud2:
    """Such points as a radar's cloud."""
    cloud = PointCloud2(header=header(nanoseconds, "RADAR_FRONT"))
    cloud.fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate(("x", "y", "z", "rcs", "vx", "vy"))
    ]
    cloud.height, cloud.width, cloud.point_step = 1, len(points), 24
    cloud.row_step = 24 * len(points)
    cloud.data.frombytes(points.astype("<f4").tobytes())
    return cloud


def header(nanoseconds: int, frame: str) -> Header:
    """Of a stamp and a frame."""
    stamp = Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return Header(stamp=stamp, frame_id=frame)


def camera_info() -> CameraInfo:
    """Of nuScenes' CAM_FRONT."""
    info = CameraInfo(header=Header(frame_id="CAM_FRONT"), width=WIDTH, height=HEIGHT)
    f, x, y = FOCAL_LENGTH, (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    info.k = [f, 0.0, x, 0.0, f, y, 0.0, 0.0, 1.0]
    info.p = [f, 0.0, x, 0.0, 0.0, f, y, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def make_context() -> Any:
    """A context of DDS of its own."""
    context = Context()
    rclpy.init(context=context)
    return context
