"""Writing shards: tar files that are either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lircdepth_core.result_files import naming_file


class ShardWriter:
    """A tar file that gets its name when it is finished; the same members give the same bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.part")
        self._tar = tarfile.open(self._unfinished, "w")  # noqa: SIM115
        self._samples = 0

    def add(self, key: str, files: Mapping[str, bytes]) -> None:
        """Add a sample: its files by their extensions."""
        with naming_file(self._path):
            for extension, data in files.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(data)
                self._tar.addfile(member, io.BytesIO(data))
        self._samples += 1

    def finish(self) -> dict[str, Any]:
        """Complete the file; what an index says of it."""
        digest = hashlib.sha256()
        with naming_file(self._path):
            self._tar.close()
            with self._unfinished.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                os.fsync(file.fileno())
        size = self._unfinished.stat().st_size
        self._unfinished.replace(self._path)
        return {
            "file": self._path.name,
            "samples": self._samples,
            "bytes": size,
            "sha256": digest.hexdigest(),
        }

    def abandon(self) -> None:
        """Close and remove what is unfinished; does nothing after `finish`."""
        self._unfinished.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # closing writes, which a full disk refuses
            self._tar.close()
