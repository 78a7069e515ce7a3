"""A network's ONNX files, one per size of image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lircdepth_core.errors import InputError, first_line
from lircdepth_core.inference.artefacts import Artefacts, network_code
from lircdepth_core.inference.backends.child_process import (
    ChildError,
    ChildKilledError,
    run_in_child,
)
from lircdepth_core.inference.backends.package_versions import versions
from lircdepth_core.inference.onnx_export import OPSET, export_onnx, fix_size
from lircdepth_core.input_file import read_input_file
from lircdepth_core.network import DeploymentGraph

EXPORTERS = ("onnx", "onnxscript")
"""Packages that write a network's files."""

_FILE = "network.onnx"
_MAX_BYTES = 2_000_000_000  # a protobuf cannot be larger


class NetworkFiles(Protocol):
    """ONNX files of a network."""

    @property
    def report(self) -> Callable[[str], None]:
        """Is told before something takes long."""
        ...

    def of_size(self, rows: int, columns: int) -> Path:
        """The file for images of rows x columns."""
        ...


@dataclass(frozen=True)
class OnnxFiles:
    """Files exported when a size first comes up, and kept.

    Attributes:
        graph: what is exported.
        artefacts: where they are kept.
        report: is told before something takes long.
    """

    graph: DeploymentGraph
    artefacts: Artefacts
    report: Callable[[str], None]

    def of_size(self, rows: int, columns: int) -> Path:
        """The file for images of rows x columns.

        Raises:
            InputError: it cannot be written.
        """

        def build(folder: Path) -> None:
            self.report(f"exporting the network for {columns}x{rows} images, once")
            self._export(folder / _FILE, rows, columns)

        made_of = {
            "format": f"ONNX opset {OPSET}",
            "size": f"{columns}x{rows}",
            "exporter": versions(EXPORTERS),
        }
        return self.artefacts.get(made_of, build) / _FILE

    def _export(self, path: Path, rows: int, columns: int) -> None:
        if self.artefacts.model is not None:
            words = [self.artefacts.network, str(path), str(rows), str(columns)]
            try:
                run_in_child("export", self.artefacts.model, network_code(), words, self.report)
                if path.is_file():
                    return
                raise ChildError("it wrote nothing")
            except ChildKilledError as error:
                raise InputError(f"exporting the network: {error}; take torch") from error
            except ChildError as error:
                self.report(f"exporting in this process, for another one failed: {error}")
        export_onnx(self.graph, path, (rows, columns))


@dataclass(frozen=True)
class Int8Network:
    """A quantised network as it is stored: an ONNX file whose N, H and W are open.

    Attributes:
        path: of the file.
        sha256: that it must have.
        of_these_weights: whether it was made of the weights that the model has now.
    """

    path: Path
    sha256: str
    of_these_weights: bool = True


@dataclass(frozen=True)
class Int8Files:
    """A quantised network's files, each fixed to a size when that first comes up, and kept.

    Attributes:
        network: as it is stored.
        artefacts: where they are kept.
        report: is told before something takes long.
    """

    network: Int8Network
    artefacts: Artefacts
    report: Callable[[str], None]

    def __post_init__(self) -> None:
        if not self.network.of_these_weights:
            raise InputError(
                f"{self.network.path}: made of other weights than the model has; "
                "run lircdepth quantise again"
            )

    def of_size(self, rows: int, columns: int) -> Path:
        """The file for images of rows x columns.

        Raises:
            InputError: the network is missing, has another hash or is none, or the file cannot be
                written.
        """

        def build(folder: Path) -> None:
            self.report(f"fixing the int8 network to {columns}x{rows} images, once")
            data = self._read()
            try:
                fix_size(data, folder / _FILE, (rows, columns))
            except (ImportError, OSError):
                raise
            except Exception as error:  # a damaged file raises any type inside onnx
                raise InputError(
                    f"{self.network.path}: not a quantised network ({first_line(error)}); run "
                    "lircdepth quantise again"
                ) from error

        made_of = {
            "format": f"int8 {self.network.sha256}",
            "size": f"{columns}x{rows}",
            "exporter": versions(EXPORTERS[:1]),
        }
        return self.artefacts.get(made_of, build) / _FILE

    def _read(self) -> bytes:
        path = self.network.path
        try:
            data = read_input_file(path, _MAX_BYTES)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; fetch the model again") from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.network.sha256:
            raise InputError(
                f"{path}: SHA-256 is {found}, model.yaml says {self.network.sha256} in "
                "int8.sha256; fetch the model again"
            )
        return data


def waits_for(engines: Path, files: NetworkFiles) -> Callable[[], None]:
    """For `proven_files`: tells that another process builds what is needed here too."""
    return lambda: files.report(
        f"another process compiles this network ({engines}), waiting for it"
    )
