"""One process at a time in a folder whose unfinished files it removes and replaces."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lircdepth_core.errors import InputError


@contextmanager
def sole_process(folder: Path) -> Iterator[None]:
    """Keep others out of a folder that is there; a process that is killed keeps nobody out.

    Raises:
        InputError: another process is in it.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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
