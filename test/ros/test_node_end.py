"""Signals and hung work: how the node's process ends."""

import re
import signal
import subprocess
import sys
import time

import pytest
from lifecycle_msgs.msg import Transition
from node_process import CALIBRATION, python_environment
from node_rig import START, camera_info_message, image_message, wait_until
from simple_scene import SCENE, write_scene

from lircdepth_core.dataset.bag import write_bag

pytestmark = pytest.mark.timed

ENDS_WITHIN = 2.0
"""Seconds from a signal to the end, nothing being in work."""

STOP_SECONDS = 6.0
"""So long an image in work is waited for."""

HANGING_NODE = (
    "-c",
    """
import sys, threading, time
import torch
from lircdepth_ros import depth_node, node_process
# A card that hangs gives no memory back before what it works at has ended.
torch.cuda.is_initialized = lambda: True
torch.cuda.empty_cache = lambda: time.sleep(600)
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


def test_any_number_of_interrupts_end_it_cleanly(start_node, model):
    """`ros2 launch` without a terminal sends two; the second comes while Python shuts down."""
    node = start_node(f"model:={model}", CALIBRATION)
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
    # Loading the model, which has ten times as long, must not hang on a busy machine.
    parameters = (f"model:={model}", CALIBRATION, "hang_after:=0.5")
    node = start_node(*parameters, "exit_when_hung:=true", run=HANGING_NODE)
    node.wait_for("answering images of")
    send_until(listener, node.process, "the end of the node")
    assert node.process.returncode == 1
    assert "inference hangs: an image has been in work for" in node.output()
    assert "ending, as exit_when_hung asks for" in node.output()


def start_and_send_an_image(start_node, listener, model, run, *parameters):
    """A node that has been sent an image."""
    node = start_node(f"model:={model}", CALIBRATION, *parameters, run=run)
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
    "finalized after work": (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_ACTIVE_SHUTDOWN,
    ),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", TRANSITIONS)
def test_a_signal_ends_it_in_every_state_within_two_seconds(
    state, number, start_node, listener, model
):
    parameters = (f"model:={model}", CALIBRATION, "autostart:=false")
    # A name of its own: DDS remembers for a while the services of a node that was killed before.
    namespace = f"/ends_when_{state.replace(' ', '_')}_by_{number:d}"
    node = start_node(*parameters, remaps=[f"__ns:={namespace}"])
    listener.bring(f"{namespace}/depth", TRANSITIONS[state], to=state.split()[0])
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


def test_a_model_that_hangs_while_it_loads_is_an_error_and_a_signal_ends_it(start_node, listener):
    node = start_node(CALIBRATION, "hang_after:=0.3", "diagnostics_period:=0.1", run=LOADING_NODE)
    listener.wait(lambda: listener.status == "configuring", what="diagnostics while it loads")
    hangs = "loading the model hangs: the node has been configuring for"
    listener.wait(lambda: hangs in listener.status, what="the error")
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 1, node.output()
    assert time.monotonic() - begin < ENDS_WITHIN


def test_a_model_that_hangs_while_it_loads_ends_the_process_where_that_is_asked_for(start_node):
    node = start_node(CALIBRATION, SOON, "exit_when_hung:=true", run=LOADING_NODE)
    assert node.process.wait(60) == 1
    assert "loading the model hangs" in node.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begun_by", ["autostart", "transition"])
def test_a_signal_ends_it_while_the_model_loads(begun_by, number, start_node, listener):
    autostart = f"autostart:={str(begun_by == 'autostart').lower()}"
    namespace = f"/loads_by_{begun_by}_until_{number:d}"
    node = start_node(CALIBRATION, autostart, remaps=[f"__ns:={namespace}"], run=LOADING_NODE)
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
