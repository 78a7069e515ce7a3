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

from lircdepth_core.errors import InputError
from lircdepth_core.inference.artefacts import Artefacts, CacheError, network_code
from lircdepth_core.inference.backends import BACKENDS, choice, fastest
from lircdepth_core.inference.backends.child_process import ChildError, run_in_child
from lircdepth_core.inference.backends.onnx_files import OnnxFiles
from lircdepth_core.inference.model_files import read_description
from lircdepth_core.network import DeploymentGraph

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models" / "lircdepth-s-352x192"

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
def graph(small_network):
    """Of a network that is exported here in no time."""
    return DeploymentGraph(small_network)


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
    """With both in this process it was 890 MB at 704x384, without them 410 MB."""
    skip_without_onnx()

    def start():
        (tmp_path / "numpy.py").unlink(missing_ok=True)
        process = python(LOADS, MODEL, cwd=tmp_path, LIRCDEPTH_CACHE=str(tmp_path / "cache"))
        return json.loads(process.communicate(timeout=300)[0])

    backend, peak, told = start()
    again, usual_peak, told_again = start()
    assert peak < 1.2 * usual_peak, f"{backend} {peak}, {again} {usual_peak}"
    # What the exporter prints is not for the user, nor that a process failed; and what was built
    # for the trial serves the first image.
    assert [text.partition(" ")[0] for text in told] == ["trying", "exporting"]
    assert told_again == []


def test_where_another_process_fails_this_one_does_it(artefacts, graph, interpreter):
    skip_without_onnx()
    interpreter("echo 'error ImportError: no torch here'; exit 1")
    told: list[str] = []
    path = OnnxFiles(graph, artefacts, told.append).of_size(64, 96)
    assert path.is_file()
    assert told[1:] == [
        "exporting in this process, for another one failed: ImportError: no torch here"
    ]


def test_a_process_that_says_nothing_and_writes_nothing_is_not_believed(
    artefacts, graph, interpreter
):
    """Where a host program ignores SIGCHLD, every status reads as 0."""
    skip_without_onnx()
    interpreter("exit 0")
    told: list[str] = []
    assert OnnxFiles(graph, artefacts, told.append).of_size(64, 96).is_file()
    assert told[1].endswith("another one failed: it wrote nothing")


def test_a_process_that_finds_another_checkout_refuses(artefacts):
    words = [artefacts.network, str(artefacts.folder), "cpu", "96", "64"]
    with pytest.raises(ChildError, match="it would run another lircdepth_core, /"):
        run_in_child("choose", MODEL, "0" * 64, words, print)


@pytest.mark.parametrize("executable", [None, "", "/nowhere/python"])
def test_without_an_interpreter_it_is_an_error_of_its_own(executable, monkeypatch):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/as_people_do")])
    with pytest.raises(ChildError, match=r"no Python|No such file"):
        run_in_child("choose", MODEL, network_code(), [], print)


def test_a_path_that_is_no_text_is_left_out(monkeypatch, interpreter):
    """Import leaves it out too."""
    interpreter("exit 0")
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/as_people_do")])
    run_in_child("choose", MODEL, network_code(), [], print)


def test_a_model_that_was_changed_meanwhile_is_not_taken_for_the_old_one(artefacts):
    other = str(ROOT / "models" / "lircdepth")
    words = [artefacts.network, str(artefacts.folder), "cpu", "96", "64"]
    with pytest.raises(ChildError, match="another model than before"):
        run_in_child("choose", Path(other), network_code(), words, print)
    assert not artefacts.folder.exists()


def test_a_process_that_was_killed_is_not_repeated_here_nor_at_once(
    artefacts, graph, interpreter, tmp_path
):
    """Where memory is short this process would be the next to be killed."""
    count = tmp_path / "count"
    interpreter(f"echo >> {count}; kill -9 $$")
    for _ in range(2):
        name, why = fastest(graph, "cpu", (96, 64), artefacts, print)
        assert name == "torch"
        assert why == "trying the others was killed by signal 9, mostly for want of memory"
    assert count.read_text() == "\n"
    with pytest.raises(InputError, match="exporting the network: killed by signal 9"):
        OnnxFiles(graph, artefacts, print).of_size(64, 96)


def test_where_a_second_trial_is_killed_the_first_one_holds(artefacts, graph, interpreter):
    doubtful = choice._Choice("torch-half", "", True, time.time() - 100_000)
    artefacts.get(choice._made_of("cpu", (96, 64)), lambda folder: choice._write(doubtful, folder))
    interpreter("kill -11 $$")
    name, why = fastest(graph, "cpu", (96, 64), artefacts, print)
    assert (name, why) == ("torch-half", "trying the others was killed by signal 11")


def test_where_nothing_can_be_kept_no_process_is_started(graph, interpreter, tmp_path):
    interpreter(f"touch {tmp_path}/started")
    nowhere = Artefacts(Path("/proc/no/cache"), "small", MODEL)
    with pytest.raises(CacheError, match="/proc/no"):
        fastest(graph, "cpu", (96, 64), nowhere, print)
    assert not (tmp_path / "started").exists()


def test_what_reports_may_fail_and_the_other_process_ends(artefacts, interpreter, tmp_path):
    interpreter(f"sleep 60 & echo $! > {tmp_path}/pid; echo report trying; sleep 60")

    def report(text: str) -> None:
        raise ZeroDivisionError(text)

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="trying"):
        run_in_child("choose", MODEL, network_code(), [], report)
    assert time.monotonic() - start < 30
    assert _ends((tmp_path / "pid").read_text().strip())


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
    assert _ends(children[0])


def _ends(pid: str) -> bool:
    """Whether a process is gone in a few seconds."""
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _runs(pid)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
