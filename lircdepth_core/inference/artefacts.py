"""What is built of a network once per machine, and kept for the next start."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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


class CacheError(InputError):
    """Nothing can be kept in the cache."""


def cache_folder() -> Path:
    """`$LIRCDEPTH_CACHE`, else lircdepth in `$XDG_CACHE_HOME` or ~/.cache. May be deleted.

    Raises:
        CacheError: there is no such user or no home directory.
    """
    own = os.environ.get("LIRCDEPTH_CACHE")
    folder = Path(own or os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = folder.expanduser()
    except RuntimeError as error:
        raise CacheError(
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
        model: its model's folder, from which another process can build; None: this one does.
    """

    folder: Path
    network: str
    model: Path | None = None

    @classmethod
    def of(cls, model: ModelDescription, folder: Path | None = None) -> Artefacts:
        """Those of a model whose weights have been checked.

        Args:
            model: what it is.
            folder: see `model`.
        """
        weights = model.weights
        name = weights.sha256 if isinstance(weights, StoredWeights) else f"seed {weights.seed}"
        return cls(cache_folder(), f"{model.network} {name}", folder)

    def make_folder(self) -> None:
        """Make `folder` if it is not there.

        Raises:
            CacheError: it cannot be, or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        except OSError as error:
            raise self._unwritable(error) from error

    def get(self, made_of: Mapping[str, str], build: Callable[[Path], None]) -> Path:
        """A folder with what `build` makes, from the last time if it still holds.

        What is put into folders of it later is not checked here, see `proven_files`.

        Args:
            made_of: what besides network and torch the content depends on.
            build: fills an empty folder.

        Raises:
            CacheError: it cannot be written.
        """
        entry = self._entry(made_of)
        if not _intact(entry):
            try:
                self._fill(entry, build)
            except OSError as error:
                raise self._unwritable(error) from error
        return entry

    def find(self, made_of: Mapping[str, str]) -> Path | None:
        """The folder that `get` would give without building; None if it is not there."""
        entry = self._entry(made_of)
        return entry if _intact(entry) else None

    def discard(self, made_of: Mapping[str, str]) -> None:
        """Have it built anew the next time, if that can be."""
        with suppress(OSError):
            (self._entry(made_of) / _LIST).unlink()

    def _unwritable(self, error: OSError) -> CacheError:
        return CacheError(
            f"{error.filename or self.folder}: {error.strerror or error}; compiled networks are "
            "kept there, set LIRCDEPTH_CACHE to a folder that can be written"
        )

    def _entry(self, made_of: Mapping[str, str]) -> Path:
        return self.folder / _hash({"network": self.network, **_basis(), **made_of})[:32]

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


@contextmanager
def proven_files(folder: Path, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Around what reads and writes a library's own cache: it finds no file there that has changed.

    OpenVINO and TensorRT believe what they find, weights included; a file is torn where the power
    is cut soon after it was written. Those that do not hold, or that no list names, are removed
    before; what is there in the end is listed with its hash. Of processes that share the folder the
    others wait meanwhile.

    Args:
        folder: of the cache, made if it is not there.
        waits: is called if another has it.

    Raises:
        CacheError: it cannot be made or cleared.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cleared_by_hand(folder, error) from error
    with locked(folder, waits):
        known = _listed(folder)
        try:
            for path in _files_in(folder):
                if known.get(path.name) != _file_hash(path):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise cleared_by_hand(folder, error) from error
        yield
        # What cannot be listed, on a full disk, is only built again.
        with suppress(OSError):
            hashes = {path.name: _file_hash(path) for path in _files_in(folder)}
            if hashes != known:
                staged = folder / f"{_LIST}.new"
                staged.write_text(json.dumps(hashes), encoding="utf-8")
                staged.replace(folder / _LIST)


@contextmanager
def locked(folder: Path, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While others, processes or threads, wait that lock the same folder.

    Args:
        folder: that is there.
        waits: is called if another has locked it.

    Raises:
        CacheError: it cannot be read.
    """
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise cleared_by_hand(folder, error) from error
    try:
        # Some network file systems have no locks.
        with suppress(OSError):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def cleared_by_hand(folder: Path, error: OSError) -> CacheError:
    """Of a library's own cache in which something cannot be done: a person is to remove it."""
    where = error.filename or folder
    return CacheError(f"{where}: {error.strerror or error}; remove the folder {folder}")


def _files_in(folder: Path) -> list[Path]:
    """Files of a library's cache, without the list of them."""
    return [path for path in folder.iterdir() if path.is_file() and path.name != _LIST]


def _listed(folder: Path) -> dict[str, str]:
    """Hashes by name, none if the list is missing or damaged."""
    try:
        listed = json.loads((folder / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return listed if isinstance(listed, dict) else {}


def _basis() -> dict[str, str]:
    return {"code": network_code(), "torch": str(torch.__version__)}


@cache
def network_code() -> str:
    """Hash of the sources of network, export and back ends: a developer runs no old ones."""
    here = Path(__file__)
    sources = sorted(Path(lircdepth_core.network.__file__).parent.glob("*.py"))
    sources += [here.with_name("onnx_export.py"), *sorted((here.parent / "backends").glob("*.py"))]
    return _hash([[path.name, _file_hash(path)] for path in sources])


def _intact(entry: Path) -> bool:
    """Whether all that was built is there and unchanged."""
    try:
        files = json.loads((entry / _LIST).read_text(encoding="utf-8"))
        return bool(files) and all(
            _file_hash(entry / name) == value for name, value in files.items()
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
