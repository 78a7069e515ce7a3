"""The folder for results, made before long work begins."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lircdepth_core.errors import InputError
from lircdepth_core.result_files import DISK_FULL


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make a folder, so that nobody learns after hours of work that its results have no place.

    If the body fails, what was made here goes again, as far as it is empty.

    Raises:
        InputError: it is a file or below one, or cannot be made or written to.
        OSError: the body's, with the folder's name if it has none and the disk is full.
    """
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        files = [path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()]
        what = f"{files[0]} is a file" if files else "something else is there"
        raise InputError(f"{folder}: cannot be made, {what}; choose another folder") from error
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder"
        ) from error
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(
                f"{folder}: cannot be written to; change its permissions or choose another folder"
            )
        yield
    except BaseException as failure:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()
        if isinstance(failure, OSError) and failure.errno in DISK_FULL and failure.filename is None:
            raise OSError(failure.errno, failure.strerror, str(folder)) from failure
        raise
