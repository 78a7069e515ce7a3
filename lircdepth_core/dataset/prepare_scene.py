"""One scene of a nuScenes data set as shards of samples: a pure function, for any engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.sample_maker import SampleMaker
from lircdepth_core.dataset.scene_tables import Scene
from lircdepth_core.dataset.shard_writer import ShardWriter, write_atomically
from lircdepth_core.errors import InputError


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
                shard.add(f"{scene.name}__{frame.token}__{camera}", samples.files(frame, camera))
        record = {
            "scene": scene.name,
            "fingerprint": scene.fingerprint(dataroot),
            "options": options.record(),
            "conditions": dict(scene.conditions),
            "shards": [
                shard.finish() | {"scene": scene.name, "channel": camera}
                for camera, shard in shards.items()
            ],
        }
    finally:
        for shard in shards.values():
            shard.abandon()
    write_atomically(out / f"{scene.name}.json", json.dumps(record, indent=1, sort_keys=True))


def prepared(dataroot: Path, scene: Scene, out: Path) -> bool:
    """Whether `prepare_scene` has already completed with this data.

    Raises:
        InputError: a scene of this name is there, but of other data.
    """
    path = out / f"{scene.name}.json"
    if not path.is_file():
        return False
    record = read_record(path)
    if record["fingerprint"] != scene.fingerprint(dataroot):
        raise InputError(f"{out}: {scene.name} is of other data; choose another folder")
    files = [(out / shard["file"], shard["bytes"]) for shard in record["shards"]]
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def read_record(path: Path) -> dict[str, Any]:
    """A scene's record.

    Raises:
        InputError: it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if {"scene", "fingerprint", "options", "shards"} <= record.keys():
            return record
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a scene's record; remove it") from error
    raise InputError(f"{path}: not a scene's record; remove it")
