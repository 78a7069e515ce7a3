"""Files of anyone, read as far as a limit."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from lircdepth_core.errors import InputError


def open_input_file(path: Path, largest: int) -> BinaryIO:
    """Open a regular file of at most so many bytes; a pipe or a device may have no end.

    Raises:
        InputError: it is something else, or larger.
        OSError: it cannot be opened.
    """
    # Without O_NONBLOCK a pipe that nobody writes to would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: a pipe or a device; give a regular file")
        if found.st_size > largest:
            raise InputError(
                f"{path}: {found.st_size} bytes, more than {largest}; not a file of this kind"
            )
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_input_file(path: Path, largest: int) -> bytes:
    """The bytes of a regular file, if there are at most `largest`; see `open_input_file`."""
    with open_input_file(path, largest) as file:
        data = file.read(os.fstat(file.fileno()).st_size + 1)  # it may grow meanwhile
    if len(data) > largest:
        raise InputError(f"{path}: more than {largest} bytes; not a file of this kind")
    return data
