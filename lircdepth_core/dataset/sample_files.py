"""One sample as files: what lies under one key in a WebDataset shard.

====================  ==============================================================
`json`                key, scene, channel, stamp, K, width, height, conditions, annotated
`image.jpg`           the camera's own file
`radar.npy`           (M, 7) float32, `RADAR_COLUMNS`
`boxes.npy`           (B, 4) float32
`single.png`          16 bit, depth x 256 truncated, 0 = none; so are the next two
`accumulated.png`     left out on request
`dense.png`           left out on request
`exact.npz`           `depth` float32, +Inf = sky; generated drives only
====================  ==============================================================
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.sample import RADAR_COLUMNS, Sample
from lircdepth_core.dataset.stored_arrays import decode_npy, decode_npz_member
from lircdepth_core.encoded_image import decode_encoded
from lircdepth_core.errors import InputError
from lircdepth_core.plain_json import parse_plain_json

SAMPLE_FORMAT = 1
"""Counts up with every change of what samples hold, so that a folder does not mix them."""

DEPTH_SCALE = 256.0
"""Stored value of one metre in the depth maps."""

_JPEG_QUALITY = 95


def shard_key(scene: str, keyframe: str, channel: str) -> str:
    """What a sample's files are called in its shard, before their extensions."""
    return f"{scene}__{keyframe}__{channel}"


def keyframe_of(key: str) -> str:
    """Scene and keyframe of a key in a shard: the same for all its cameras."""
    return key.rpartition("__")[0] or key


def encode_sample(
    sample: Sample, *, jpeg: bytes | None = None, exact: bytes | None = None
) -> dict[str, bytes]:
    """A sample's files by their extensions.

    Args:
        sample: what to store. Depth maps are truncated to 1/256 m; depths of 256 m and more do not
            fit and are stored as none.
        jpeg: the image's file; made of `sample.image` if it is not given.
        exact: the exact depth's file; made of `sample.exact`, if there is one, if not given.
    """
    record = {
        "key": sample.key,
        "scene": sample.scene,
        "channel": sample.channel,
        "stamp": sample.stamp,
        "K": sample.camera.K.tolist(),
        "width": sample.camera.width,
        "height": sample.camera.height,
        "conditions": dict(sample.conditions),
        "annotated": sample.annotated,
    }
    if jpeg is None:
        bgr = cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    files = {
        "json": json.dumps(record, sort_keys=True).encode(),
        "image.jpg": jpeg,
        "radar.npy": _npy(sample.radar.astype(np.float32)),
        "boxes.npy": _npy(sample.boxes.astype(np.float32)),
        "single.png": encode_depth(sample.single_scan),
    }
    if sample.accumulated is not None:
        files["accumulated.png"] = encode_depth(sample.accumulated)
    if sample.dense is not None:
        files["dense.png"] = encode_depth(sample.dense)
    if exact is None and sample.exact is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, depth=sample.exact.astype(np.float32))
        exact = buffer.getvalue()
    if exact is not None:
        files["exact.npz"] = exact
    return files


def decode_sample(files: Mapping[str, bytes], source: str) -> Sample:
    """The sample of its files by their extensions.

    Args:
        files: as `encode_sample` gives them; files of other extensions are ignored.
        source: where they come from, for errors.

    Raises:
        InputError: a file is missing or damaged, or a map's size is not the image's.
    """
    try:
        record = parse_plain_json(files["json"])
        _check_record(record)
        camera = Camera(np.array(record["K"]), record["width"], record["height"])
        size = (camera.height, camera.width)
        image = decode_image(files["image.jpg"])
        radar = decode_npy(files["radar.npy"]).reshape(-1, len(RADAR_COLUMNS))
        boxes = decode_npy(files["boxes.npy"]).reshape(-1, 4)
        if not np.isin(radar[:, 6], np.arange(len(boxes) + 1)).all():
            raise ValueError("radar names boxes that are not there")
        maps = {
            name: decode_depth(files[f"{name}.png"]) if f"{name}.png" in files else None
            for name in ("single", "accumulated", "dense")
        }
        exact = decode_exact(files["exact.npz"]) if "exact.npz" in files else None
        sample = Sample(
            key=record["key"],
            scene=record["scene"],
            channel=record["channel"],
            stamp=record["stamp"],
            image=image,
            camera=camera,
            radar=radar,
            single_scan=_present(maps["single"]),
            accumulated=maps["accumulated"],
            dense=maps["dense"],
            exact=exact,
            boxes=boxes,
            conditions=record["conditions"],
            annotated=record.get("annotated", True),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{source}: not a prepared sample ({error}); prepare it again") from error
    for name, values in (("image", image[..., 0]), *maps.items(), ("exact", exact)):
        if values is not None and values.shape != size:
            raise InputError(
                f"{source}: {name} is {_by(values.shape)}, the camera {_by(size)}; prepare it again"
            )
    return sample


def decode_image(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image file; ValueError if it is none."""
    return cv2.cvtColor(decode_encoded(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def encode_depth(depth: np.ndarray) -> bytes:
    """(H, W) metres as 16-bit PNG."""
    stored = (np.where(depth < 65536 / DEPTH_SCALE, depth, 0) * DEPTH_SCALE).astype(np.uint16)
    return cv2.imencode(".png", stored)[1].tobytes()


def decode_depth(data: bytes) -> np.ndarray:
    """(H, W) float32 metres of a 16-bit PNG; ValueError if it is none."""
    stored = decode_encoded(data, cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise ValueError("no 16-bit depth map")
    return stored / np.float32(DEPTH_SCALE)


def decode_exact(data: bytes) -> np.ndarray:
    """(H, W) float32 metres of a depth file of a generated drive; ValueError if it is none."""
    return decode_npz_member(data, "depth").astype(np.float32, copy=False)


_FIELDS = {"key": str, "scene": str, "channel": str, "stamp": int, "conditions": dict}


def _check_record(record: dict[str, Any]) -> None:
    """See that its fields are of the types that a `Sample` has; ValueError if not."""
    for name, kind in _FIELDS.items():
        if not isinstance(record[name], kind):
            raise ValueError(f"{name} is {record[name]!r:.80}")


def _present(values: np.ndarray | None) -> np.ndarray:
    if values is None:
        raise KeyError("single.png")
    return values


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _by(shape: Any) -> str:
    return f"{shape[1]}x{shape[0]}" if len(shape) == 2 else f"of shape {shape}"
