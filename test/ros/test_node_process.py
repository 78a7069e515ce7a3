"""The node as a process of its own, with the real network, fed by bags and other processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import disk_usage

import numpy as np
import pytest
import rclpy
from described_model import describe_model
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_rig import START, camera_info_message, image_message, nanoseconds, wait_until
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from simple_scene import SCENE, write_scene
from untrained_model import write_untrained_model

from lircdepth_core.dataset.bag import write_bag
from lircdepth_core.inference.calibration import Calibration
from lircdepth_core.inference.model_files import write_description
from lircdepth_ros.tf_poses import tf_is_installed

ROOT = Path(__file__).resolve().parents[2]
ENDS_WITHIN = 2.0
"""Seconds from a signal to the end, nothing being in work."""

STOP_SECONDS = 6.0
"""So long an image in work is waited for."""

NODE = ("-m", "lircdepth_ros.main")
HANGING_NODE = (
    "-c",
    """
import sys, threading, time
from lircdepth_ros import depth_node, node_process
def hang(*_):
    print("inferring", flush=True)
    # As a back end's own threads do, it holds up the interpreter's end.
    threading.Thread(target=time.sleep, args=(600,)).start()
    time.sleep(600)
depth_node.Predictor.warm_up = lambda *_: None
depth_node.Predictor.__call__ = hang
sys.exit(node_process.run_node(sys.argv[1:]))
""",
)
"""The node with a network that never answers."""

LOADING_NODE = (
    "-c",
    """
import ctypes, os, signal, sys
from lircdepth_ros import depth_node, node_process
def load(*_, **__):
    # As in a driver, signals do not end the call, and Python sees none until it is over.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.siginterrupt(number, False)
    print("loading", flush=True)
    ctypes.CDLL(None).read(os.pipe()[0], ctypes.create_string_buffer(1), 1)
depth_node.Predictor.load = load
sys.exit(node_process.run_node(sys.argv[1:]))
""",
)
"""The node with a model that never finishes loading."""

SLOW_SECONDS = 3.0
SLOW_NODE = (
    "-c",
    f"""
import sys, time
from lircdepth_ros import depth_node, node_process
whole = depth_node.Predictor.__call__
def infer(*arguments):
    print("inferring", flush=True)
    time.sleep({SLOW_SECONDS})
    return whole(*arguments)
depth_node.Predictor.warm_up = lambda *_: None
depth_node.Predictor.__call__ = infer
sys.exit(node_process.run_node(sys.argv[1:]))
""",
)
"""The node with a network that takes three seconds more for an image."""

IMPORTING_NODE = (
    "-c",
    """
import sys, time
from lircdepth_ros.main import main
class Slow:
    def find_spec(self, name, *_):
        if name == "torch":
            print("importing", flush=True)
            time.sleep(600)
sys.meta_path.insert(0, Slow())
sys.exit(main(sys.argv[1:]))
""",
)
"""The node on a computer that takes long to import torch."""

SOON = "hang_after:=0.05"
"""Seconds; ten times as long for a first image."""

PATIENT = ("radar_wait:=2.0", "radar_silence:=60.0")
TOPICS = {
    "image": "/CAM_FRONT/image_rect_compressed",
    "camera_info": "/CAM_FRONT/camera_info",
    "radar": "/RADAR_FRONT",
    "odometry": "/odom",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The student at a short focal length, so that it is fast, with a calibration."""
    folder = tmp_path_factory.mktemp("model")
    table = np.broadcast_to([[[1.0, 2.0]], [[3.0, 4.0]]], (2, 2, 2))
    write_description(
        folder,
        describe_model(
            focal_length=100.0,
            trained=False,
            calibration=Calibration([0.683, 0.95], [0.0, 100.0], [0.0, 1.0], table),
        ),
    )
    return str(folder)


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


@pytest.fixture
def start_node(tmp_path):
    """Starts nodes; those still running at the end must stop cleanly."""
    nodes = []

    def start(*parameters, **kwargs):
        node = NodeProcess(tmp_path / f"node{len(nodes)}.log", *parameters, **kwargs)
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        if node.process.returncode is None:
            assert node.stop() == 0, node.output()
            assert "Traceback" not in node.output()


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


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown(context=listener.context)


def bag_parameters(bag, model):
    """Parameters and remaps for a bag in lockstep, where replay waits for the node."""
    parameters = (f"model:={model}", f"calibration_file:={bag / 'calibration.yaml'}", *PATIENT)
    remaps = [f"~/input/{name}:={topic}" for name, topic in TOPICS.items()]
    return parameters, remaps


def replay(bag, topics):
    """A process that plays topics of a bag in lockstep."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "lircdepth_ros.replay", bag, "--lockstep"),
            *("--topics", *topics, "--wait", *topics),
        ],
        env=python_environment(),
    )


def pixels(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_the_real_frame_from_bag_to_depth(real_frame, tmp_path, start_node, listener, model):
    bag = tmp_path / "bag"
    write_bag(real_frame, bag, "scene-0061")
    parameters, remaps = bag_parameters(bag, model)
    start_node(*parameters, remaps=remaps)
    listener.wait_for_node()
    player = replay(bag, TOPICS.values())
    listener.wait(lambda: player.poll() is not None, what="the end of the bag")
    assert player.returncode == 0
    listener.wait(lambda: listener.sigmas, what="uncertainty")
    listener.wait(lambda: "radar points in the image" in listener.values, what="diagnostics")
    assert len(listener.depths) == 1
    depth, sigma = listener.depths[0], listener.sigmas[0]
    assert (depth.width, depth.height) == (1600, 900)
    assert depth.header.frame_id == "CAM_FRONT"
    assert nanoseconds(depth) == 1_532_402_927_612_460_000
    assert sigma.header == depth.header
    assert np.isfinite(pixels(depth)).all()
    assert (pixels(sigma) > 0).all()
    # The sweep is stamped 51.7 ms after the image; 61 of its returns lie in the image.
    assert listener.values["radar age [ms]"] == "/RADAR_FRONT: -52"
    assert listener.values["radar points in the image"] == "61"


def play_generated_scene(folder, start_node, listener, parameters, topics):
    """12 small images in lockstep; fails unless each is answered with nothing missing."""
    write_scene(folder / "data", frames=12, width=320, height=180)
    write_bag(folder / "data", folder / "bag", SCENE)
    start_node(*parameters, remaps=bag_parameters(folder / "bag", "")[1])
    listener.wait_for_node()
    player = replay(folder / "bag", topics)
    listener.wait(lambda: player.poll() is not None, what="the end of the bag")
    assert player.returncode == 0
    listener.wait(lambda: listener.values.get("answered") == "12", what="diagnostics")
    assert listener.values["received"] == "12"
    assert len({nanoseconds(message) for message in listener.depths}) == 12
    said = ("dropped", "answered without", "warned of")
    told = [key for key in listener.values if key.startswith(said)]
    assert told == ["warned of: depth may be wrong"]  # the model is untrained


def test_every_image_of_a_bag_is_answered_in_lockstep(tmp_path, start_node, listener, model):
    parameters, _ = bag_parameters(tmp_path / "bag", model)
    play_generated_scene(tmp_path, start_node, listener, parameters, TOPICS.values())


@pytest.mark.skipif(not tf_is_installed(), reason="tf2_ros is not installed; there is no wheel")
def test_the_same_with_poses_from_tf(tmp_path, start_node, listener, model):
    topics = [TOPICS["image"], TOPICS["camera_info"], TOPICS["radar"], "/tf", "/tf_static"]
    play_generated_scene(tmp_path, start_node, listener, [f"model:={model}", *PATIENT], topics)


PUBLISHER = """
import sys, time
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from node_rig import START, camera_info_message, image_message
rclpy.init()
node = rclpy.create_node("camera")
qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[sys.argv[1]])
images = node.create_publisher(Image, "/depth/input/image", qos)
infos = node.create_publisher(CameraInfo, "/depth/input/camera_info", 10)
while not (images.get_subscription_count() and infos.get_subscription_count()):
    time.sleep(0.05)
infos.publish(camera_info_message(1600, 900, 1266.0))
time.sleep(0.5)
for index in range(60):
    begin = time.monotonic()
    images.publish(image_message(START + index * 166_000_000, width=1600, height=900))
    time.sleep(max(0.0, 1 / 6 - (time.monotonic() - begin)))
time.sleep(1)
"""


@pytest.mark.skipif(
    not Path("/dev/shm").is_dir() or disk_usage("/dev/shm").free < 2**28,
    reason="/dev/shm has no 256 MB for the segments of the shipped Fast DDS profile",
)
@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
def test_sixty_raw_images_all_arrive(start_node, listener, model, reliability):
    environment = {"FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml")}
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    parameters = (f"model:={model}", f"calibration_file:={calibration}", "image_type:=raw")
    start_node(*parameters, environment=environment)
    support = f"{ROOT / 'test' / 'support'}{os.pathsep}{python_environment()['PYTHONPATH']}"
    # The listener's own publishers would offer reliability; only the camera's count here.
    listener.node.destroy_publisher(listener.images)
    camera = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, reliability],
        env=python_environment() | environment | {"PYTHONPATH": support},
    )
    listener.wait(lambda: camera.poll() is not None, 60, "the camera's end")
    assert camera.returncode == 0
    listener.wait(lambda: listener.values.get("received") == "60", 10, "60 images received")

    def dropped():
        return {k: int(v) for k, v in listener.values.items() if k.startswith("dropped")}

    def answered():
        return int(listener.values["answered"])

    # On a machine too slow for 6 Hz the newest image wins; none is lost or unaccounted for.
    listener.wait(lambda: answered() + sum(dropped().values()) == 60, 10, "an account of 60 images")
    assert dropped().keys() <= {"dropped: replaced by newer"}
    assert answered() > 30
    assert listener.values["/depth/input/image: messages lost"] == "0"


def test_a_killed_node_answers_again_after_a_restart(start_node, listener, model):
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    parameters = (f"model:={model}", f"calibration_file:={calibration}", "image_type:=raw")
    first = start_node(*parameters)
    listener.ask(START)
    first.process.kill()
    first.process.wait()
    second = start_node(*parameters)
    second.wait_for("answering images of")
    # DDS takes seconds to notice that the first reader is gone; it must not hold up the second.
    listener.wait(lambda: listener.images.get_subscription_count() == 2, what="both readers")
    listener.ask(START + 1_000_000_000)


def test_any_number_of_interrupts_end_it_cleanly(start_node, model):
    """`ros2 launch` without a terminal sends two; the second comes while Python shuts down."""
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    node = start_node(f"model:={model}", f"calibration_file:={calibration}")
    node.wait_for("answering images of")
    interrupt_until_it_ends(node.process)
    assert node.process.returncode == 0, node.output()


def test_any_number_of_interrupts_end_a_replay_cleanly(tmp_path):
    write_scene(tmp_path / "data", frames=2, width=320, height=180)
    write_bag(tmp_path / "data", tmp_path / "bag", SCENE)
    player = subprocess.Popen(
        [sys.executable, "-m", "lircdepth_ros.replay", tmp_path / "bag", "--wait", "/odom"],
        env=python_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any("waiting" in line for line in iter(player.stderr.readline, ""))
    interrupt_until_it_ends(player)
    assert player.returncode == 0


def send_until(listener, process, what):
    """Images, until the process ends; a supervisor cannot tell when the node takes one."""

    def ended():
        listener.infos.publish(camera_info_message())
        listener.images.publish(image_message(START))
        return process.poll() is not None

    listener.wait(ended, what=what)


def test_a_hung_network_ends_the_process_where_that_is_asked_for(start_node, listener, model):
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    # Loading the model, which has ten times as long, must not hang on a busy machine.
    parameters = (f"model:={model}", f"calibration_file:={calibration}", "hang_after:=0.5")
    node = start_node(*parameters, "exit_when_hung:=true", run=HANGING_NODE)
    node.wait_for("answering images of")
    send_until(listener, node.process, "the end of the node")
    assert node.process.returncode == 1
    assert "inference hangs: an image has been in work for" in node.output()
    assert "ending, as exit_when_hung asks for" in node.output()


def start_and_send_an_image(start_node, listener, model, run, *parameters):
    """A node that has been sent an image."""
    calibration = f"calibration_file:={ROOT / 'test' / 'data' / 'calibration.yaml'}"
    node = start_node(f"model:={model}", calibration, *parameters, run=run)
    node.wait_for("answering images of")
    listener.wait_for_node()
    for publisher in (listener.images, listener.infos):
        listener.wait(publisher.get_subscription_count, what="the node's subscription")
    listener.infos.publish(camera_info_message())
    listener.images.publish(image_message(START))
    return node


def test_a_signal_ends_it_although_the_network_hangs(start_node, listener, model):
    node = start_and_send_an_image(start_node, listener, model, HANGING_NODE, SOON)
    listener.wait(lambda: "inference hangs" in listener.status, what="the node to say so")
    begin = time.monotonic()
    assert node.stop() == 1
    assert time.monotonic() - begin < STOP_SECONDS + ENDS_WITHIN  # launch kills after ten
    assert re.search(r"inference hangs: .*; ending without the image in work", node.output())


TRANSITIONS = {
    "unconfigured": (),
    "inactive": (Transition.TRANSITION_CONFIGURE,),
    "active": (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE),
    "finalized": (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", TRANSITIONS)
def test_a_signal_ends_it_in_every_state_within_two_seconds(
    state, number, start_node, listener, model
):
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    parameters = (f"model:={model}", f"calibration_file:={calibration}", "autostart:=false")
    # A name of its own: DDS remembers for a while the services of a node that was killed before.
    namespace = f"/ends_when_{state}_by_{number:d}"
    node = start_node(*parameters, remaps=[f"__ns:={namespace}"])
    listener.bring(f"{namespace}/depth", TRANSITIONS[state], to=state)
    begin = time.monotonic()
    node.process.send_signal(number)
    assert node.process.wait(20) == 0, node.output()
    assert time.monotonic() - begin < ENDS_WITHIN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_is_imported(number, start_node):
    node = start_node(run=IMPORTING_NODE)
    node.wait_for("importing")
    begin = time.monotonic()
    node.process.send_signal(number)
    assert node.process.wait(20) == 0, node.output()
    assert time.monotonic() - begin < ENDS_WITHIN
    assert "Traceback" not in node.output()


def interrupt_until_it_ends(process):
    def ended():
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_until(ended, 20, "the process to end")


def test_the_start_up_line_says_what_the_shipped_model_is(start_node):
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    node = start_node(f"calibration_file:={calibration}", "max_network_pixels:=20000")
    node.wait_for("lircdepth (student), trained, calibrated, on ")


@pytest.mark.parametrize(
    ("parameter", "word"),
    [
        ("model:=/nowhere", "/nowhere"),
        ("device:=cuda:99", "cuda:99"),
        ("backend:=abacus", "abacus"),
        ("calibration_file:=/nowhere.yaml", "/nowhere.yaml"),
    ],
)
def test_a_bad_start_fails_the_transition_with_one_clear_line(start_node, model, parameter, word):
    parameters = [f"model:={model}", "calibration_file:=/nowhere.yaml", parameter]
    node = start_node(*parameters)
    node.wait_for("configure failed")
    lines = [line for line in node.output().splitlines() if "FATAL" in line]
    assert len(lines) == 1
    assert word in lines[0]
    assert node.process.poll() is None, "the node stays, unconfigured"


def test_a_limit_of_sigma_is_refused_where_sigma_is_not_known(start_node, tmp_path):
    model = write_untrained_model(tmp_path / "model", focal_length=100.0)
    node = start_node(f"model:={model}", "max_sigma:=5.0")
    node.wait_for("configure failed: max_sigma: untrained is not calibrated")


def test_an_empty_list_of_radars_is_the_camera_alone(start_node, model):
    calibration = ROOT / "test" / "data" / "calibration.yaml"
    node = start_node(f"model:={model}", f"calibration_file:={calibration}", "radar_topics:=[]")
    node.wait_for("with radar of no topic")


def test_a_wrong_ros_argument_is_one_line(start_node):
    node = start_node("nonsense")
    assert node.process.wait(30) == 2
    assert "nonsense" in node.output()
    assert "Traceback" not in node.output()


@pytest.mark.parametrize("parameter", ["sync:=sometimes", "radar_wait:=-1.0", "radar_sweeps:=many"])
def test_a_parameter_out_of_bounds_ends_the_node_with_one_line(start_node, parameter):
    node = start_node(parameter)
    assert node.process.wait(30) == 2
    assert parameter.split(":")[0] in node.output()
    assert "Traceback" not in node.output()


def test_a_model_that_hangs_while_it_loads_is_an_error_and_a_signal_ends_it(start_node, listener):
    calibration = f"calibration_file:={ROOT / 'test' / 'data' / 'calibration.yaml'}"
    node = start_node(calibration, "hang_after:=0.3", "diagnostics_period:=0.1", run=LOADING_NODE)
    listener.wait(lambda: listener.status == "configuring", what="diagnostics while it loads")
    hangs = "loading the model hangs: the node has been configuring for"
    listener.wait(lambda: hangs in listener.status, what="the error")
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 1, node.output()
    assert time.monotonic() - begin < ENDS_WITHIN


def test_a_model_that_hangs_while_it_loads_ends_the_process_where_that_is_asked_for(start_node):
    calibration = f"calibration_file:={ROOT / 'test' / 'data' / 'calibration.yaml'}"
    node = start_node(calibration, SOON, "exit_when_hung:=true", run=LOADING_NODE)
    assert node.process.wait(60) == 1
    assert "loading the model hangs" in node.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begun_by", ["autostart", "transition"])
def test_a_signal_ends_it_while_the_model_loads(begun_by, number, start_node, listener):
    calibration = f"calibration_file:={ROOT / 'test' / 'data' / 'calibration.yaml'}"
    autostart = f"autostart:={str(begun_by == 'autostart').lower()}"
    namespace = f"/loads_by_{begun_by}_until_{number:d}"
    node = start_node(calibration, autostart, remaps=[f"__ns:={namespace}"], run=LOADING_NODE)
    if begun_by == "transition":
        listener.request(f"{namespace}/depth", Transition.TRANSITION_CONFIGURE)
    node.wait_for("loading")
    begin = time.monotonic()
    node.process.send_signal(number)
    assert node.process.wait(20) == 0, node.output()
    assert time.monotonic() - begin < ENDS_WITHIN
    assert node.output().count("told to stop; ending without the model") == 1
    assert "Traceback" not in node.output()


def test_a_signal_amid_a_slow_inference_ends_it_once_the_image_is_answered(
    start_node, listener, model
):
    node = start_and_send_an_image(start_node, listener, model, SLOW_NODE)
    node.wait_for("inferring")
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    listener.wait(lambda: node.process.poll() is not None, what="the end of the node")
    assert node.process.returncode == 0, node.output()
    assert time.monotonic() - begin < SLOW_SECONDS + ENDS_WITHIN
    listener.wait(lambda: listener.depths, what="the answer")
    assert "ending without" not in node.output()


def test_a_signal_while_it_is_deactivated_ends_it_once_the_image_is_answered(
    start_node, listener, model
):
    node = start_and_send_an_image(start_node, listener, model, SLOW_NODE)
    node.wait_for("inferring")
    listener.request("/depth", Transition.TRANSITION_DEACTIVATE)
    time.sleep(0.2)
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    listener.wait(lambda: node.process.poll() is not None, what="the end of the node")
    assert node.process.returncode == 0, node.output()
    assert time.monotonic() - begin < SLOW_SECONDS + ENDS_WITHIN
    assert "Traceback" not in node.output()


def test_a_signal_ends_it_although_an_image_takes_longer_than_is_waited_for(
    start_node, listener, model
):
    node = start_and_send_an_image(start_node, listener, model, HANGING_NODE)
    node.wait_for("inferring")
    begin = time.monotonic()
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(20) == 0, node.output()
    assert time.monotonic() - begin < STOP_SECONDS + ENDS_WITHIN
    assert node.output().count("told to stop; ending without the image in work") == 1
