"""`lircdepth import-weights`: a published checkpoint becomes a model folder."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import INTERPOLATIONS
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import (
    MAX_FOCAL_LENGTH,
    MAX_NAME,
    MAX_ROWS,
    Crop,
    ModelDescription,
    NetworkInput,
    StoredWeights,
)
from lircdepth_core.inference.model_files import write_model
from lircdepth_core.inference.published import PUBLISHED, load_published
from lircdepth_core.network import MAX_DEPTH, Student
from lircdepth_core.output_folder import output_folder

NUSCENES_FOCAL_LENGTH = 1266.417
"""Pixels; of nuScenes' CAM_FRONT at 1600x900, at which the published networks were trained."""


def import_weights(
    checkpoint: Path,
    folder: Path,
    kind: str,
    *,
    focal_length: float = NUSCENES_FOCAL_LENGTH,
    interpolation: str = "area",
    crop: Crop | None = None,
    half: bool = False,
) -> ModelDescription:
    """Write a model folder from a published checkpoint.

    Args:
        checkpoint: a file of `torch.save`; nothing in it is run.
        folder: the model folder to make.
        kind: `student` or `teacher`.
        focal_length: pixels at the network's input in training.
        interpolation: how other cameras' images are scaled to it.
        crop: rows that the network sees; None for all.
        half: store float16.

    Raises:
        InputError: the checkpoint is damaged or names every key that is missing, unexpected or of
            the wrong shape; or the folder exists or cannot be made.
    """
    if folder.exists():
        raise InputError(f"{folder}: exists already; give a new folder")
    with output_folder(folder.parent):
        network = load_published(checkpoint, kind)
        head_trained = isinstance(network, Student) and not network.uncertainty_head.untrained
        description = ModelDescription(
            name=folder.resolve().name,
            network=kind,
            trained=True,
            uncertainty_trained=head_trained,
            max_depth=MAX_DEPTH,
            input=NetworkInput(focal_length, interpolation, crop),
            weights=StoredWeights("", ""),
        )
        return write_model(folder, network, description, _card(checkpoint, description), half)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth import-weights`."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the published file")
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder, to be made")
    parser.add_argument("--kind", required=True, choices=PUBLISHED, help="which network it holds")
    parser.add_argument(
        "--focal-length",
        type=float,
        default=NUSCENES_FOCAL_LENGTH,
        metavar="PIXELS",
        help="focal length of the images it was trained on (default: %(default)s)",
    )
    parser.add_argument(
        "--interpolation",
        choices=INTERPOLATIONS,
        default="area",
        help="how other cameras' images are scaled to it (default: %(default)s)",
    )
    parser.add_argument(
        "--crop",
        nargs=2,
        type=int,
        metavar=("TOP", "HEIGHT"),
        help="rows that the network sees, such as 4 896 for the published evaluation "
        "(default: all rows)",
    )
    parser.add_argument(
        "--principal-point-row",
        type=float,
        metavar="ROW",
        help="where the principal point is in the images that --crop counts rows of, such as "
        "491.5 in nuScenes' CAM_FRONT: other cameras' images are then cropped so that it, and the "
        "horizon, lie alike (default: every image is cropped from TOP on)",
    )
    parser.add_argument("--half", action="store_true", help="store float16: half the size")


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth import-weights`; errors are raised as `InputError`."""
    _check(args)
    description = import_weights(
        args.checkpoint,
        args.out,
        args.kind,
        focal_length=args.focal_length,
        interpolation=args.interpolation,
        crop=_crop(args),
        half=args.half,
    )
    head = "" if description.uncertainty_trained else ", without a trained uncertainty"
    print(f"{args.out}: {args.kind} at a focal length of {args.focal_length:g} px{head}")
    return 0


def _crop(args: argparse.Namespace) -> Crop | None:
    """What the options say of the rows."""
    if args.crop is None:
        return None
    top, height = args.crop
    if args.principal_point_row is None:
        return Crop(top, height)
    return Crop(None, height, args.principal_point_row - top)


def _check(args: argparse.Namespace) -> None:
    """See that model.yaml can hold what was given."""
    if not 1 <= args.focal_length <= MAX_FOCAL_LENGTH:
        raise InputError(
            f"--focal-length {args.focal_length:g}: give 1 to {MAX_FOCAL_LENGTH:.0f} pixels"
        )
    top, height = args.crop or (0, 1)
    if not (0 <= top <= MAX_ROWS and 1 <= height <= MAX_ROWS):
        raise InputError(
            f"--crop {top} {height}: give a TOP of 0 to {MAX_ROWS} and a HEIGHT of 1 to {MAX_ROWS}"
        )
    row = args.principal_point_row
    if row is not None and args.crop is None:
        raise InputError("--principal-point-row: says where a crop lies; give --crop too")
    if row is not None and not top <= row <= top + height:
        raise InputError(
            f"--principal-point-row {row:g}: lies outside of --crop {top} {height}; give "
            f"{top} to {top + height}"
        )
    name = args.out.resolve().name
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise InputError(
            f"OUT {args.out}: the folder's name is the model's; give a printable one of 1 to "
            f"{MAX_NAME} characters"
        )


def _card(checkpoint: Path, description: ModelDescription) -> str:
    """The README.md of an imported model."""
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    network_input = description.input
    head = "trained" if description.uncertainty_trained else "**not trained**: it means nothing"
    return f"""# {description.name}

Imported from the published checkpoint `{checkpoint.name}` (SHA-256 `{digest}`).
Its authors' licence and terms apply.

| | |
|---|---|
| network | {description.network} |
| input | focal length {network_input.focal_length:g} px, scaled by {network_input.interpolation} |
| depth | as published, up to {description.max_depth:g} m |
| uncertainty head | {head} |
| σ | not calibrated: NaN |

{_size_at_nuscenes(network_input)}With a lower `max_network_pixels` the focal length is reduced,
which the predictions' notes report.
"""


def _size_at_nuscenes(network_input: NetworkInput) -> str:
    """Of the network's input for nuScenes' images, in words; empty for a crop of other images."""
    K = [[NUSCENES_FOCAL_LENGTH, 0, 799.5], [0, NUSCENES_FOCAL_LENGTH, 449.5], [0, 0, 1]]
    try:
        framing = frame(Camera(np.array(K), 1600, 900), network_input, 10**9)
    except InputError:
        return ""
    width, height = framing.network_size
    return f"Of nuScenes' 1600×900 the network sees {width}×{height} = {width * height:,} pixels.\n"
