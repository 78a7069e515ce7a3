"""Fixtures around the node; DDS stays on a domain of this test run's own."""

from __future__ import annotations

import os

import numpy as np
import pytest
from dds_domain import own_domain

os.environ.update(own_domain())

pytest.importorskip("rclpy", reason="rclpy is not installed: install ROS 2 or its wheels")

import rclpy
import yaml
from described_model import describe_model
from node_process import Listener, NodeProcess
from node_rig import RecordingPredictor, Rig

import lircdepth_ros.depth_node as depth_node
from lircdepth_core.inference.calibration import Calibration
from lircdepth_core.inference.model_files import write_description


@pytest.fixture
def calibration_file(tmp_path):
    """base_link, a camera 1.5 m ahead and 1.5 m up, a front and a left-looking radar."""
    poses = {
        "CAM_FRONT": {"translation": [1.5, 0.0, 1.5], "rotation": [-0.5, 0.5, -0.5, 0.5]},
        "RADAR_FRONT": {"translation": [3.5, 0.0, 0.5], "rotation": [0.0, 0.0, 0.0, 1.0]},
        "RADAR_LEFT": {
            "translation": [3.0, 1.0, 0.5],
            "rotation": [0.0, 0.0, float(np.sin(np.pi / 4)), float(np.cos(np.pi / 4))],
        },
    }
    path = tmp_path / "calibration.yaml"
    path.write_text(yaml.safe_dump({"base_frame": "base_link", "frames": poses}))
    return str(path)


@pytest.fixture
def predictor():
    return RecordingPredictor()


@pytest.fixture
def make_rig(monkeypatch, calibration_file, predictor):
    """Returns a function that starts the node with parameters and a recording predictor."""
    rigs = []
    monkeypatch.setattr(depth_node.Predictor, "load", lambda *args, **kwargs: predictor)

    def make(
        topics=("/depth/input/radar",),
        camera_info=True,
        arguments=None,
        image_topic="/depth/input/image",
        load=None,
        **parameters,
    ):
        if load is not None:
            monkeypatch.setattr(depth_node.Predictor, "load", load)
        parameters["radar_topics"] = list(topics) or [""]
        parameters.setdefault("calibration_file", calibration_file)
        parameters.setdefault("diagnostics_period", 0.1)
        parameters.setdefault("image_type", "raw")
        rig = Rig(parameters, topics, arguments, image_topic)
        rigs.append(rig)
        return rig.start(camera_info)

    yield make
    for rig in rigs:
        rig.close()
        assert rig.raised == [], "a callback raised"


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


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown(context=listener.context)
