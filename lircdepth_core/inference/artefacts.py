"""What is built of a network once per machine, and kept for the next start."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

import lircdepth_core.network
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.inference.model_description import ModelDescription, StoredWeights
from lircdepth_core.unfinished_folder import unfinished_folder

_LIST = "files.json"
_BUILDING = ".building-"


def cache_folder() -> Path:
    """`$LIRCDEPTH_CACHE`, else lircdepth in `$XDG_CACHE_HOME` or ~/.cache. May be deleted.

    Raises:
        InputError: there is no such user or no home directory.
    """
    own = os.environ.get("LIRCDEPTH_CACHE")
    folder = Path(own or os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = folder.expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{folder}: {first_line(error)}; set LIRCDEPTH_CACHE to a folder that can be written"
        ) from error
    return folder if own else folder / "lircdepth"


@dataclass(frozen=True)
class Artefacts:
    """Built forms of one network.

    Each has a folder of its own, named by a hash of what it was built from and with: the weights,
    the network's code, torch, and what the back end adds. If any of them changes, or a file
    does, it is built again.

    Attributes:
        folder: of all networks.
        network: which network, by its weights.
    """

    folder: Path
    network: str

    @classmethod
    def of(cls, model: ModelDescription) -> Artefacts:
        """Those of a model whose weights have been checked."""
        weights = model.weights
        name = weights.sha256 if isinstance(weights, StoredWeights) else f"seed {weights.seed}"
        return cls(cache_folder(), f"{model.network} {name}")

    def get(self, made_of: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """A folder with what `build` makes, from the last time if it still holds.

        Other files may be put into the folder later; they are not checked.

        Args:
            made_of: what besides network and torch the content depends on.
            build: fills an empty folder.

        Raises:
            InputError: it cannot be written.
        """
        entry = self.folder / _hash({"network": self.network, **_basis(), **made_of})[:32]
        if not _intact(entry):
            try:
                self._fill(entry, build)
            except OSError as error:
                raise InputError(
                    f"{error.filename or entry}: {error.strerror or error}; compiled networks "
                    "are kept there, set LIRCDEPTH_CACHE to a folder that can be written"
                ) from error
        return entry

    def _fill(self, entry: Path, build: Callable[[Path], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(self.folder, _BUILDING) as staging:
            build(staging)
            files = {
                str(path.relative_to(staging)): _file_hash(path)
                for path in sorted(staging.rglob("*"))
                if path.is_file()
            }
            (staging / _LIST).write_text(json.dumps(files), encoding="utf-8")
            # Another process may have built the same meanwhile, and use it already.
            if not _intact(entry):
                shutil.rmtree(entry, ignore_errors=True)
                try:
                    staging.rename(entry)
                except OSError:
                    if not _intact(entry):
                        raise


def _basis() -> dict[str, str]:
    return {"code": _network_code(), "torch": str(torch.__version__)}


@cache
def _network_code() -> str:
    """Hash of the network's sources, so that a developer never runs yesterday's."""
    sources = sorted(Path(lircdepth_core.network.__file__).parent.glob("*.py"))
    return _hash([[path.name, _file_hash(path)] for path in sources])


def _intact(entry: Path) -> bool:
    """Whether all that was built is there and unchanged."""
    try:
        files = json.loads((entry / _LIST).read_text(encoding="utf-8"))
        return all(_file_hash(entry / name) == value for name, value in files.items())
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
