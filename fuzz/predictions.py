"""Targets behind the readers: ego motion of odometry, and what a prediction holds."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from described_model import describe_model
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from small_network import SmallNetwork

from fuzz.mutations import EXTREMES, NUMBERS
from fuzz.target import Target
from lircdepth_core.camera import Camera
from lircdepth_core.inference import Calibration, Predictor
from lircdepth_core.inference.calibration import SIGMA_SHARE
from lircdepth_core.radar import RadarReturns
from lircdepth_ros.calibration_poses import CalibrationPoses
from lircdepth_ros.message_limits import cut_long_parts

SECOND = 1_000_000_000


@cache
def _poses() -> CalibrationPoses:
    frames = {
        name: {"translation": [1.0, 0.0, 1.5], "rotation": [0.0, 0.0, 0.0, 1.0]}
        for name in ("CAM_FRONT", "RADAR_FRONT")
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.yaml"
        path.write_text(yaml.safe_dump({"base_frame": "base_link", "frames": frames}))
        return CalibrationPoses(str(path))


@st.composite
def odometries(draw: st.DrawFn) -> list[Odometry]:
    """Two poses, a tenth of a second apart or at any stamps, one in three of any numbers."""
    found = []
    wild = draw(st.integers(0, 2)) == 0
    for number in range(2):
        known = st.sampled_from(["", "base_link"])
        message = Odometry(child_frame_id=draw(st.one_of(known, known, known, known, st.text())))
        message.header.stamp.sec = 100
        message.header.stamp.nanosec = number * SECOND // 10
        message.pose.pose.orientation.w = 1.0
        if wild:
            message.header.stamp.sec = draw(st.just(100) | st.integers(-(2**31), 2**31 - 1))
            message.header.stamp.nanosec = draw(st.just(0) | st.sampled_from(EXTREMES))
            place, turn = message.pose.pose.position, message.pose.pose.orientation
            place.x, place.y, place.z = draw(NUMBERS), draw(NUMBERS), draw(NUMBERS)
            turn.x, turn.w = draw(st.just(0.0) | NUMBERS), draw(st.just(1.0) | NUMBERS)
        found.append(message)
    return found


def check_odometry(messages: list[Odometry]) -> None:
    """The radar's place between two poses is one, made of finite numbers."""
    poses = _poses()
    poses.forget_after(-(2**62))
    for message in messages:
        cut_long_parts(message)
        poses.add_odometry(message)
    stamps = [100 * SECOND + SECOND // 20, 100 * SECOND]
    pose = poses.radar_pose("CAM_FRONT", stamps[0], "RADAR_FRONT", stamps[1], final=True)
    assert np.isfinite(pose.camera_from_radar).all()


@cache
def _predictor() -> Predictor:
    knots = np.linspace(0, 1, 3)
    calibration = Calibration(
        np.array([SIGMA_SHARE]), 100 * knots, knots, np.arange(9.0).reshape(1, 3, 3)
    )
    model = describe_model(60.0, calibration=calibration)
    return Predictor(model, SmallNetwork(), "cpu", "torch", max_network_pixels=20_000)


@st.composite
def views(draw: st.DrawFn) -> tuple[np.ndarray, Camera, RadarReturns]:
    """Images of up to 200x150 pixels, with any camera and any radar returns."""
    width, height = draw(st.integers(1, 200)), draw(st.integers(1, 150))
    focal = st.floats(20, 400) | st.floats(1e-3, 1e9)
    first = draw(focal)
    second = draw(st.just(first) | focal)
    centre = draw(st.just((width / 2, height / 2)) | st.tuples(*[st.floats(-1e9, 1e9)] * 2))
    camera = Camera([[first, 0, centre[0]], [0, second, centre[1]], [0, 0, 1]], width, height)
    number = draw(st.integers(0, 5))
    values = draw(st.lists(NUMBERS, min_size=6 * number, max_size=6 * number))
    with np.errstate(over="ignore"):
        returns = np.reshape(values, (number, 6))
        radar = RadarReturns(returns[:, :3], returns[:, 3], returns[:, 4:])
    noise = np.random.default_rng(draw(st.integers(0, 3)))
    return noise.integers(0, 256, (height, width, 3), np.uint8), camera, radar


def check_prediction(view: tuple[np.ndarray, Camera, RadarReturns]) -> None:
    """Depth and sigma are of the image's size, 0 or more, and missing together."""
    prediction = _predictor()(*view)
    assert prediction.depth.shape == prediction.sigma.shape == view[0].shape[:2]
    missing = np.isnan(prediction.depth)
    assert np.array_equal(missing, np.isnan(prediction.sigma))
    for values in (prediction.depth[~missing], prediction.sigma[~missing]):
        assert np.isfinite(values).all()
        assert (values >= 0).all()


TARGETS = [
    Target("Odometry", odometries(), check_odometry, 0.03),
    Target("prediction", views(), check_prediction, 0.02),
]
