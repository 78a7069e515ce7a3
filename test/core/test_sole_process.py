"""One process at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.sole_process import sole_process


def test_another_is_kept_out_until_the_first_has_ended(tmp_path: Path) -> None:
    with sole_process(tmp_path):
        message = f"{tmp_path}: another process works there"
        with pytest.raises(InputError, match=message), sole_process(tmp_path):
            pass
    with sole_process(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from lircdepth_core.sole_process import sole_process
with sole_process(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_one_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with sole_process(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_away_meanwhile_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with sole_process(folder):
        (folder / ".lock").unlink()
        folder.rmdir()
