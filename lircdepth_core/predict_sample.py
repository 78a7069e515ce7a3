"""`lircdepth predict`: depth and uncertainty for one sample of a nuScenes data set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.data_files import read_image, read_returns
from lircdepth_core.dataset.devkit import open_dataset, reading_tables
from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.scene_tables import key_row, measurement
from lircdepth_core.errors import InputError
from lircdepth_core.inference import MAX_NETWORK_PIXELS, Prediction, Predictor
from lircdepth_core.inference.backends import BACKENDS
from lircdepth_core.inference.calibration import SIGMA_SHARE
from lircdepth_core.inference.depth_png import DEPTH_SCALE, write_depth_png
from lircdepth_core.inference.picture import side_by_side
from lircdepth_core.output_folder import output_folder
from lircdepth_core.poses import inverse_pose
from lircdepth_core.radar import RadarReturns
from lircdepth_core.result_files import write_atomically

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes


@dataclass(frozen=True, eq=False)
class Frame:
    """A camera's image of one sample, and the radar moved to it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        camera: its camera.
        channels: the radars.
        radar: returns in the camera's optical frame at the image's stamp.
        stamp: the image's stamp in microseconds, as nuScenes counts.
    """

    image: np.ndarray
    camera: Camera
    channels: tuple[str, ...]
    radar: RadarReturns
    stamp: int


def read_frame(
    nusc: NuScenes,
    sample_token: str,
    camera_channel: str,
    radar_channels: Sequence[str] | None,
    filtered: bool,
) -> Frame:
    """Read an image and the returns of its sample's radars.

    Returns go sensor -> ego at the radar's stamp -> global -> ego at the image's stamp -> camera.

    Args:
        nusc: the data set.
        sample_token: which sample.
        camera_channel: such as `CAM_FRONT`.
        radar_channels: such as `RADAR_FRONT`; None: those that look where the camera looks.
        filtered: keep only what the devkit's default filters keep.

    Raises:
        InputError: there is no such sample or sensor, a radar is given twice, the tables or a file
            are damaged, a file is missing, or the image has not the size of the tables.
        OSError: a file cannot be read.
    """
    given = PrepareOptions(radars=None if radar_channels is None else tuple(radar_channels))
    try:
        sample = nusc.get("sample", sample_token)
    except KeyError:
        known = nusc.sample[0]["token"] if nusc.sample else "none"
        raise InputError(
            f"{nusc.dataroot}: no sample {sample_token}; the first one is {known}"
        ) from None
    with reading_tables(nusc):
        image_row = measurement(nusc, key_row(nusc, sample, camera_channel))
        if image_row.camera is None:
            raise InputError(f"--camera {camera_channel}: not a camera; give CAM_FRONT or another")
        radar_rows = []
        for channel in (channels := given.radars_of(camera_channel)):
            row = key_row(nusc, sample, channel)
            if row["sensor_modality"] != "radar":
                raise InputError(f"--radar {channel}: not a radar; give RADAR_FRONT or another")
            radar_rows.append(measurement(nusc, row))
    dataroot = Path(nusc.dataroot)
    camera_from_global = inverse_pose(image_row.global_from_sensor)
    radar = [
        read_returns(
            dataroot / row.file,
            camera_from_global @ row.global_from_sensor,
            row.stamp * 1e-6,
            filtered,
        )
        for row in radar_rows
    ]
    _, image = read_image(dataroot / image_row.file, image_row.camera)
    returns = RadarReturns.concatenate(radar)
    return Frame(image, image_row.camera, channels, returns, image_row.stamp)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth predict`."""
    parser.add_argument(
        "dataroot", type=Path, metavar="DATAROOT", help="root of a nuScenes data set"
    )
    parser.add_argument("--sample", required=True, metavar="TOKEN", help="token of the sample")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for TOKEN-CAMERA-depth.png and -sigma.png (16 bit, metres × 256, 0 = none), "
        "-picture.png and .json",
    )
    parser.add_argument("--version", help="such as v1.0-mini; needed only if there are several")
    parser.add_argument(
        "--model", default="lircdepth", help="model folder or name (default: %(default)s)"
    )
    parser.add_argument(
        "--camera", default="CAM_FRONT", metavar="CHANNEL", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--radar",
        nargs="*",
        metavar="CHANNEL",
        help="radars that look where the camera looks; none for camera only (default: those that "
        "prepare takes for the camera)",
    )
    parser.add_argument(
        "--radar-filters",
        action="store_true",
        help="keep only what the devkit's default filters keep (default: all returns, as in the "
        "published training)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument(
        "--backend",
        default="torch",
        help="what runs the network: auto (the fastest, tried once), "
        f"{', '.join(BACKENDS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--max-network-pixels",
        type=int,
        default=MAX_NETWORK_PIXELS,
        metavar="N",
        help="shrink larger images further than the model asks (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth predict`; errors are raised as `InputError`."""
    with output_folder(args.out):
        return _predict(args)


def _predict(args: argparse.Namespace) -> int:
    """Predict and write into the folder, which is there."""
    predictor = Predictor.load(
        args.model,
        device=args.device,
        backend=args.backend,
        max_network_pixels=args.max_network_pixels,
        report=partial(print, file=sys.stderr),
    )
    print(f"model: {predictor.description}", file=sys.stderr)
    print(f"reading {args.dataroot}", file=sys.stderr)
    nusc = open_dataset(args.dataroot, args.version)
    frame = read_frame(nusc, args.sample, args.camera, args.radar, args.radar_filters)
    prediction = predictor(frame.image, frame.camera, frame.radar)
    for note in prediction.notes:
        print(f"note: {note}", file=sys.stderr)

    stem = f"{args.sample}-{args.camera}"
    depth, sigma = args.out / f"{stem}-depth.png", args.out / f"{stem}-sigma.png"
    write_depth_png(depth, prediction.depth)
    write_depth_png(sigma, prediction.sigma)
    visible = frame.radar.visible_in(frame.camera)
    picture = side_by_side(frame.image, visible, prediction, predictor.model)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    (args.out / f"{stem}-picture.png").write_bytes(encoded.tobytes())
    record = {
        "sample": args.sample,
        "camera": args.camera,
        "image_stamp_microseconds": frame.stamp,
        "radar": list(frame.channels),
        "radar_filters": args.radar_filters,
        "radar_returns": len(frame.radar),
        **_record(predictor, prediction, depth.name, sigma.name),
    }
    write_atomically(args.out / f"{stem}.json", json.dumps(record, indent=2))
    print(f"{args.out / stem}-picture.png, -depth.png, -sigma.png, .json")
    return 0


def _record(
    predictor: Predictor, prediction: Prediction, depth_file: str, sigma_file: str
) -> dict[str, Any]:
    """What a reader of the maps has to know, for JSON."""
    model = predictor.model
    stored = {"values_per_metre": DEPTH_SCALE, "none": 0}
    return {
        "depth": {"file": depth_file, **stored},
        "sigma": {"file": sigma_file, **stored, "share_of_errors": SIGMA_SHARE},
        "model": model.name,
        "network": model.network,
        "trained": model.trained,
        "uncertainty_trained": model.uncertainty_trained,
        "calibrated": model.calibration is not None,
        "device": predictor.device,
        "backend": predictor.backend,
        "radar_points_in_image": prediction.radar_points,
        "notes": list(prediction.notes),
        "stage_seconds": {
            stage: round(seconds, 4) for stage, seconds in prediction.stage_seconds.items()
        },
    }
