"""depth.launch.py as `ros2 launch` runs it, with the package as colcon installed it."""

import importlib.util
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
from ament_index_python.packages import get_package_share_directory
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 60.0


def share() -> Path | None:
    """The installed package's share; None where it is not installed."""
    try:
        return Path(get_package_share_directory("lircdepth"))
    except (LookupError, OSError):  # not built, or no ROS sourced at all
        return None


# By marks: launch_testing imports test files while it collects, and a skip there hides all others.
# Not "launch": this repository's folder of launch files would be found under that name.
pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(
        importlib.util.find_spec("launch_ros") is None,
        reason="launch_ros is not installed; it comes with ROS 2, there is no wheel",
    ),
    pytest.mark.skipif(
        share() is None,
        reason="lircdepth is not installed in this ROS 2: colcon build, then . install/setup.bash",
    ),
]


class Launched:
    """A running `ros2 launch lircdepth depth.launch.py`, and a node of ours that looks at it."""

    def __init__(self, log: Path, arguments: list[str]) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                ["ros2", "launch", "lircdepth", "depth.launch.py", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("test_launch", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until(self, condition, what):
        if not self._spin(condition, START_TIMEOUT):
            pytest.fail(f"waited {START_TIMEOUT} s for {what}; the launch said:\n{self.output}")

    def state(self, name):
        """The lifecycle state of the node, as `ros2 lifecycle get` asks for it."""
        client = self.node.create_client(GetState, f"{name}/get_state")
        answers = []

        def asked_and_answered():
            # Asked again: an answer is lost if its reader has not been discovered yet.
            answer = client.call_async(GetState.Request())
            if self._spin(answer.done, 1.0):
                answers.append(answer.result().current_state.label)
            return answers

        self.wait_until(client.service_is_ready, f"the services of {name}")
        self.wait_until(asked_and_answered, f"the state of {name}")
        self.node.destroy_client(client)
        return answers[0]

    def _spin(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def wait_until_active(self, name):
        self.wait_until(lambda: self.state(name) == "active", f"{name} to become active")

    def readers(self, topic):
        return self.node.count_subscribers(topic)

    def interrupt(self):
        """Ctrl-C in a terminal: every process of the group gets the signal."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(timeout=30)

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
        try:
            self.interrupt()
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)


@pytest.fixture
def launch(tmp_path):
    """Returns a function that launches with arguments."""
    started = []

    def start(**arguments):
        log = tmp_path / f"launch{len(started)}.log"
        started.append(Launched(log, [f"{name}:={value}" for name, value in arguments.items()]))
        return started[-1]

    yield start
    for launched in started:
        launched.close()


@pytest.fixture(scope="module")
def launch_file():
    """The launch file as a module."""
    spec = importlib.util.spec_from_file_location(
        "depth_launch", share() / "launch" / "depth.launch.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bag(tmp_path):
    """One grey JPEG image with its camera_info on the nuScenes topics."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {name.rsplit("/", 1)[1]: kind for name, kind in store.types.items()}
    stamp = store.types["builtin_interfaces/msg/Time"](sec=1_532_402_927, nanosec=0)
    header = types["Header"](stamp=stamp, frame_id="CAM_FRONT")
    jpeg = cv2.imencode(".jpg", np.full((192, 320, 3), 100, np.uint8))[1].ravel()
    matrix = np.array([260.0, 0, 159.5, 0, 260.0, 95.5, 0, 0, 1])
    no_region = types["RegionOfInterest"](0, 0, 0, 0, False)
    info = types["CameraInfo"](
        header=header,
        height=192,
        width=320,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix,
        r=np.eye(3).ravel(),
        p=np.insert(matrix, [3, 6, 9], 0.0),
        binning_x=0,
        binning_y=0,
        roi=no_region,
    )
    image = types["CompressedImage"](header=header, format="jpeg", data=jpeg)
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in (
            ("/CAM_FRONT/camera_info", info),
            ("/CAM_FRONT/image_rect_compressed", image),
        ):
            kind = message.__msgtype__
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, stamp.sec * 10**9, store.serialize_cdr(message, kind))
    return path


def test_every_argument_is_explained(launch_file):
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == {
        *("image", "camera_info", "radar", "odometry"),
        *("model", "device", "backend", "params_file", "autostart", "use_sim_time"),
        *("namespace", "respawn", "log_level", "bag", "rviz", "fastdds_profile"),
    }
    assert all(argument.description for argument in arguments)


def test_without_arguments_it_runs_on_the_nuscenes_topics_and_ctrl_c_ends_it(launch):
    launched = launch()
    launched.wait_until_active("/depth")
    for topic in ("image_rect_compressed", "camera_info"):
        launched.wait_until(lambda topic=topic: launched.readers(f"/CAM_FRONT/{topic}"), topic)
    launched.wait_until(lambda: launched.readers("/RADAR_FRONT"), "/RADAR_FRONT")
    launched.interrupt()
    assert "process has finished cleanly" in launched.output
    assert "Traceback" not in launched.output


def test_namespace_and_topics_are_followed(launch):
    launched = launch(
        namespace="car", image="/front/compressed", camera_info="/front/info", radar="/left, /right"
    )
    launched.wait_until_active("/car/depth")
    for topic in ("/front/compressed", "/front/info", "/left", "/right"):
        launched.wait_until(lambda topic=topic: launched.readers(topic), topic)
    assert not launched.readers("/RADAR_FRONT")


def test_a_bag_is_replayed_into_the_node(launch, bag):
    launched = launch(bag=bag, radar="none")
    answers = []
    launched.node.create_subscription(
        Image, "/depth/output/depth/image_rect", answers.append, qos_profile=10
    )
    launched.wait_until(lambda: answers, "the answer to the bag's image")
    assert answers[0].header.stamp.sec == 1_532_402_927
    assert (answers[0].width, answers[0].height) == (320, 192)


def test_a_model_that_is_not_there_is_one_clear_line(launch):
    launched = launch(model="no_such_model")
    launched.wait_until(lambda: "configure failed" in launched.output, "the failure")
    assert launched.state("/depth") == "unconfigured"
    complaints = [line for line in launched.output.splitlines() if "no_such_model" in line]
    assert len(complaints) == 1
    assert "Traceback" not in launched.output


def test_autostart_can_be_left_to_a_manager(launch):
    launched = launch(autostart="false")
    assert launched.state("/depth") == "unconfigured"


@pytest.mark.parametrize("argument", ["params_file", "bag"])
def test_a_file_that_is_not_there_stops_the_launch(launch, argument):
    launched = launch(**{argument: "/no/such/file"})
    launched.wait_until(lambda: f"{argument}:=/no/such/file" in launched.output, "the complaint")
    assert "process started" not in launched.output


@pytest.mark.parametrize("argument", ["autostart", "use_sim_time", "respawn", "rviz"])
def test_what_is_neither_true_nor_false_is_named(launch, argument):
    launched = launch(**{argument: "maybe"})
    launched.wait_until(lambda: f'Argument "{argument}"' in launched.output, "the complaint")
    assert "process started" not in launched.output


@pytest.mark.parametrize("tf_type", [None, "found"])
def test_the_bags_calibration_replaces_tf_where_tf_has_no_python_type(
    launch_file, monkeypatch, bag, tf_type
):
    (bag / "calibration.yaml").touch()
    monkeypatch.setattr(launch_file, "find_spec", lambda name: tf_type)
    given = {argument.name: argument.default for argument in launch_file.ARGUMENTS}
    parameters = launch_file.node_parameters({**given, "bag": str(bag)})
    expected = None if tf_type else str(bag / "calibration.yaml")
    assert parameters.get("calibration_file") == expected
    assert parameters["use_sim_time"] is True


def test_an_argument_left_out_leaves_the_parameters_file_alone(launch_file):
    given = {argument.name: argument.default for argument in launch_file.ARGUMENTS}
    assert launch_file.node_parameters(given) == {}


@pytest.mark.parametrize(
    ("environment", "free", "set_"),
    [
        ({}, 2**30, True),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, 2**30, True),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, 2**30, False),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}, 2**30, False),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "not-read-in-jazzy.xml"}, 2**30, True),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, 2**30, False),
        ({}, 2**26, False),
    ],
)
def test_the_fast_dds_profile_is_set_where_it_helps(
    launch_file, monkeypatch, environment, free, set_
):
    monkeypatch.setattr(launch_file, "disk_usage", lambda path: SimpleNamespace(free=free))
    profile = str(share() / "config" / "fastdds.xml")
    expected = {"FASTRTPS_DEFAULT_PROFILES_FILE": profile} if set_ else {}
    assert launch_file.fastdds_environment(profile, environment) == expected
    assert launch_file.fastdds_environment("none", environment) == {}
