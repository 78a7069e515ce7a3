"""A node under test and its peer, over real DDS."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

import lircdepth_ros.depth_node as depth_node

SECOND = 1_000_000_000
START = 1_532_402_927 * SECOND
"""Stamps of 2018, as in a nuScenes bag."""

WIDTH, HEIGHT, FOCAL = 320, 192, 260.0

_closed_rigs = itertools.count(1)


def wait_until(condition, timeout=10.0, what="the condition"):
    """Poll; a test fails with what was awaited."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    pytest.fail(f"waited {timeout} s for {what}")


def stamp(nanoseconds):
    return Time(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND)


def nanoseconds(message):
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


def image_message(at, frame="CAM_FRONT", width=WIDTH, height=HEIGHT, encoding="rgb8"):
    message = Image(header=Header(stamp=stamp(at), frame_id=frame), encoding=encoding)
    message.width, message.height, message.step = width, height, width * 3
    message.data.frombytes(np.full(width * height * 3, 100, np.uint8).tobytes())
    return message


def camera_info_message(width=WIDTH, height=HEIGHT, focal=FOCAL, frame="CAM_FRONT"):
    info = CameraInfo(width=width, height=height, header=Header(frame_id=frame))
    cx, cy = (width - 1) / 2, (height - 1) / 2
    info.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def cloud_message(at, points, frame="RADAR_FRONT"):
    """A cloud of (N, 6) float32: x, y, z, rcs, vx, vy."""
    points = np.asarray(points, np.float32).reshape(-1, 6)
    cloud = PointCloud2(header=Header(stamp=stamp(at), frame_id=frame))
    cloud.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(("x", "y", "z", "rcs", "vx", "vy"))
    ]
    cloud.height, cloud.width, cloud.point_step = 1, len(points), 24
    cloud.row_step = 24 * len(points)
    cloud.data.frombytes(points.tobytes())
    return cloud


def odometry_message(at, x, yaw=0.0):
    odometry = Odometry(header=Header(stamp=stamp(at), frame_id="map"), child_frame_id="base_link")
    odometry.pose.pose.position.x = float(x)
    odometry.pose.pose.orientation.z = float(np.sin(yaw / 2))
    odometry.pose.pose.orientation.w = float(np.cos(yaw / 2))
    return odometry


class RecordingPredictor:
    """Stands in for the network where a test is about the node: keeps what it is asked."""

    description, device, backend = "a recording predictor", "cpu", "none"

    def __init__(self):
        self.calls = []
        self.answered = set()
        self.seconds = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.failures = 0
        self.doubts = ()
        self.error = RuntimeError("the network broke")

    def warm_up(self, width=None, height=None):
        pass

    def is_ready_for(self, camera):
        return camera.K[0, 0] in self.answered

    def output_camera(self, camera):
        return camera

    def __call__(self, image, camera, radar, out):
        self.calls.append(SimpleNamespace(image=image, camera=camera, radar=radar))
        time.sleep(self.seconds)
        self.gate.wait(60)
        if self.failures:
            self.failures -= 1
            raise self.error
        self.answered.add(camera.K[0, 0])
        depth, sigma = out
        depth[:], sigma[:] = 10.0 * len(self.calls), len(self.calls)
        return SimpleNamespace(
            camera=camera,
            depth=depth,
            sigma=sigma,
            radar_points=0 if radar is None else len(radar.visible_in(camera)),
            notes=(),
            doubts=self.doubts,
            stage_seconds={"prepare": 0.0, "infer": self.seconds, "restore": 0.0},
        )


class Rig:
    """The node in this process, and a peer that publishes its inputs and keeps its outputs."""

    def __init__(self, parameters, radar_topics, arguments, image_topic):
        self.context, self.peer_context = Context(), Context()
        rclpy.init(context=self.context, args=arguments)
        rclpy.init(context=self.peer_context)
        self.node = depth_node.DepthNode(
            context=self.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in parameters.items()],
        )
        self.peer = rclpy.create_node("peer", context=self.peer_context)
        self.outputs = defaultdict(list)
        self.diagnostics = {}
        self.level, self.message = None, None
        for topic, kind in (
            ("/depth/output/depth/image_rect", Image),
            ("/depth/output/uncertainty/image_rect", Image),
            ("/depth/output/depth/camera_info", CameraInfo),
        ):
            self.peer.create_subscription(kind, topic, self.outputs[topic].append, 10)
        self.peer.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        publish = self.peer.create_publisher
        self.images = publish(Image, image_topic, 10)
        self.infos = publish(CameraInfo, "/depth/input/camera_info", 10)
        self.odometry = publish(Odometry, "/depth/input/odometry", 100)
        self.radars = {topic: publish(PointCloud2, topic, 10) for topic in radar_topics}
        self._stopping = False
        self.raised = []
        self._threads = []
        self.executors = []
        for member in (self.node, self.peer):
            executor = SingleThreadedExecutor(context=member.context)
            executor.add_node(member)
            thread = threading.Thread(target=self._spin, args=(executor,), daemon=True)
            self.executors.append(executor)
            self._threads.append(thread)

    def start(self, camera_info=True):
        self.node.start(threading.Event())
        for thread in self._threads:
            thread.start()
        publishers = [self.images, self.infos, *self.radars.values()]
        if self.node.get_parameter("calibration_file").value:
            publishers.append(self.odometry)
        wait_until(
            lambda: all(p.get_subscription_count() for p in publishers), what="subscriptions"
        )
        # They come only once the node has heard of the peer's readers; answers before are lost.
        wait_until(lambda: self.diagnostics, what="the node's diagnostics")
        if camera_info:
            self.infos.publish(camera_info_message())
            key = "/depth/input/camera_info: received"
            wait_until(lambda: key in self.diagnostics, what="the camera_info's arrival")
        return self

    def _spin(self, executor):
        while not self._stopping:
            try:
                executor.spin_once(timeout_sec=0.1)
            except Exception as error:  # noqa: BLE001 tests look at what callbacks raise
                self.raised.append(error)

    def trigger(self, transition):
        """What a transition returned, made where the node's callbacks run, as its service does."""
        task = self.executors[0].create_task(getattr(self.node, f"trigger_{transition}"))
        wait_until(task.done, what=f"the node to {transition}")
        return task.result()

    def _on_diagnostics(self, message):
        for status in message.status:
            self.diagnostics.update({value.key: value.value for value in status.values})
            if status.name == "depth: images":
                self.level, self.message = status.level, status.message

    @property
    def depths(self):
        return self.outputs["/depth/output/depth/image_rect"]

    def radar(self, cloud, topic="/depth/input/radar"):
        self.radars[topic].publish(cloud)

    def answer_to(self, at, timeout=10.0):
        return wait_until(
            lambda: [m for m in self.depths if nanoseconds(m) == at], timeout, f"answer to {at}"
        )[0]

    def counts(self):
        return self.node._health.snapshot()

    def close(self):
        self._stopping = True
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5)
        self.node.close()
        self.node.destroy_node()
        self.peer.destroy_node()
        rclpy.try_shutdown(context=self.context)
        rclpy.try_shutdown(context=self.peer_context)
        # A lifecycle node of rclpy is part of cycles, and its DDS participant lives as long as it.
        # On one host Fast DDS discovers some thirty participants of a domain: the next ones would
        # find nobody. Late in the suite a collection takes a second.
        self.node = None
        if next(_closed_rigs) % 8 == 0:
            gc.collect()
