"""Files of results: whole or not there, and named where they cannot be written."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A disk, a quota, or what the file system or the process may have in one file."""


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Name a file or folder in what the operating system says of writing or reading it.

    Only an open that fails names its file itself; a write to a full disk does not.

    Raises:
        OSError: what the body raised, with a file name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        # NumPy's own has no number: "123335 requested and 0 written".
        number = errno.ENOSPC if error.errno is None else error.errno
        raise OSError(number, error.strerror or f"cannot be written: {error}", str(path)) from error


def unwritten(error: OSError) -> str:
    """What an operating system's error is in one line: the file, what is wrong, and what to do."""
    if error.filename is None or error.strerror is None:
        return " ".join(str(error).split())
    advice = "; free some space" if error.errno in DISK_FULL else ""
    return f"{error.filename}: {error.strerror}{advice}"


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that is either whole or not there.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with naming_file(path):
            unfinished.write_text(text + "\n", encoding="utf-8")
            unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
