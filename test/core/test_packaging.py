"""What `pip install .` puts where."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed; a wheel is built with it")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    # Built from a copy, so that no build folder is left in the tree.
    source = folder / "source"
    tracked = ["setup.py", "setup.cfg", "pyproject.toml", "package.xml", "README.md", "LICENSE"]
    source.mkdir()
    for name in [*tracked, "resource", "launch", "config", "models", "env_hooks"]:
        (source / name).symlink_to(ROOT / name)
    for name in ("lircdepth_core", "lircdepth_ros"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run([*command, "--no-build-isolation", "-w", folder, source], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.namelist(), archive.read(
            next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        ).decode()


@pytest.mark.parametrize(
    "path",
    [
        "share/ament_index/resource_index/packages/lircdepth",
        "share/lircdepth/package.xml",
        "share/lircdepth/launch/depth.launch.py",
        "share/lircdepth/config/depth.yaml",
        "share/lircdepth/config/depth.rviz",
        "share/lircdepth/config/fastdds.xml",
        "share/lircdepth/config/foxglove_layout.json",
        "share/lircdepth/models/lircdepth/model.yaml",
        "share/lircdepth/models/lircdepth/weights.safetensors",
        "share/lircdepth/config/sros2_policy.xml",
        "lircdepth_ros/depth_node_parameters.yaml",
    ],
)
def test_share_and_data_are_in_the_wheel(wheel, path):
    names, _ = wheel
    assert any(name == path or name.endswith(f".data/data/{path}") for name in names), names


def test_the_three_commands_are_there(wheel):
    _, entry_points = wheel
    for command in ("lircdepth", "lircdepth_node", "lircdepth_replay"):
        assert f"{command} = " in entry_points
