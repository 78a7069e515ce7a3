"""A network as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from lircdepth_core.network import SIZE_MULTIPLE, DeploymentGraph
from lircdepth_core.radar import RADAR_CHANNELS

INPUTS = ("image", "radar")
OUTPUTS = ("depth", "uncertainty")
OPSET = 20
LARGEST_SIDE = 8192


def export_onnx(
    graph: DeploymentGraph,
    path: Path,
    size: tuple[int, int] | None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a graph as ONNX, opset 20, weights inside, in float32.

    Its inputs are `image` (N, H, W, 3) uint8 RGB and `radar` (N, 4, H, W) float32, its outputs
    `depth` and `uncertainty`, (N, H, W) float32: see `DeploymentGraph`.

    Args:
        graph: what is exported.
        path: of the file.
        size: rows and columns, multiples of 32, with N = 1; None leaves N, H and W open, which
            takes several times as long to write.
        metadata: texts to store in the file.
    """
    rows, columns = size or (2 * SIZE_MULTIPLE, 3 * SIZE_MULTIPLE)
    # An open dimension must not be 1 in the example, or it would be taken for fixed.
    batch = 1 if size else 2
    device = graph.mean.device
    example = (
        torch.zeros(batch, rows, columns, 3, dtype=torch.uint8, device=device),
        torch.zeros(batch, len(RADAR_CHANNELS), rows, columns, device=device),
    )
    open_dimensions: Any = None
    if size is None:
        number = Dim("batch", min=1, max=64)
        height, width = (
            SIZE_MULTIPLE * Dim(name, min=1, max=LARGEST_SIDE // SIZE_MULTIPLE)
            for name in ("height", "width")
        )
        open_dimensions = ({0: number, 1: height, 2: width}, {0: number, 2: height, 3: width})
    with _quiet():
        program = torch.onnx.export(
            graph,
            example,
            input_names=INPUTS,
            output_names=OUTPUTS,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=open_dimensions,
            verbose=False,
        )
    assert program is not None
    # What the exporter notes of each node, such as stack traces, names folders of this machine.
    for node in program.model.graph:
        node.metadata_props.clear()
    program.model.metadata_props.update(metadata or {})
    program.save(path, external_data=False)


def fix_size(network: bytes, path: Path, size: tuple[int, int]) -> None:
    """Write a network whose N, H and W are open as one of N = 1 and a fixed size.

    Args:
        network: content of an ONNX file.
        path: of the file to make.
        size: rows and columns, multiples of 32.
    """
    import onnx
    from onnx.tools.update_model_dims import update_inputs_outputs_dims

    rows, columns = size
    model = onnx.load_from_string(network)
    del model.graph.value_info[:]  # shapes in between, of open sizes
    shapes = ([1, rows, columns, 3], [1, len(RADAR_CHANNELS), rows, columns])
    model = update_inputs_outputs_dims(
        model,
        dict(zip(INPUTS, shapes, strict=True)),
        {name: [1, rows, columns] for name in OUTPUTS},
    )
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on what it has no use for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
