"""One scene of a nuScenes data set as shards of samples: a pure function, for any engine."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from lircdepth_core.dataset.data_files import file_size, reading_files
from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.sample_files import SAMPLE_FORMAT, shard_key
from lircdepth_core.dataset.sample_maker import SampleMaker, exact_file
from lircdepth_core.dataset.scene_tables import Scene
from lircdepth_core.dataset.shard_writer import ShardWriter
from lircdepth_core.dataset.static_lidar import mask_file
from lircdepth_core.errors import InputError
from lircdepth_core.plain_json import parse_plain_json
from lircdepth_core.result_files import write_atomically


def prepare_scene(dataroot: Path, scene: Scene, out: Path, options: PrepareOptions) -> None:
    """Write the shards of one scene, one per camera, and then its record.

    A shard appears under its name when it is complete, the record (`<scene>.json`) after the last
    shard. `prepared` tells from it whether a scene is done. A scene without samples has no shards.

    Args:
        dataroot: root of the data set.
        scene: its tables.
        out: folder of the shards, there already.
        options: what to make.

    Raises:
        InputError: a file is missing or damaged, or an image has not the size of the tables.
    """
    samples = SampleMaker(dataroot, scene, options)
    frames = scene.key_frames if options.keep_last else scene.key_frames[:-1]
    shards = {
        camera: ShardWriter(out / f"{scene.name}-{camera}.tar")
        for camera in (options.cameras if frames else ())
    }
    try:
        for frame in frames:
            for camera, shard in shards.items():
                shard.add(shard_key(scene.name, frame.token, camera), samples.files(frame, camera))
        record = {
            "scene": scene.name,
            "fingerprint": fingerprint(dataroot, scene, options),
            "options": options.record(),
            "conditions": dict(scene.conditions),
            "annotated": scene.annotated,
            "shards": [
                shard.finish() | {"scene": scene.name, "channel": camera}
                for camera, shard in shards.items()
            ],
        }
    finally:
        for shard in shards.values():
            shard.abandon()
    write_atomically(out / f"{scene.name}.json", json.dumps(record, indent=1, sort_keys=True))


def prepared(dataroot: Path, scene: Scene, out: Path, options: PrepareOptions) -> bool:
    """Whether `prepare_scene` has already completed with this data and these options.

    Raises:
        InputError: a scene of this name is there, but of other data; or a file cannot be looked at.
    """
    path = out / f"{scene.name}.json"
    if not path.is_file():
        return False
    record = read_record(path)
    if record["fingerprint"] != fingerprint(dataroot, scene, options):
        raise InputError(
            f"{path}: made of other data, which stays; choose another folder or remove this file"
        )
    files = [(out / shard["file"], shard["bytes"]) for shard in record["shards"]]
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def fingerprint(dataroot: Path, scene: Scene, options: PrepareOptions) -> str:
    """SHA-256 over all that samples are made of: tables, and names and sizes of files.

    Of numbers, six decimals count, so that it does not depend on the processor.

    Raises:
        InputError: a file cannot be looked at.
    """
    # Sweeps that are not merged are not read: they may be unpacked later, or removed.
    merged = options.sweeps > 0 and not {"accumulated", "dense"} <= set(options.leave_out)
    rows = list(scene.lidar) if merged else []
    for frame in scene.key_frames:
        rows += frame.measurements.values()
    files = [dataroot / row.file for row in rows]
    files += [exact_file(dataroot, row) for row in rows if row.camera is not None]
    if options.masks:
        files += [
            mask_file(options.masks, channel, row)
            for channel, images in scene.images.items()
            for row in images
        ]
    with reading_files():
        sizes = sorted({os.path.relpath(path, dataroot): file_size(path) for path in files}.items())
    text = json.dumps([SAMPLE_FORMAT, scene, sizes], default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(path: Path) -> dict[str, Any]:
    """A scene's record.

    Raises:
        InputError: it is none.
    """
    try:
        record = parse_plain_json(path.read_bytes())
        whole = {"fingerprint", "options", "conditions", "annotated"} <= record.keys()
        if whole and isinstance(record["scene"], str) and all(map(_is_shard, record["shards"])):
            return record
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a scene's record; remove it") from error
    raise InputError(f"{path}: not a scene's record; remove it")


def _is_shard(entry: dict[str, Any]) -> bool:
    """Whether an entry of a record's shards is one."""
    numbers = (entry["bytes"], entry["samples"])
    return isinstance(entry["file"], str) and all(isinstance(number, int) for number in numbers)


def _plain(value: Any) -> Any:
    """What JSON does not know, as something that it knows."""
    if not isinstance(value, np.ndarray):
        return vars(value)
    if value.dtype.kind != "f":
        return value.tolist()
    return (np.round(value, 6) + 0.0).tolist()  # no -0.0
