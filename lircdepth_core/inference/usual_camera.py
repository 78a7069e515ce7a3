"""The camera that a model is taken to see before any image has come."""

from __future__ import annotations

import math

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import NetworkInput
from lircdepth_core.network import SIZE_MULTIPLE

USUAL_SIZE, USUAL_FOCAL_LENGTH = (1600, 900), 1266.417
"""Of nuScenes' front camera, pixels."""

_LARGEST_TRIAL = 704, 384
_LARGEST_TRIAL_PIXELS = 704 * 416
"""Before a crop: nuScenes' front camera at 704 columns has 396 rows, which are padded."""


def usual_camera(
    seen: NetworkInput, max_pixels: int, size: tuple[int, int] | None = None
) -> Camera:
    """One whose images are at the model's focal length.

    Where the model's crop begins below such an image, it is a higher one of as many pixels.

    Args:
        seen: focal length and crop from model.yaml.
        max_pixels: bound on width x height if no size is given, pixels.
        size: width and height, pixels; None: of the field of view of nuScenes' front camera.
    """
    focal = seen.focal_length
    if size is None:
        # No larger than the network may see, whatever the model's focal length.
        largest = math.sqrt(max_pixels / (USUAL_SIZE[0] * USUAL_SIZE[1]))
        scale = min(focal / USUAL_FOCAL_LENGTH, largest)
        width, height = (max(round(side * scale), 1) for side in USUAL_SIZE)
        focal = scale * USUAL_FOCAL_LENGTH
    else:
        width, height = size
    crop, pixels = seen.crop, width * height
    top = 0 if crop is None or crop.top is None else crop.top
    if crop is not None and height < top + min(crop.height, SIZE_MULTIPLE):
        height = top + min(crop.height, height)
        width = max(pixels // height, 1)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K, width, height)


def trial_size(seen: NetworkInput, max_pixels: int) -> tuple[int, int]:
    """Width and height in pixels of the network's input that back ends are tried with.

    That of the usual camera, so that what is built for the trial serves the first images too, but
    hardly larger than 704x384: at the 1600x896 of a published checkpoint it would take minutes.

    Args:
        seen: focal length and crop from model.yaml.
        max_pixels: bound on the network's input, pixels.
    """
    largest = min(max_pixels, _LARGEST_TRIAL_PIXELS)
    try:
        return frame(usual_camera(seen, max_pixels), seen, largest).network_size
    except InputError:  # the crop lies so far below that no camera can be meant
        return _LARGEST_TRIAL
