"""`lircdepth export`: a model as an ONNX file, for programs without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from lircdepth_core.arguments import image_size
from lircdepth_core.errors import InputError
from lircdepth_core.inference.model_description import format_description
from lircdepth_core.inference.model_files import find_model, load_network, read_description
from lircdepth_core.inference.onnx_export import INPUTS, LARGEST_SIDE, OUTPUTS, export_onnx
from lircdepth_core.network import SIZE_MULTIPLE, DeploymentGraph
from lircdepth_core.output_folder import output_folder
from lircdepth_core.radar import RADAR_CHANNELS
from lircdepth_core.unfinished_folder import unfinished_folder

LARGEST_DIFFERENCE = 1e-4
"""Of depth, relative to torch's, and of uncertainty."""

_OPEN_SIZES = ((64, 96), (96, 64))


def export_model(model: str | Path, path: Path, size: tuple[int, int] | None = None) -> float:
    """Write a model's network as ONNX, once ONNX Runtime has given torch's answers with it.

    Inputs and outputs are described in `export_onnx`. The file's metadata hold model.yaml, which
    says how an image has to be scaled and how uncertainty becomes sigma.

    Args:
        model: folder or name, see `find_model`.
        path: of the file to make.
        size: width and height; None leaves them open.

    Returns:
        The largest difference from torch: of depth, relative, or of uncertainty.

    Raises:
        InputError: the model cannot be read, the file exists or cannot be made, the size is none,
            or ONNX Runtime answers differently.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; give a new file")
    if size is not None and any(
        side % SIZE_MULTIPLE or not 1 <= side <= LARGEST_SIDE for side in size
    ):
        raise InputError(
            f"size {size[0]}x{size[1]}: give multiples of {SIZE_MULTIPLE} up to {LARGEST_SIDE}, "
            "such as 704x384"
        )
    folder = find_model(model)
    description = read_description(folder)
    graph = DeploymentGraph(load_network(folder, description))
    with output_folder(path.parent), unfinished_folder(path.parent, ".exporting-") as staging:
        staged = staging / path.name
        fixed = None if size is None else (size[1], size[0])
        export_onnx(graph, staged, fixed, {"model.yaml": format_description(description)})
        # NumPy's maximum of NaN is NaN.
        difference = float(
            np.max(
                [
                    _difference(staged, graph, rows, columns)
                    for rows, columns in ([fixed] if fixed else _OPEN_SIZES)
                ]
            )
        )
        if not difference <= LARGEST_DIFFERENCE:
            raise InputError(
                f"{path}: not written, ONNX Runtime's answer is {difference:.1e} off torch's; "
                "try another version of onnxruntime, onnxscript or torch"
            )
        staged.rename(path)
    return difference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth export`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = """Write a model's network as an ONNX file (opset 20, float32).

Inputs   image        (N, H, W, 3) uint8 RGB at the model's focal length, H and W multiples of 32
         radar        (N, 4, H, W) float32: depth m, RCS dBsm, vx, vy m/s; 0 where no return
Outputs  depth        (N, H, W) float32 metres along the optical axis
         uncertainty  (N, H, W) float32 0..1
The file's metadata hold model.yaml: focal length, and calibration that makes sigma of them.
It is written once ONNX Runtime has given torch's answers with it."""
    parser.add_argument("model", metavar="MODEL", help="model folder or name")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to make, such as network.onnx")
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="WIDTHxHEIGHT",
        help="fix the size, with N = 1: some runtimes are faster then (default: N, H, W are open)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth export`; errors are raised as `InputError`."""
    difference = export_model(args.model, args.out, args.size)
    print(
        f"{args.out}: {' and '.join(INPUTS)} to {' and '.join(OUTPUTS)}, "
        f"{args.out.stat().st_size / 1e6:.0f} MB, within {difference:.0e} of torch"
    )
    return 0


def _difference(path: Path, graph: DeploymentGraph, rows: int, columns: int) -> float:
    """How far ONNX Runtime's answer is from torch's for an image of noise and a few returns."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, rows, columns, 3), np.uint8)
    radar = np.zeros((1, len(RADAR_CHANNELS), rows, columns), np.float32)
    radar[:, :, rng.integers(0, rows, 30), rng.integers(0, columns, 30)] = 20
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    depth, uncertainty = session.run(list(OUTPUTS), {"image": image, "radar": radar})
    with torch.inference_mode():
        expected = graph(torch.from_numpy(image), torch.from_numpy(radar))
    of_depth = np.abs(depth / expected.depth.numpy() - 1).max()
    wanted = expected.uncertainty.numpy()
    if np.isnan(wanted).all() and np.isnan(uncertainty).all():  # a teacher has none
        return float(of_depth)
    return float(np.maximum(of_depth, np.abs(uncertainty - wanted).max()))
