"""What the node's process says when it starts, and of what it cannot start with."""

import subprocess
import sys

import pytest
from node_process import CALIBRATION
from untrained_model import write_untrained_model


def test_the_start_up_line_says_what_the_shipped_model_is(start_node):
    node = start_node(CALIBRATION, "max_network_pixels:=20000")
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
    node = start_node(f"model:={model}", CALIBRATION, "radar_topics:=[]")
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


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_a_python_without_the_packages_is_told_of_in_a_line(package):
    """As after a plain `colcon build`, whose scripts carry the shebang of Ubuntu's Python."""
    code = f"import sys; sys.modules[{package!r}] = None; import lircdepth_ros.main as main; "
    code += "sys.exit(main.main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lircdepth_node: {sys.executable} has no {package}; activate")
