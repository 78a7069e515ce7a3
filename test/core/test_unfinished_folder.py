from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time

import pytest

from lircdepth_core.unfinished_folder import unfinished_folder

HELD = """
import sys, time
from pathlib import Path
from lircdepth_core.unfinished_folder import unfinished_folder
with unfinished_folder(Path(sys.argv[1]), ".x-") as folder:
    (folder / "part").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_it_goes_at_the_end_and_when_the_work_fails(tmp_path):
    with unfinished_folder(tmp_path, ".x-") as folder:
        (folder / "part").touch()
        assert folder.parent == tmp_path
    with pytest.raises(ZeroDivisionError), unfinished_folder(tmp_path, ".x-"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_was_renamed_stays(tmp_path):
    with unfinished_folder(tmp_path, ".x-") as folder:
        (folder / "part").touch()
        folder.rename(tmp_path / "whole")
    assert [path.name for path in tmp_path.rglob("*")] == ["whole", "part"]


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(tmp_path):
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            (held,) = tmp_path.iterdir()
            with unfinished_folder(tmp_path, ".x-"):
                assert (held / "part").exists()
        finally:
            process.kill()
    assert held.exists()
    with unfinished_folder(tmp_path, ".y-"):
        assert held.exists()
    with unfinished_folder(tmp_path, ".x-") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_nothing_else_is_removed(tmp_path):
    (tmp_path / ".x-configuration").mkdir()
    (tmp_path / ".x-12345678").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / ".x-abcdefgh").symlink_to(tmp_path / "other")
    with unfinished_folder(tmp_path, ".x-"):
        pass
    assert len(list(tmp_path.iterdir())) == 4


def test_where_there_are_no_locks_only_the_old_goes(tmp_path, monkeypatch):
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    old, new = tmp_path / ".x-aaaaaaaa", tmp_path / ".x-bbbbbbbb"
    for folder in (old, new):
        folder.mkdir()
    before = time.time() - 90_000
    os.utime(old, (before, before))
    with unfinished_folder(tmp_path, ".x-"):
        assert new.exists()
    assert not old.exists()
