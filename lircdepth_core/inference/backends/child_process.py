"""Work on a network in a process of its own: exporting and trying it take memory that a process
does not give back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lircdepth_core.inference.child_work import main; main(sys.argv[2:])"
)


class ChildError(Exception):
    """The other process did not do it. Its message says why."""


class ChildKilledError(ChildError):
    """It was killed: here the same may happen."""


def run_in_child(
    work: str, model: Path, arguments: list[str], report: Callable[[str], None]
) -> None:
    """Do one of `child_work.WORK` in a process of its own, and wait for it.

    It ends with this one, and leaves no process behind.

    Args:
        work: its name.
        model: the model's folder.
        arguments: of the work.
        report: is told what the other process reports.

    Raises:
        ChildError: it failed, or no process can be started.
        ChildKilledError: a signal ended it.
    """
    # Isolated, so that nothing in the working directory is taken for a module; found where they
    # are found here.
    command = [sys.executable, "-I", "-c", _CODE, json.dumps([path for path in sys.path if path])]
    command += [work, str(model.resolve()), str(torch.get_num_threads()), *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its end tells the child that this process is no more
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C is for this process to deal with
            )
        except OSError as error:
            raise ChildError(f"{sys.executable}: {error.strerror or error}") from error
        with child:
            try:
                assert child.stdout is not None
                for line in child.stdout:
                    report(line.rstrip("\n"))
                status = child.wait()
            except BaseException:
                child.kill()
                raise
        if status == 0:
            return
        errors.seek(0)
        said = errors.read().strip().splitlines()
    if status < 0:
        raise ChildKilledError(f"killed by signal {-status}; 9 mostly means too little memory")
    raise ChildError(said[-1][:300] if said else f"ended with {status}")
