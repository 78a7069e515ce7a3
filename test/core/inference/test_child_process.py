"""What takes much memory is done in another process, which leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_network import sample

from lircdepth_core.errors import InputError
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends import BACKENDS, fastest
from lircdepth_core.inference.backends.child_process import ChildError, run_in_child
from lircdepth_core.inference.backends.onnx_files import OnnxFiles
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.network import DeploymentGraph

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models" / "lircdepth-s"

LOADS = """
import json, re, sys
from lircdepth_core.benchmark.candidate import peak_memory
from lircdepth_core.inference import Predictor
open("numpy.py", "w").write("raise SystemExit('taken from the working directory')")
told = []
predictor = Predictor.load(sys.argv[1], "cpu", report=told.append)
predictor.warm_up()
print(json.dumps([predictor.backend, peak_memory(), told]))
"""


def python(code: str, *arguments: object, cwd: Path, **variables: str) -> subprocess.Popen:
    """A Python that finds this package, in another directory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    environment.pop("LIRCDEPTH_BACKEND", None)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)


def skip_without_onnx() -> None:
    if missing := BACKENDS["onnxruntime"].missing:
        pytest.skip(f"{', '.join(missing)} not installed")


@pytest.fixture
def artefacts(tmp_path):
    return dataclasses.replace(
        Artefacts.of(read_description(MODEL), MODEL), folder=tmp_path / "cache"
    )


@pytest.fixture
def graph():
    return DeploymentGraph(load_network(MODEL, read_description(MODEL)))


@pytest.fixture
def interpreter(monkeypatch, tmp_path):
    """Puts a shell script in the place of Python."""

    def interpreter(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return interpreter


def test_the_first_start_takes_no_more_memory_than_any_other(tmp_path):
    """With the trial and the export in this process it was 890 MB, without them 410 MB."""
    skip_without_onnx()
    process = python(LOADS, MODEL, cwd=tmp_path, LIRCDEPTH_CACHE=str(tmp_path / "cache"))
    output, _ = process.communicate(timeout=300)
    backend, peak, told = json.loads(output)
    assert peak < 600e6, f"{backend} {peak}"
    # What the exporter prints is not for the user.
    assert [text.partition(" ")[0] for text in told] == ["trying", "exporting", "exporting"]


def test_another_process_exports_as_this_one_does(artefacts, graph):
    skip_without_onnx()
    from lircdepth_core.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

    told: list[str] = []
    here = Artefacts(artefacts.folder.with_name("here"), artefacts.network)
    answers = [
        OnnxRuntimeBackend(OnnxFiles(graph, each, told.append), "cpu")(*sample(64, 96))
        for each in (artefacts, here)
    ]
    assert (answers[0].depth == answers[1].depth).all()
    assert told == ["exporting the network for 96x64 images, once"] * 2


def test_where_another_process_fails_this_one_does_it(artefacts, graph, interpreter):
    skip_without_onnx()
    interpreter("echo Traceback >&2; echo 'ImportError: no torch here' >&2; exit 1")
    told: list[str] = []
    path = OnnxFiles(graph, artefacts, told.append).of_size(64, 96)
    assert path.stat().st_size > 1e6
    assert told[1].startswith("exporting in this process, for another one failed: ImportError: no")


def test_a_model_that_was_changed_meanwhile_is_not_taken_for_the_old_one(artefacts):
    other = str(ROOT / "models" / "lircdepth")
    words = [artefacts.network, str(artefacts.folder), "cpu"]
    with pytest.raises(ChildError, match="another model than before"):
        run_in_child("choose", Path(other), words, print)
    assert not artefacts.folder.exists()


def test_a_process_that_was_killed_is_not_repeated_here(artefacts, graph, interpreter):
    """Where memory is short this process would be the next to be killed."""
    interpreter("kill -9 $$")
    name, why = fastest(graph, "cpu", artefacts, print)
    assert name == "torch"
    assert why == ("trying the others was killed by signal 9; 9 mostly means too little memory")
    with pytest.raises(InputError, match="exporting the network: killed by signal 9"):
        OnnxFiles(graph, artefacts, print).of_size(64, 96)
    assert not [path for path in artefacts.folder.iterdir() if path.is_dir()]


def test_what_reports_may_fail_and_the_other_process_ends(artefacts, interpreter, tmp_path):
    interpreter(f"echo $$ > {tmp_path}/pid; echo trying; sleep 60")

    def report(text: str) -> None:
        raise ZeroDivisionError(text)

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="trying"):
        run_in_child("choose", MODEL, [], report)
    assert time.monotonic() - start < 30
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_an_interpreter_that_cannot_be_started_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(ChildError, match="nothing: No such file"):
        run_in_child("choose", MODEL, [], print)


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """As where a node is told to stop while it loads a model."""
    code = LOADS.replace("told.append", "lambda text: print(text, flush=True)")
    parent = python(code, MODEL, cwd=tmp_path, LIRCDEPTH_CACHE=str(tmp_path / "cache"))
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("trying")
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert len(children) == 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while _runs(children[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(children[0])


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
