"""`lircdepth predict`: depth and uncertainty for one sample of a nuScenes data set."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.devkit import open_dataset, read_radar
from lircdepth_core.errors import InputError
from lircdepth_core.inference import Prediction, Predictor
from lircdepth_core.inference.calibration import SIGMA_SHARE
from lircdepth_core.inference.depth_png import DEPTH_SCALE, write_depth_png
from lircdepth_core.inference.picture import side_by_side
from lircdepth_core.radar import RadarReturns

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes


@dataclass(frozen=True, eq=False)
class Frame:
    """A camera's image of one sample, and the radar moved to it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        camera: its camera.
        radar: returns in the camera's optical frame at the image's stamp.
        stamp: the image's stamp in microseconds, as nuScenes counts.
    """

    image: np.ndarray
    camera: Camera
    radar: RadarReturns
    stamp: int


def read_frame(
    nusc: NuScenes,
    sample_token: str,
    camera_channel: str,
    radar_channels: list[str],
    filtered: bool,
) -> Frame:
    """Read an image and the returns of its sample's radars.

    Returns go sensor -> ego at the radar's stamp -> global -> ego at the image's stamp -> camera.

    Args:
        nusc: the data set.
        sample_token: which sample.
        camera_channel: such as `CAM_FRONT`.
        radar_channels: such as `RADAR_FRONT`.
        filtered: keep only what the devkit's default filters keep.

    Raises:
        InputError: there is no such sample or sensor, or a file is damaged.
        OSError: a file cannot be read.
    """
    try:
        sample = nusc.get("sample", sample_token)
    except KeyError:
        known = nusc.sample[0]["token"] if nusc.sample else "none"
        raise InputError(
            f"{nusc.dataroot}: no sample {sample_token}; the first one is {known}"
        ) from None
    camera_row = _sensor_row(nusc, sample, camera_channel)
    path = Path(nusc.get_sample_data_path(camera_row["token"]))
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
    if image is None:
        raise InputError(f"{path}: not an image; download it again")
    calibration = nusc.get("calibrated_sensor", camera_row["calibrated_sensor_token"])
    camera = Camera(np.array(calibration["camera_intrinsic"]), image.shape[1], image.shape[0])
    camera_from_global = np.linalg.inv(_global_from_sensor(nusc, camera_row))
    radar = [
        _read_returns(nusc, _sensor_row(nusc, sample, channel), camera_from_global, filtered)
        for channel in radar_channels
    ]
    return Frame(
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
        camera,
        RadarReturns.concatenate(radar),
        camera_row["timestamp"],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth predict`."""
    parser.add_argument(
        "dataroot", type=Path, metavar="DATAROOT", help="root of a nuScenes data set"
    )
    parser.add_argument("--sample", required=True, metavar="TOKEN", help="token of the sample")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results")
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
        default=["RADAR_FRONT"],
        metavar="CHANNEL",
        help="radars that look where the camera looks; none for camera only (default: RADAR_FRONT)",
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
        "--max-network-pixels",
        type=int,
        default=1_000_000,
        metavar="N",
        help="shrink larger images further than the model asks (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth predict`; errors are raised as `InputError`."""
    predictor = Predictor.load(
        args.model, device=args.device, max_network_pixels=args.max_network_pixels
    )
    print(f"model: {predictor.description}", file=sys.stderr)
    print(f"reading {args.dataroot}", file=sys.stderr)
    nusc = open_dataset(args.dataroot, args.version)
    frame = read_frame(nusc, args.sample, args.camera, args.radar, args.radar_filters)
    prediction = predictor(frame.image, frame.camera, frame.radar)
    for note in prediction.notes:
        print(f"note: {note}", file=sys.stderr)

    args.out.mkdir(parents=True, exist_ok=True)
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
        "radar": args.radar,
        "radar_filters": args.radar_filters,
        "radar_returns": len(frame.radar),
        **_record(predictor, prediction, depth.name, sigma.name),
    }
    (args.out / f"{stem}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
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


def _sensor_row(nusc: NuScenes, sample: dict[str, Any], channel: str) -> dict[str, Any]:
    """The sample_data row of a sensor's key frame."""
    if channel not in sample["data"]:
        raise InputError(
            f"sample {sample['token']}: no sensor {channel}; it has "
            f"{', '.join(sorted(sample['data']))}"
        )
    return nusc.get("sample_data", sample["data"][channel])


def _read_returns(
    nusc: NuScenes, row: dict[str, Any], camera_from_global: np.ndarray, filtered: bool
) -> RadarReturns:
    """A radar sweep in the camera's frame at the image's stamp."""
    if row["sensor_modality"] != "radar":
        raise InputError(f"--radar {row['channel']}: not a radar; give RADAR_FRONT or another")
    returns = read_radar(Path(nusc.get_sample_data_path(row["token"])))
    if filtered:
        # nuScenes-devkit, RadarPointCloud.default_filters.
        returns = returns[
            (returns["invalid_state"] == 0)
            & (returns["dyn_prop"] >= 0)
            & (returns["dyn_prop"] <= 6)
            & (returns["ambig_state"] == 3)
        ]
    return RadarReturns.from_sensor(
        np.stack([returns["x"], returns["y"], returns["z"]], axis=1),
        returns["rcs"],
        np.stack([returns["vx"], returns["vy"]], axis=1),
        camera_from_global @ _global_from_sensor(nusc, row),
        row["timestamp"] * 1e-6,
    )


def _global_from_sensor(nusc: NuScenes, row: dict[str, Any]) -> np.ndarray:
    """(4, 4) pose of a sensor in the global frame at its own stamp."""
    from nuscenes.utils.geometry_utils import transform_matrix
    from pyquaternion import Quaternion

    pose = np.eye(4)
    for table in ("ego_pose", "calibrated_sensor"):
        step = nusc.get(table, row[f"{table}_token"])
        pose = pose @ transform_matrix(step["translation"], Quaternion(step["rotation"]))
    return pose
