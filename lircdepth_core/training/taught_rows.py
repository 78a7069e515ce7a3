"""The rows of a camera's image that a network has learned to see."""

from __future__ import annotations

from itertools import islice

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.augmentation import InputSpec, scaled_camera
from lircdepth_core.dataset.sample_files import decode_sample
from lircdepth_core.dataset.shards import Source, find_shards, read_shard
from lircdepth_core.errors import InputError
from lircdepth_core.inference.model_description import Crop
from lircdepth_core.network import SIZE_MULTIPLE

MAX_SHARDS = 64
"""Of which a sample is looked at, evenly spread; a shard is of one camera."""


def taught_rows(source: Source, spec: InputSpec) -> Crop:
    """The crop to give a model that learned from crops of a data set, wherever they lay.

    Without one, rows that no image had in training are padded to a multiple of 32. It has as many
    rows as the lowest image that was looked at, but whole multiples of 32, and the principal point
    where it is in the middle of those images.

    Args:
        source: of the samples that were learned from.
        spec: how they were scaled.

    Raises:
        InputError: a sample cannot be read, or there is none.
    """
    cameras = _cameras(source, spec)
    lowest = min(cameras, key=lambda camera: camera.height)
    rows = lowest.height - lowest.height % SIZE_MULTIPLE
    principal_rows = [camera.K[1, 2] - (camera.height - rows) / 2 for camera in cameras]
    principal_row = round(float(np.mean(principal_rows)), 2)
    if not 0 <= principal_row <= rows:  # of images that were cut out of others
        return Crop((lowest.height - rows) // 2, rows)
    return Crop(None, rows, principal_row)


def _cameras(source: Source, spec: InputSpec) -> list[Camera]:
    """Of the first samples of some shards, as they were scaled."""
    shards = find_shards(source)
    chosen = np.linspace(0, len(shards) - 1, min(len(shards), MAX_SHARDS)).round().astype(int)
    cameras = []
    for shard in (shards[number] for number in chosen):
        for key, files in islice(read_shard(shard), 1):
            sample = decode_sample(files, f"{shard.location}: {key}")
            cameras.append(scaled_camera(sample.camera, spec))
    if not cameras:
        raise InputError(f"{shards[0].location}: no samples; prepare the data again")
    return cameras
