"""What a run writes down as it goes: lines of JSON, TensorBoard's events, a line of progress."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lircdepth_core.errors import InputError
from lircdepth_core.training.event_file import EventFile

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Records:
    """The log of a run; to be closed, or used in a `with`.

    Args:
        out: folder of the run.
        step: from which it goes on; what was written of later steps is removed, because they are
            done again.
        done_again: an event of that step that was written and is done again, as a validation whose
            checkpoint was not; None for none.

    Raises:
        InputError: the log cannot be written.
    """

    def __init__(self, out: Path, step: int, done_again: str | None = None) -> None:
        self._path = out / LOG_FILE
        try:
            if self._path.exists():
                with self._path.open(encoding="utf-8", errors="replace") as lines:
                    written = ((line, *_event_of(line)) for line in lines)
                    kept = [
                        line
                        for line, event, at in written
                        if at <= step and (event, at) != (done_again, step)
                    ]
                temporary = self._path.with_suffix(".new")
                temporary.write_text("".join(kept))
                temporary.replace(self._path)
            self._tensorboard = EventFile(out / TENSORBOARD_FOLDER, step + 1)
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Write a line; TensorBoard gets its numbers under `event/name`.

        Raises:
            InputError: the disk is full.
        """
        line = json.dumps({"event": event, "step": step, "time": round(time.time(), 3), **values})
        try:
            with self._path.open("a") as file:
                file.write(line + "\n")
            numbers = {f"{event}/{name}": value for name, value in _flat(values).items()}
            self._tensorboard.add_scalars(numbers, step)
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:  # which says more than what closing would
            self._tensorboard.discard()
            return
        try:
            self._tensorboard.close()
        except OSError as failure:
            raise self._unwritable(failure) from failure

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path}: cannot be written ({error.strerror}); free some space and run the "
            "same command again, it goes on from the last checkpoint"
        )


def progress_line(step: int, total_steps: int, means: Mapping[str, float], left: float) -> str:
    """One line for whoever watches.

    Args:
        step: done.
        total_steps: of the whole run.
        means: of `Meter.take`.
        left: seconds.
    """
    hours, rest = divmod(round(left), 3600)
    return (
        f"step {step}/{total_steps}  loss {means['total']:.4g}  "
        f"{means['images_per_second']:.2f} images/s, {means['wait_share']:.0%} waiting for data  "
        f"{hours}:{rest // 60:02d}:{rest % 60:02d} left"
    )


def _flat(values: Mapping[str, Any]) -> dict[str, float]:
    """Its numbers, those of inner mappings under their own names."""
    flat: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value)
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _event_of(line: str) -> tuple[str, float]:
    """A line's event and step; none, and so later than any, if a kill cut the line off."""
    try:
        values = json.loads(line)
        return str(values["event"]), float(values["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "", float("inf")
