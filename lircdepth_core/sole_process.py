"""One process at a time in a folder whose unfinished files it removes and replaces."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lircdepth_core.errors import InputError

LOCK_FILE = ".lock"
"""It stays: removing it could leave two processes with a lock each."""


@contextmanager
def sole_process(folder: Path) -> Iterator[None]:
    """Keep others out of a folder that is there; a process that is killed keeps nobody out.

    Raises:
        InputError: another process is in it.
    """
    # A file: NFS tells its server, and so other machines, of locks on these, but not on folders.
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another process works there; wait for it, or choose another folder"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(lock)
