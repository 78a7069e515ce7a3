"""One process at a time in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
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


FORKED = """
import os, signal, sys, time
from pathlib import Path
from lircdepth_core.sole_process import sole_process, stay_out
with sole_process(Path(sys.argv[1])):
    if os.fork():
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "stays out":
        stay_out()
    print("forked", os.getpid(), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("stays_out", [True, False])
def test_what_a_killed_one_has_forked_keeps_others_out_unless_it_stays_out(
    stays_out: bool, tmp_path: Path
) -> None:
    """Loader processes of a training notice only after seconds that they are alone."""
    words = [sys.executable, "-c", FORKED, str(tmp_path), "stays out" if stays_out else "works"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        child = int(first.stdout.readline().split()[1])
        first.stdin.write("\n")
        first.stdin.flush()
        first.wait()
        try:
            others = nullcontext() if stays_out else pytest.raises(InputError, match="another")
            with others, sole_process(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_that_goes_away_meanwhile_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with sole_process(folder):
        (folder / ".lock").unlink()
        folder.rmdir()
