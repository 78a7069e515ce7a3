"""`lircdepth quantise`: give a model a form in 8-bit integers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from lircdepth_core.arguments import add_samples
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.sampled_error import (
    has_truth,
    sampled_error,
    spread_samples,
)
from lircdepth_core.inference import MAX_NETWORK_PIXELS
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import NetworkInput, StoredWeights
from lircdepth_core.inference.model_files import (
    add_int8,
    find_model,
    load_network,
    read_description,
)
from lircdepth_core.network import DeploymentGraph
from lircdepth_core.output_folder import output_folder
from lircdepth_core.quantisation.post_training import quantise
from lircdepth_core.unfinished_folder import unfinished_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth quantise`."""
    parser.epilog = (
        "int8.onnx is laid beside model.yaml, which then names it; the back ends openvino-int8 and "
        "onnxruntime-int8 run it. Of the samples every other one sets the ranges, and on the rest "
        "its error is compared with the float network's. It takes some minutes."
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a trained student")
    add_samples(parser)
    parser.add_argument(
        "--images",
        type=int,
        default=48,
        metavar="N",
        help="samples that are used, evenly spread over the data (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth quantise`; errors are raised as `InputError`."""
    if args.images < 2:
        raise InputError(f"--images {args.images}: give 2 or more")
    folder = find_model(args.model)
    description = read_description(folder)
    if description.network == "teacher" or not description.trained:
        raise InputError(f"{folder}: give the folder of a trained student")
    assert isinstance(description.weights, StoredWeights)  # as of every trained network
    with output_folder(folder):  # one of an installation, for example, cannot be written to
        Artefacts.of(description).make_folder()  # the comparison needs it
        ranges, compared = _samples(args.data, args.images)
        graph = DeploymentGraph(load_network(folder, description))
        with unfinished_folder(folder, ".quantising-") as staging:
            quantised = staging / "int8.onnx"
            _tell(f"exporting the network and quantising it on {len(ranges)} samples")
            examples = network_inputs(ranges, description.input)
            quantise(graph, examples, quantised)
            description = add_int8(folder, description, quantised)
    assert description.int8 is not None
    path = folder / description.int8.file
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, ranges of {len(ranges)} samples")
    _tell(f"comparing it on {len(compared)} samples")
    in_float, in_int8 = (
        sampled_error(folder, "cpu", backend, compared)
        for backend in ("onnxruntime", "onnxruntime-int8")
    )
    print(
        f"MAE on {len(compared)} others: {in_float.mae:.3f} m in float32, {in_int8.mae:.3f} m in 8 "
        f"bits ({100 * (in_int8.mae / in_float.mae - 1):+.2f} %)"
    )
    if description.calibration is not None:
        print(
            f"sigma holds {100 * in_float.within_sigma:.1f} % of the errors in float32, "
            f"{100 * in_int8.within_sigma:.1f} % in 8 bits"
        )
    return 0


def _samples(data: Sequence[str], images: int) -> tuple[list[Sample], list[Sample]]:
    """Those that set the ranges, and those that the two forms are compared on."""
    samples = spread_samples(data, images)
    if len(samples) < 2:
        raise InputError(f"{' '.join(data)}: one sample; give two or more")
    compared = samples[1::2]
    if not any(has_truth(sample) for sample in compared):
        raise InputError(f"{' '.join(data)}: no sample has truth; check how it was prepared")
    return samples[::2], compared


def network_inputs(
    samples: Sequence[Sample], expected: NetworkInput
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What a network is shown of samples: (h, w, 3) uint8 and (4, h, w) float32.

    Args:
        samples: with their cameras and radar.
        expected: what the network was taught with.
    """
    for sample in samples:
        framing = frame(sample.camera, expected, MAX_NETWORK_PIXELS)
        returns = sample.radar_returns().visible_in(sample.camera)
        yield framing.image(sample.image, expected.interpolation), framing.radar(returns)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
