"""Checkpoints: safetensors files that appear complete or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lircdepth_core.errors import InputError
from lircdepth_core.plain_json import parse_plain_json

CHOSEN_FILE = "chosen.safetensors"

_FORMAT = 2
_KEY = "training"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to go on.

    Attributes:
        tensors: by their names.
        values: JSON values.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


class Checkpoints:
    """The checkpoints in a folder, by step.

    Args:
        folder: made if it is not there.
        keep: how many are kept, the newest, besides the chosen one.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, increasing."""
        matches = (re.fullmatch(r"step-(\d{9})", path.stem) for path in self._paths())
        return sorted(int(match[1]) for match in matches if match)

    def newest(self) -> Path | None:
        """The checkpoint of the highest step."""
        steps = self.steps()
        return self._path(steps[-1]) if steps else None

    @property
    def chosen(self) -> Path:
        """Where the chosen one is, if there is one."""
        return self._folder / CHOSEN_FILE

    def write(self, step: int, checkpoint: Checkpoint, *, delete_old: bool = True) -> Path:
        """Write a checkpoint, and delete old ones, if this one is known to be good.

        Raises:
            InputError: a parameter is not finite, or the file cannot be written; what was there
                before is unchanged.
        """
        for name, tensor in checkpoint.tensors.items():
            if not torch.isfinite(tensor).all():
                raise InputError(
                    f"step {step}: {name} is not finite, no checkpoint was written; "
                    f"{self.describe_newest()}; lower the learning rate"
                )
        path = self._path(step)
        temporary = path.with_suffix(".new")
        header = {_KEY: json.dumps({"format": _FORMAT, **checkpoint.values})}
        with self._written_whole(path, temporary):
            self._folder.mkdir(parents=True, exist_ok=True)
            safetensors.torch.save_file(dict(checkpoint.tensors), temporary, header)
            _sync(temporary)
            temporary.replace(path)
        for old in self.steps()[: -self._keep] if delete_old else ():
            self._path(old).unlink()
        return path

    def mark_chosen(self, step: int) -> None:
        """Keep the checkpoint of a step as the chosen one.

        Raises:
            InputError: the file cannot be written; what was there before is unchanged.
        """
        temporary = self.chosen.with_suffix(".new")
        with self._written_whole(self.chosen, temporary):
            temporary.unlink(missing_ok=True)
            try:
                os.link(self._path(step), temporary)
            except OSError:  # a file system without links
                shutil.copyfile(self._path(step), temporary)
                _sync(temporary)
            temporary.replace(self.chosen)

    def has_chosen(self, step: int) -> bool:
        """Whether the chosen one is there, and of this step."""
        try:
            return bool(read_checkpoint(self.chosen).values["progress"]["step"] == step)
        except (InputError, KeyError, TypeError):
            return False

    def describe_newest(self) -> str:
        """A clause that says which checkpoint a run would go on from."""
        newest = self.newest()
        return f"the last good checkpoint is {newest}" if newest else "there is no checkpoint yet"

    @contextmanager
    def _written_whole(self, path: Path, temporary: Path) -> Iterator[None]:
        """Around what writes a file under another name first, which is gone in the end."""
        try:
            yield
        except (OSError, safetensors.SafetensorError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(
                f"{path}: cannot be written ({reason}); {self.describe_newest()}; free some "
                "space and run the same command again"
            ) from error
        finally:
            # Also where it was renamed: of two links to one file that does nothing.
            temporary.unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:09d}.safetensors"

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("step-*.safetensors"))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: it is missing, damaged or of another version.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            values = parse_plain_json((file.metadata() or {})[_KEY])
            if not isinstance(values, dict):
                raise ValueError("its values are no mapping")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: no checkpoint, or a damaged one ({error}); delete it to go on from another"
        ) from error
    if values.pop("format", None) != _FORMAT:
        raise InputError(f"{path}: of another version of this program; use that one")
    return Checkpoint(tensors, values)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
