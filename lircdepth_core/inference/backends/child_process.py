"""Work on a network in a process of its own: exporting and trying it take memory that a process
does not give back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

REPORT, ERROR = "report ", "error "
"""What begins a line of the child's: something to tell, or why it failed."""

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lircdepth_core.inference.child_work import main; main(sys.argv[2:])"
)


class ChildError(Exception):
    """The other process did not do it. Its message says why."""


class ChildKilledError(ChildError):
    """It was killed: here the same may happen."""


def run_in_child(
    work: str, model: Path, code: str, arguments: list[str], report: Callable[[str], None]
) -> None:
    """Do one of `child_work.WORK` in a process of its own, and wait for it.

    It ends with this one, and no process of it stays. What its libraries print goes to stderr.

    Args:
        work: its name.
        model: the model's folder, absolute.
        code: of the network here, see `artefacts.network_code`: a process that finds another
            checkout of it refuses.
        arguments: of the work.
        report: is told what the other process reports.

    Raises:
        ChildError: it failed, or no process can be started.
        ChildKilledError: a signal ended it.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise ChildError("there is no Python to start")
    # Isolated, so that nothing in the working directory is taken for a module; what is found here
    # is found there.
    paths = json.dumps([path for path in sys.path if isinstance(path, str) and path])
    command = [sys.executable, "-I", "-c", _CODE, paths]
    command += [work, str(model), code, str(torch.get_num_threads()), *arguments]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # its end tells the child that this process is no more
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for this process to deal with
        )
    except OSError as error:
        raise ChildError(f"{sys.executable}: {error.strerror or error}") from error
    said = ""
    with child:
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith(REPORT):
                    report(line.removeprefix(REPORT).rstrip("\n"))
                elif line.startswith(ERROR):
                    said = line.removeprefix(ERROR).strip()
            status = child.wait()
        except BaseException:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
    if status < 0:
        hint = ", mostly for want of memory" if status == -signal.SIGKILL else ""
        raise ChildKilledError(f"killed by signal {-status}{hint}")
    if status or said:
        raise ChildError(said or f"it ended with {status}")
