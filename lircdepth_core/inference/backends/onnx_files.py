"""A network's ONNX files, one per size of image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.onnx_export import OPSET, export_onnx
from lircdepth_core.network import DeploymentGraph

_FILE = "network.onnx"


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
            export_onnx(self.graph, folder / _FILE, (rows, columns))

        made_of = {"format": f"ONNX opset {OPSET}", "size": f"{columns}x{rows}"}
        return self.artefacts.get(made_of, build) / _FILE
