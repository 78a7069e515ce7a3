"""TensorBoard's event file, written by whoever asks, so that a full disk is an error there.

`SummaryWriter` writes in a thread of its own, which prints a traceback when it cannot.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

_numbers = itertools.count()


class EventFile:
    """A new event file in a folder, which is made.

    Args:
        folder: of all event files of a run.
        purge_step: what earlier files hold from this step on is not shown.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = _path_in(folder).open("wb")
        self._records = RecordWriter(self._file)
        try:
            self._write(Event(file_version="brain.Event:2"))
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
            self._file.flush()
        except OSError:
            self.discard()
            raise

    def add_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by their names.

        Raises:
            OSError: they cannot be written.
        """
        for name, value in values.items():
            self._write(Event(step=step, summary=scalar(name, value)))
        self._file.flush()

    def close(self) -> None:
        """Close it; OSError if what is left cannot be written."""
        self._file.close()

    def discard(self) -> None:
        """Close it, whatever becomes of what is left."""
        with contextlib.suppress(OSError):  # it is closed all the same
            self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def _path_in(folder: Path) -> Path:
    """A name that nothing else has, in the form that TensorBoard looks for."""
    parts = (f"{int(time.time()):010d}", socket.gethostname(), os.getpid(), next(_numbers))
    return folder / ".".join(("events.out.tfevents", *map(str, parts)))
