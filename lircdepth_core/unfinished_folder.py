"""Folders for what is not finished: gone at the end, and after a kill with the next one made."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME_END = re.compile(r"[a-z0-9_]{8}")  # what tempfile puts behind a prefix
_ABANDONED_AFTER_SECONDS = 86_400


@contextmanager
def unfinished_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder beside its result; at the end it is removed, unless it was renamed.

    Who works in one holds a lock on it. Those of the same prefix that nobody holds were left by
    processes that were killed, and are removed first.

    Args:
        parent: the folder to make it in.
        prefix: of its name; no other folder may have such a name, with 8 characters behind it.

    Raises:
        OSError: it cannot be made.
    """
    for path in parent.iterdir():
        if path.name.startswith(prefix) and _NAME_END.fullmatch(path.name[len(prefix) :]):
            _remove_if_abandoned(path)
    folder, lock = _made(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder and its lock, an open descriptor."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        # Between the two another process may take it for abandoned.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, folder):
                return folder, lock
            os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    """Remove a folder if nobody holds it; without locks, if it is old."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # its owner has just removed or renamed it, or it is another's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        abandoned = _is_at(lock, folder)
    except BlockingIOError:
        abandoned = False
    except OSError:
        abandoned = time.time() - os.fstat(lock).st_mtime > _ABANDONED_AFTER_SECONDS
    if abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open folder is still the one of a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
