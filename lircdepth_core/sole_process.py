"""One process at a time in a folder whose unfinished files it removes and replaces."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lircdepth_core.errors import InputError

LOCK_FILE = ".lock"
"""In the folder, while a process is in it, and after a kill."""


_held: set[int] = set()
"""Open descriptors of locks; processes that are forked have them too."""


@contextmanager
def sole_process(folder: Path) -> Iterator[None]:
    """Keep others out of a folder that is there; a process that is killed keeps nobody out.

    But those that it forked do, as long as they live, unless they `stay_out`.

    Raises:
        InputError: another process is in it.
    """
    # A file: NFS tells its server, and so other machines, of locks on these, but not on folders.
    path = folder / LOCK_FILE
    lock = _locked(path)
    _held.add(lock)
    try:
        yield
    finally:
        _held.discard(lock)
        with suppress(FileNotFoundError):  # the folder may be gone
            path.unlink()
        os.close(lock)


def stay_out() -> None:
    """Say in a forked process that it does nothing in the folders that are its parent's alone."""
    while _held:
        os.close(_held.pop())


def _locked(path: Path) -> int:
    """An open descriptor of the file of a path, which is locked.

    Raises:
        InputError: another process has it.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise InputError(
                f"{path.parent}: another process works there; wait for it, or choose another folder"
            ) from error
        except OSError:  # a file system without locks
            return lock
        # Between the two, the one who had it may have ended and removed it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        os.close(lock)
