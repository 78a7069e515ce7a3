"""What the networks are fed."""

from __future__ import annotations

from torch import Tensor

from lircdepth_core.errors import InputError
from lircdepth_core.radar import RADAR_CHANNELS

IMAGE_MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean of RGB in 0..1, taken off the image."""

IMAGE_STD = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation of RGB in 0..1, by which the image is then divided."""

SIZE_MULTIPLE = 32
"""Height and width are multiples of this: the encoders halve them five times."""

IMAGE_CHANNELS = len(IMAGE_MEAN)


def check_inputs(image: Tensor, radar: Tensor) -> None:
    """Refuse what a network cannot take.

    Raises:
        InputError: not (N, 3, H, W) and (N, 4, H, W) of the same N, H, W, or H or W is not a
            positive multiple of 32.
    """
    for name, tensor, channels in (
        ("image", image, IMAGE_CHANNELS),
        ("radar", radar, len(RADAR_CHANNELS)),
    ):
        if tensor.dim() != 4 or tensor.shape[1] != channels:
            raise InputError(
                f"{name}: shape {tuple(tensor.shape)}, give (batch, {channels}, height, width)"
            )
    if image.shape[0] != radar.shape[0] or image.shape[2:] != radar.shape[2:]:
        raise InputError(
            f"radar: shape {tuple(radar.shape)} does not go with the image's {tuple(image.shape)}; "
            "draw the radar at the image's size"
        )
    height, width = image.shape[2:]
    if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE or not height or not width:
        raise InputError(
            f"image: {height} rows and {width} columns, pad both to multiples of {SIZE_MULTIPLE}"
        )
