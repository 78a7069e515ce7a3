"""The verbs work where there is no network; that none is asked for, every test sees."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from http_folder import serving
from simple_scene import SCENE, VERSION
from small_network import SmallNetwork
from untrained_model import write_untrained_model

from lircdepth_core.cli import main
from lircdepth_core.inference.backends import BACKENDS

ROOT = Path(__file__).parents[3]


def test_connections_to_elsewhere_are_refused_and_noticed(connections, tmp_path):
    with serving(tmp_path) as url, urllib.request.urlopen(url):
        assert connections == []
    for address in ("http://192.0.2.1/", "http://example.com/"):
        with pytest.raises(OSError, match=r"socket\.|denied"):
            urllib.request.urlopen(address, timeout=5)
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(PermissionError):
        udp.sendto(b"x", ("192.0.2.1", 9))
    for ask in (socket.gethostbyname, socket.gethostbyaddr):
        with pytest.raises(PermissionError):
            ask("example.com")
    with socket.socket() as tcp, pytest.raises(PermissionError):
        tcp.connect(("203.0.113.9", 80))
    assert len(connections) == 6
    connections.clear()


def test_the_verbs_work_without_a_network(
    two_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = write_untrained_model(tmp_path / "model", focal_length=100.0)
    token = json.loads((two_scenes / VERSION / "sample.json").read_text())[0]["token"]
    samples, other, out = (tmp_path / name for name in ("samples", "other", "out"))
    settings = [f"data.train=[{samples}]", f"data.validation=[{other}]", "teacher=null"]
    settings += ["data.height=32", "data.width=64", "data.batch_size=1", "length.steps=1"]
    settings += [f"loss.{name}=0" for name in ("image_feature", "radar_feature", "structure")]
    settings += ["loss.inter_depth=0", "data.dense_from=exact"]
    options = ("--workers", 1, "--leave-out", "accumulated")
    runs = [
        ("prepare", two_scenes, samples, "--scenes", SCENE, *options, "dense"),
        ("prepare", two_scenes, other, "--scenes", "scene-0003", *options),
        ("bag", two_scenes, tmp_path / "bag", "--scene", SCENE),
        ("predict", two_scenes, "--sample", token, "--model", model, "--out", out / "predict"),
        ("evaluate", model, samples, "--out", out / "evaluate"),
        (
            "train",
            "student",
            "--config",
            ROOT / "config" / "train_student_scratch.yaml",
            "--out",
            out / "train",
            "--device",
            "cpu",
            "--set",
            *settings,
        ),
        ("export", model, out / "network.onnx", "--size", "64x32"),
    ]
    if BACKENDS["onnxruntime"].missing:
        runs.pop()
    else:  # exporting a student takes ten seconds, and asks for no more than another
        path = "lircdepth_core.inference.export_command.load_network"
        monkeypatch.setattr(path, lambda *_: SmallNetwork())
    for arguments in runs:
        assert main([str(argument) for argument in arguments]) == 0, arguments[0]


# In what libraries take for a test of their own or for a CI they keep still, whoever loads them.
SILENT = ("CI", "TF_BUILD", "JENKINS_URL", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")


@pytest.mark.parametrize(
    ("library", "kept"), [("onnxruntime", "*onnxruntime*"), ("openvino", "intel")]
)
def test_no_back_end_reports_this_machine(library: str, kept: str, tmp_path: Path):
    """ONNX Runtime's own builds do, from 1.29, and so does OpenVINO.

    What they send goes with a number that they keep in the home folder.
    """
    pytest.importorskip(library, reason=f"{library} is not installed")
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in SILENT and not key.startswith(("XDG_", "GITHUB_"))
    }
    program = f"import time, lircdepth_core.inference.backends.{library}_backend; time.sleep(1)"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HOME": str(tmp_path)},
        cwd=ROOT,
        check=True,
    )
    assert not list(tmp_path.rglob(kept))
