"""A model at another input size than it was taught with, to measure what that costs."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from lircdepth_core.inference.model_files import find_model, read_description, write_description


def scaled_copy(model: str, focal_length: float, folder: Path) -> str:
    """A copy of a model whose network sees images at another focal length, for its speed alone.

    Args:
        model: folder or name.
        focal_length: pixels; a crop grows with it.
        folder: becomes the copy.

    Returns:
        The folder. What it answers is wrong by the ratio of the focal lengths.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(find_model(model), folder)
    description = read_description(folder)
    seen, crop = description.input, description.input.crop
    ratio = focal_length / seen.focal_length
    if crop is not None:
        crop = dataclasses.replace(
            crop,
            height=round(crop.height * ratio),
            top=None if crop.top is None else round(crop.top * ratio),
            principal_row=None if crop.principal_row is None else crop.principal_row * ratio,
        )
    seen = dataclasses.replace(seen, focal_length=focal_length, crop=crop)
    write_description(folder, dataclasses.replace(description, input=seen))
    return str(folder)
