"""Static post-training quantisation to 8 bits (Jacob et al. 2018, arXiv 1712.05877)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from lircdepth_core.errors import InputError
from lircdepth_core.inference.onnx_export import INPUTS, export_onnx
from lircdepth_core.network import DeploymentGraph, Student

CONVOLUTIONS = ("Conv", "ConvTranspose")
ACTIVATIONS = ("Clip", "Relu")

FLOAT_LAYERS = (
    *(f"network.encoder.base_model.{block}." for block in range(5)),
    "network.encoder_radar.conv.",
    *(f"network.encoder_radar.base_model.{block}." for block in range(8)),
    "network.decoder.scale",
    "network.decoder.get_depth.",
)
"""Beginnings of the names of weights that stay in float32, because they cost little and 8 bits do
harm: radar is nearly empty, but what there is reaches from 0 to 200 (its first convolutions alone
move depth by 66 %); the first image layers (3 %); those that answer with a depth (0.6 % each)."""


def quantise(
    graph: DeploymentGraph, examples: Iterable[tuple[np.ndarray, np.ndarray]], path: Path
) -> None:
    """Write a network as ONNX whose convolutions compute in 8-bit integers.

    Weights are symmetric per channel; activations are asymmetric, over the range that they have in
    the examples. Inputs and outputs are those of `export_onnx`, N, H and W are open.

    Args:
        graph: the network.
        examples: images (h, w, 3) uint8 and radar (4, h, w) float32, as a `Backend` takes them.
        path: of the file to make.

    Raises:
        InputError: the exporter has renamed layers that must stay in float32.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _quiet():
        in_float = Path(folder) / "float.onnx"
        export_onnx(graph, in_float, None)
        quantize_static(
            in_float,
            path,
            _Examples(examples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=[*CONVOLUTIONS, *ACTIVATIONS],
            nodes_to_exclude=_left_in_float(
                onnx.load(in_float), isinstance(graph.network, Student)
            ),
        )


def _left_in_float(model: onnx.ModelProto, is_student: bool) -> list[str]:
    """Convolutions of `FLOAT_LAYERS`, and activations that follow none that is quantised.

    Raises:
        InputError: a student's file has no weights of one of these names.
    """
    weights = [node.input[1] for node in model.graph.node if node.op_type in CONVOLUTIONS]
    for layer in FLOAT_LAYERS if is_student else ():
        if not any(name.startswith(layer) for name in weights):
            raise InputError(
                f"{layer}: no weights of this name in the exported network; take another version "
                "of torch or onnxscript"
            )
    makers = {output: node for node in model.graph.node for output in node.output}
    left: set[str] = {
        node.name
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.input[1].startswith(FLOAT_LAYERS)
    }
    for node in model.graph.node:
        if node.op_type in ACTIVATIONS:
            maker = makers.get(node.input[0])
            if maker is None or maker.op_type not in CONVOLUTIONS or maker.name in left:
                left.add(node.name)
    return sorted(left)


class _Examples(CalibrationDataReader):
    """Examples as ONNX Runtime asks for them."""

    def __init__(self, examples: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self._examples = iter(examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        example = next(self._examples, None)
        if example is None:
            return None
        return {name: values[None] for name, values in zip(INPUTS, example, strict=True)}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remark that shapes could be inferred first: the exporter has done it."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
