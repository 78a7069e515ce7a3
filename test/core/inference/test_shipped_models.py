"""What the shipped models promise: of a camera that shows nothing, and in eight bits."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lircdepth_core.camera import Camera
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.backends import BACKENDS
from lircdepth_core.radar import RadarReturns

BAG = Path(__file__).parents[3] / "demo" / "data" / "bag"


def noise(picture, light):
    """What a sensor shows of nothing, at high gain."""
    drawn = light + np.random.default_rng(0).normal(0, 5, picture.shape)
    return drawn.round().clip(0, 255).astype(np.uint8)


BLIND = {
    "black": lambda picture: np.zeros_like(picture),
    "black with noise": lambda picture: noise(picture, 0),
    "almost black": lambda picture: picture // 64,
    "saturated": lambda picture: np.full_like(picture, 255),
    "saturated with noise": lambda picture: noise(picture, 255),
    "almost saturated": lambda picture: np.clip(16 * picture.astype(int), 0, 255).astype(np.uint8),
}

RADAR = RadarReturns(
    [[x, 0.5, z] for z in (8.0, 15.0, 30.0, 60.0) for x in (-0.2 * z, 0.0, 0.2 * z)],
    np.full(12, 5.0),
    np.tile([-8.0, 0.0], (12, 1)),
)


@pytest.fixture(scope="module")
def street():
    """A picture of the demo, (450, 800, 3) uint8 RGB, and its camera."""
    reader = pytest.importorskip("rosbags.rosbag2")
    types = pytest.importorskip("rosbags.typesys")
    store = types.get_typestore(types.Stores.ROS2_JAZZY)
    newest = {}
    with reader.Reader(BAG) as bag:
        for connection, _, data in bag.messages():
            if connection.topic.startswith("/CAM_FRONT/"):
                newest[connection.msgtype] = store.deserialize_cdr(data, connection.msgtype)
    info = newest["sensor_msgs/msg/CameraInfo"]
    camera = Camera(np.reshape(info.p, (3, 4))[:, :3], info.width, info.height)
    picture = cv2.imdecode(newest["sensor_msgs/msg/CompressedImage"].data, cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), camera


@pytest.fixture(scope="module", params=["lircdepth", "lircdepth-s-352x192", "lircdepth-s"])
def predictor(request):
    return Predictor.load(request.param, device="cpu", backend="torch")


@pytest.mark.parametrize("radar", [None, RADAR], ids=["without radar", "with radar"])
def test_a_camera_that_shows_nothing_is_answered_with_a_larger_sigma(predictor, street, radar):
    picture, camera = street
    usual = np.nanmedian(predictor(picture, camera, radar).sigma)
    assert usual > 0
    for name, blinded in BLIND.items():
        sigma = np.nanmedian(predictor(blinded(picture), camera, radar).sigma)
        assert sigma > 2 * usual, f"{name}: {sigma:.1f} m, usually {usual:.1f} m"


def test_in_eight_bits_it_answers_nearly_as_in_float32(predictor, street):
    if predictor.model.int8 is None:
        assert predictor.model.name == "lircdepth"  # quantise is asked of whoever wants it
        return
    name = "onnxruntime-int8"
    if missing := BACKENDS[name].missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    integers = Predictor.load(predictor.model.name, device="cpu", backend=name)
    in_float, in_integers = (each(*street, RADAR).depth for each in (predictor, integers))
    assert np.nanmean(np.abs(in_integers - in_float) / in_float) < 0.04
