"""The node as a process of its own, and what speaks to it over DDS."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_rig import camera_info_message, image_message, nanoseconds, wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image

ROOT = Path(__file__).resolve().parents[2]
CALIBRATION = f"calibration_file:={ROOT / 'test' / 'data' / 'calibration.yaml'}"
"""Of the sensors, as a parameter."""

NODE = ("-m", "lircdepth_ros.main")


class NodeProcess:
    """lircdepth_node with its output in a file."""

    def __init__(self, log, *parameters, remaps=(), environment=None, run=NODE):
        self.log = log
        arguments = [item for text in parameters for item in ("-p", text)]
        arguments += [item for text in remaps for item in ("-r", text)]
        self.process = subprocess.Popen(
            [sys.executable, *run, "--ros-args", *arguments],
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            env=python_environment() | (environment or {}),
        )

    def output(self):
        return self.log.read_text()

    def wait_for(self, text):
        wait_until(lambda: text in self.output() or self.process.poll() is not None, 60, text)
        assert text in self.output(), self.output()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def python_environment():
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


class Listener:
    """Collects the node's answers, its last diagnostics, and publishes inputs."""

    def __init__(self):
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.depths, self.sigmas, self.values, self.status = [], [], {}, ""
        subscribe = self.node.create_subscription
        subscribe(Image, "/depth/output/depth/image_rect", self.depths.append, 100)
        subscribe(Image, "/depth/output/uncertainty/image_rect", self.sigmas.append, 100)
        subscribe(DiagnosticArray, "/diagnostics", self.keep, 10)
        self.images = self.node.create_publisher(Image, "/depth/input/image", 10)
        self.infos = self.node.create_publisher(CameraInfo, "/depth/input/camera_info", 10)

    def keep(self, array):
        for status in array.status:
            if status.name == "depth: images":
                self.status = status.message
            self.values.update({value.key: value.value for value in status.values})

    def wait(self, condition, timeout=60, what="the condition"):
        def spun():
            self.executor.spin_once(timeout_sec=0.05)
            return condition()

        return wait_until(spun, timeout, what)

    def wait_for_node(self):
        """Wait until what the node answers will reach this listener.

        Its first diagnostics come after it has been activated, and only once it has heard of the
        readers here, those of the answers included. What it publishes before is lost: its
        publishers are reliable, but volatile.
        """
        self.values.clear()
        self.wait(lambda: self.values, what="the node's diagnostics")

    def bring(self, node, transitions, to):
        """Ask the node for the transitions in turn; it must then be in that state."""
        change = self.change_client(node)
        state = self.node.create_client(GetState, f"{node}/get_state")
        self.wait(state.service_is_ready, what="the node's services")
        # A service answers before it has heard of the answer's reader, and the answer is lost. A
        # state can be asked for again, a transition can not: the node hears of readers in the
        # order of their making, so that once it has answered the second client it knows the first.
        self.state(state)
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            future = change.call_async(request)
            self.wait(future.done, what=f"transition {transition}")
            assert future.result().success
        assert self.state(state) == to

    def request(self, node, transition):
        """Ask the node for a transition, without waiting for it."""
        request = ChangeState.Request(transition=Transition(id=transition))
        self.change_client(node).call_async(request)

    def change_client(self, node):
        """A client of the node's service that changes its state."""
        client = self.node.create_client(ChangeState, f"{node}/change_state")
        self.wait(client.service_is_ready, what="the node's services")
        return client

    def state(self, client):
        """The label of the node's lifecycle state."""
        answers = []

        def asked_and_answered():
            future = client.call_async(GetState.Request())
            end = time.monotonic() + 1
            while not future.done() and time.monotonic() < end:
                self.executor.spin_once(timeout_sec=0.05)
            if future.done():
                answers.append(future.result().current_state.label)
            return answers

        self.wait(asked_and_answered, what="the node's state")
        return answers[0]

    def ask(self, at):
        """Send an image as soon as the node listens, and wait for its answer."""
        self.wait_for_node()
        self.wait(lambda: self.images.get_subscription_count(), what="the node's subscription")
        self.wait(lambda: self.infos.get_subscription_count(), what="the node's subscription")
        self.infos.publish(camera_info_message())
        self.images.publish(image_message(at))
        self.wait(lambda: any(nanoseconds(m) == at for m in self.depths), what="an answer")
