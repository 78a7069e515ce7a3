"""The node as a process of its own, with the real network, fed by bags and other processes."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import disk_usage

import numpy as np
import pytest
from node_process import CALIBRATION, ROOT, python_environment
from node_rig import START, nanoseconds
from simple_scene import SCENE, write_scene

from lircdepth_core.dataset.bag import write_bag
from lircdepth_ros.tf_poses import tf_is_installed

pytestmark = pytest.mark.timed

PATIENT = ("radar_wait:=2.0", "radar_silence:=60.0")
TOPICS = {
    "image": "/CAM_FRONT/image_rect_compressed",
    "camera_info": "/CAM_FRONT/camera_info",
    "radar": "/RADAR_FRONT",
    "odometry": "/odom",
}


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
    parameters = (f"model:={model}", CALIBRATION, "image_type:=raw")
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
    parameters = (f"model:={model}", CALIBRATION, "image_type:=raw")
    first = start_node(*parameters)
    listener.ask(START)
    first.process.kill()
    first.process.wait()
    second = start_node(*parameters)
    second.wait_for("answering images of")
    # DDS takes seconds to notice that the first reader is gone; it must not hold up the second.
    listener.wait(lambda: listener.images.get_subscription_count() == 2, what="both readers")
    listener.ask(START + 1_000_000_000)
