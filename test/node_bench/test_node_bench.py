"""A short run of `python -m node_bench` over real DDS."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dds_domain import own_domain

os.environ.update(own_domain())

pytest.importorskip("rclpy", reason="rclpy is not installed")

from untrained_model import write_untrained_model

from lircdepth_core.inference.model_files import find_model, read_description
from node_bench.__main__ import measure, network_size
from node_bench.cameras import measure_cameras
from node_bench.floor import Floor, floor_steps
from node_bench.scaled_copy import scaled_copy

pytestmark = pytest.mark.timed


@pytest.fixture
def model(tmp_path):
    return write_untrained_model(tmp_path / "model", 100.0)


def test_the_floor_decodes_only_what_is_compressed():
    image = np.zeros((40, 60, 3), np.uint8)
    raw = floor_steps(image, None, (30, 20), (None, None))
    assert list(raw) == [
        "shrink",
        "enlarge depth",
        "enlarge sigma",
        "publish depth",
        "publish sigma",
    ]
    assert raw["shrink"]().shape == (20, 30, 3)
    assert raw["enlarge sigma"]().shape == (40, 60)
    assert next(iter(floor_steps(image, b"x", (30, 20), (None, None)))) == "decode"


def test_each_step_is_timed_by_its_median(monkeypatch):
    now, waits = 0.0, {"a": iter([99.0, 1.0, 2.0, 9.0]), "b": iter([99.0, 0.5, 0.5, 5.0])}

    def wait(name: str) -> None:
        nonlocal now
        now += next(waits[name])

    monkeypatch.setattr("node_bench.floor.time.perf_counter", lambda: now)
    floor = Floor({"a": lambda: wait("a"), "b": lambda: wait("b")})
    for _ in range(4):
        floor.measure()
    assert floor.milliseconds(left_out=1) == {"a": 2000.0, "b": 500.0}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_the_node_takes_besides_the_network_is_compared_with_the_floor(
    compressed, model, tmp_path
):
    found = measure(model, compressed, 5, 100, tmp_path / "out")
    floor, node = found["floor"], found["node"]
    assert ("decode" in floor) == compressed
    assert all(ms > 0 for ms in floor.values())
    assert node["in all"] > node["infer"] > 0
    assert found["besides_network"] == node["wait"] + node["prepare"] + node["publish"]
    assert found["besides_network"] + node["infer"] == pytest.approx(node["in all"], rel=0.3)
    assert found["ratio"] == pytest.approx(found["besides_network"] / sum(floor.values()))


def test_a_copy_sees_larger_images(tmp_path):
    seen = read_description(
        Path(scaled_copy("lircdepth-s-352x192", 557.0, tmp_path / "copy"))
    ).input
    before = read_description(find_model("lircdepth-s-352x192")).input
    assert seen.focal_length == 2 * before.focal_length
    assert seen.crop.height == 2 * before.crop.height
    assert seen.crop.principal_row == 2 * before.crop.principal_row
    assert network_size(str(tmp_path / "copy")) == (704, 384)


def test_several_cameras_are_answered_by_a_node_each(model, tmp_path):
    found = measure_cameras(str(model), 2, 3, 50, tmp_path / "out")
    assert found["cameras"] == 2
    assert found["images_per_second"] == pytest.approx(2000 / found["p50_ms"])
    assert found["memory_mb"] > 100
    for number in range(2):
        log = (tmp_path / "out" / str(number) / "node.log").read_text()
        assert f"answering images of /camera{number}/depth/input/image" in log


def test_the_networks_size_is_that_of_the_camera_at_its_focal_length(model):
    assert network_size(model) == (126, 71)  # 1600x900 at 100 of 1266.4 pixels
