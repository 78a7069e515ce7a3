"""What `docs/reliability.md` promises of connections: the verbs work where there are none."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_folder import serving
from simple_scene import SCENE, VERSION
from untrained_model import write_untrained_model

from lircdepth_core.cli import main
from lircdepth_core.inference.backends import BACKENDS

ROOT = Path(__file__).parents[3]

_refused: list[str] | None = None  # None: the hook, which cannot be taken out again, sleeps


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _refused is None:
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            _refused.append(f"{event} {address}")
    elif event == "socket.getaddrinfo" and arguments[0] not in (None, "localhost", "127.0.0.1"):
        _refused.append(f"{event} {arguments[0]}")
    else:
        return
    if _refused:
        raise PermissionError(_refused[-1])


sys.addaudithook(_watch)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No connection but to this machine can be made; those that were tried, for the whole test."""
    global _refused
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _refused = tried = []
    yield tried
    _refused = None


def test_connections_to_elsewhere_are_refused_and_noticed(refused, tmp_path):
    with serving(tmp_path) as url, urllib.request.urlopen(url):
        assert refused == []
    for address in ("http://192.0.2.1/", "http://example.com/"):
        with pytest.raises(OSError, match=r"socket\.|denied"):
            urllib.request.urlopen(address, timeout=5)
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(PermissionError):
        udp.sendto(b"x", ("192.0.2.1", 9))
    assert len(refused) == 3


def test_the_verbs_work_without_a_network(annotated: Path, tmp_path: Path, refused: list[str]):
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
    assert refused == []


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
