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


def test_the_verbs_work_without_a_network(annotated: Path, tmp_path: Path):
    model = write_untrained_model(tmp_path / "model", focal_length=100.0)
    token = json.loads((annotated / VERSION / "sample.json").read_text())[0]["token"]
    samples, other, out = (tmp_path / name for name in ("samples", "other", "out"))
    settings = [f"data.train=[{samples}]", f"data.validation=[{other}]", "teacher=null"]
    settings += ["data.height=32", "data.width=64", "data.batch_size=1", "length.steps=1"]
    settings += [f"loss.{name}=0" for name in ("image_feature", "radar_feature", "structure")]
    settings += ["loss.inter_depth=0", "data.dense_from=exact"]
    runs = [
        ("prepare", annotated, samples, "--workers", 1, "--leave-out", "accumulated", "dense"),
        ("prepare", annotated, other, "--workers", 1, "--leave-out", "accumulated"),
        ("bag", annotated, tmp_path / "bag", "--scene", SCENE),
        ("predict", annotated, "--sample", token, "--model", model, "--out", out / "predict"),
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
    for arguments in runs:
        assert main([str(argument) for argument in arguments]) == 0, arguments[0]


def test_onnx_runtime_does_not_report_this_machine(tmp_path: Path):
    """Its own builds do, from 1.29: what they send goes with a number kept in the home folder."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    # In what it takes for a test of its own or for a CI it keeps still, whoever loads it.
    silent = ("CI", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")
    environment = {key: value for key, value in os.environ.items() if key not in silent}
    for key in [key for key in environment if key.startswith("XDG_")]:
        del environment[key]
    program = "import lircdepth_core.inference.backends.onnxruntime_backend"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HOME": str(tmp_path)},
        cwd=ROOT,
        check=True,
    )
    assert not list(tmp_path.rglob("*onnxruntime*"))
