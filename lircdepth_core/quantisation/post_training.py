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
from torch import nn

from lircdepth_core.errors import InputError
from lircdepth_core.inference.onnx_export import INPUTS, export_onnx
from lircdepth_core.network import DeploymentGraph, SmallStudent, Student

CONVOLUTIONS = ("Conv", "ConvTranspose")
ACTIVATIONS = ("Clip", "Relu")

_FIRST_IMAGE_LAYERS = tuple(f"network.encoder.base_model.{block}." for block in range(5))
_DEPTH_LAYERS = ("network.decoder.scale", "network.decoder.get_depth.")

FLOAT_LAYERS: dict[type[nn.Module], tuple[str, ...]] = {
    Student: (
        *_FIRST_IMAGE_LAYERS,
        "network.encoder_radar.conv.",
        *(f"network.encoder_radar.base_model.{block}." for block in range(8)),
        *_DEPTH_LAYERS,
    ),
    SmallStudent: (
        *_FIRST_IMAGE_LAYERS,
        "network.encoder_radar.",
        "network.decoder.up3.",
        *_DEPTH_LAYERS,
    ),
}
"""By network, beginnings of the names of weights that stay in float32, because they cost little
and 8 bits do harm: radar is nearly empty, but what there is reaches from 0 to 200 (the student's
first radar convolutions alone move depth by 66 %); the first image layers (3 %); those that answer
with a depth (0.6 % each); the small student's way up to 1/4, with which sigma held 64 % of the
errors from 5 to 10 m, without it 73 % as in float32; and what brings its radar features to the
image's widths, which moves the depth of one trained at 704x384 by 27 %, and saves no time."""


def quantise(
    graph: DeploymentGraph, examples: Iterable[tuple[np.ndarray, np.ndarray]], path: Path
) -> None:
    """Write a network as ONNX whose convolutions compute in 8-bit integers.

    Weights are symmetric per channel, of 7 bits: processors without VNNI add two products of 8 bits
    in 16, which overflow. Activations are asymmetric, of 8 bits, over the range that they have in
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
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=[*CONVOLUTIONS, *ACTIVATIONS],
            nodes_to_exclude=_left_in_float(
                onnx.load(in_float), FLOAT_LAYERS.get(type(graph.network), ())
            ),
        )


def _left_in_float(model: onnx.ModelProto, layers: tuple[str, ...]) -> list[str]:
    """Convolutions of these layers, and activations that follow none that is quantised.

    Raises:
        InputError: the file has no weights of one of these names.
    """
    weights = [node.input[1] for node in model.graph.node if node.op_type in CONVOLUTIONS]
    for layer in layers:
        if not any(name.startswith(layer) for name in weights):
            raise InputError(
                f"{layer}: no weights of this name in the exported network; take another version "
                "of torch or onnxscript"
            )
    makers = {output: node for node in model.graph.node for output in node.output}
    left: set[str] = {
        node.name
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.input[1].startswith(layers)
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
