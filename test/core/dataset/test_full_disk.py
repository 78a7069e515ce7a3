"""A disk that fills up, and a process that is killed, while bags and samples are written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from simple_scene import SCENE

from lircdepth_core.cli import main
from lircdepth_core.dataset.shards import read_samples

SMALL = 40_000
"""Bytes that a file may have: as a full disk, every write beyond fails."""


WITHOUT_END = """
import pathlib, sys, time
from lircdepth_core.cli import main
pathlib.Path.rename = lambda *_: time.sleep(600)
main(sys.argv[1:])
"""
"""The command, which stops just before its result gets its name."""


def lircdepth(
    *arguments: object, limit: int | None = None, program: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """The command in a process whose files may not become larger."""

    def confine() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, *(program or ("-m", "lircdepth_core.cli")), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=confine,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, error = process.communicate(timeout=120)
    return process.returncode, error.strip().splitlines()[-1] if error.strip() else ""


@pytest.mark.parametrize(("storage", "words"), [("mcap", "File too large"), ("sqlite3", "disk")])
def test_a_bag_that_does_not_fit_is_said_in_one_line_and_leaves_nothing(
    storage, words, annotated, tmp_path
):
    command = ("bag", annotated, tmp_path / "bag", "--scene", SCENE, "--storage", storage)
    process = lircdepth(*command, limit=SMALL)
    _, error = process.communicate(timeout=120)
    status, line = process.returncode, error.strip().splitlines()[-1]
    assert "Traceback" not in error
    assert status == 2
    assert line.startswith(f"lircdepth bag: {tmp_path / 'bag'}: ")
    assert words in line
    assert line.endswith("; free some space")
    assert list(tmp_path.iterdir()) == []
    assert main([*map(str, command)]) == 0
    assert (tmp_path / "bag" / "metadata.yaml").exists()


def test_samples_that_do_not_fit_are_said_and_those_complete_stay(two_scenes, tmp_path):
    command = ("prepare", two_scenes, tmp_path / "out", "--sweeps", 1, "--workers", 1)
    assert main([*map(str, command), "--scenes", SCENE]) == 0
    whole = sorted(p.name for p in (tmp_path / "out").glob("*.tar"))
    status, line = ended(lircdepth(*command, limit=SMALL))
    assert status in (1, 2)
    assert f"{tmp_path / 'out'}/scene-" in line
    assert line.endswith(": File too large; free some space")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tar")) == whole
    assert not list((tmp_path / "out").glob("*.part"))
    assert main([*map(str, command)]) == 0
    assert len({s.key for s in read_samples(str(tmp_path / "out"))}) == 6


def test_a_killed_bag_is_none_and_the_same_command_makes_it(annotated, tmp_path):
    command = ("bag", annotated, tmp_path / "bag", "--scene", SCENE)
    process = lircdepth(*command, program=("-c", WITHOUT_END))
    end = time.monotonic() + 60
    while not any(tmp_path.rglob("metadata.yaml")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "bag").exists()
    assert list(tmp_path.iterdir()) != []
    assert main([*map(str, command)]) == 0
    assert (tmp_path / "bag" / "metadata.yaml").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
