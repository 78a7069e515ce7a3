"""From a prepared sample to what a network is taught with: scaled, cropped, flipped, recoloured.

Each step moves the image, K, radar, boxes and every depth map together. Metres stay metres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import INTERPOLATIONS, scaled_image
from lircdepth_core.network import SIZE_MULTIPLE

FLIP_SHARE = 0.5
COLOUR_SHARE = 0.5
COLOUR_RANGE = 0.1
"""Gamma, brightness and the three colours each change by up to 10 %, each with probability 0.5."""


@dataclass(frozen=True)
class InputSpec:
    """The size at which a network is taught.

    Attributes:
        height: rows of the crop, a multiple of 32.
        width: columns of the crop, a multiple of 32.
        focal_length: pixels in x and y to which a sample is scaled before it is cropped; None
            leaves it as it is.
        interpolation: how images are scaled, one of `INTERPOLATIONS`.

    Raises:
        InputError: a value is out of range.
    """

    height: int = 352
    width: int = 704
    focal_length: float | None = None
    interpolation: str = "area"

    def __post_init__(self) -> None:
        if (
            min(self.height, self.width) < 1
            or self.height % SIZE_MULTIPLE
            or (self.width % SIZE_MULTIPLE)
        ):
            raise InputError(
                f"crop {self.width}x{self.height}: give positive multiples of {SIZE_MULTIPLE}"
            )
        if self.focal_length is not None and not self.focal_length > 0:
            raise InputError(f"focal length {self.focal_length}: give a positive number of pixels")
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"interpolation {self.interpolation}: choose from {', '.join(INTERPOLATIONS)}"
            )


def augmented(sample: Sample, spec: InputSpec, rng: np.random.Generator) -> Sample:
    """A sample as the recipe wants it: a random crop, flipped at 0.5, its colours changed.

    Raises:
        InputError: the sample is smaller than the crop.
    """
    sample = scaled(sample, spec)
    left_most, top_most = _room(sample, spec)
    if rng.random() < FLIP_SHARE:
        sample = flipped(sample)
    left, top = int(rng.integers(left_most + 1)), int(rng.integers(top_most + 1))
    sample = cropped(sample, left, top, spec.width, spec.height)
    low, high = 1 - COLOUR_RANGE, 1 + COLOUR_RANGE
    gamma, brightness = rng.uniform(low, high, 2)
    colour = rng.uniform(low, high, 3)
    use_gamma, use_brightness, use_colour = rng.random(3) < COLOUR_SHARE
    image = recoloured(
        sample.image,
        gamma if use_gamma else 1.0,
        (brightness if use_brightness else 1.0) * (colour if use_colour else np.ones(3)),
    )
    return replace(sample, image=image)


def centred(sample: Sample, spec: InputSpec) -> Sample:
    """A sample scaled and cropped in its middle, otherwise unchanged, for validation.

    Raises:
        InputError: the sample is smaller than the crop.
    """
    sample = scaled(sample, spec)
    left, top = _room(sample, spec)
    return cropped(sample, left // 2, top // 2, spec.width, spec.height)


def scaled(sample: Sample, spec: InputSpec) -> Sample:
    """A sample at the focal length of `spec`, as the Predictor scales what a camera sees.

    Measured depths (single scan, accumulated) move to the nearest pixel, where the nearest one
    wins; dense and exact maps are sampled at the nearest pixel, so that no edge is blurred.
    """
    camera, target = sample.camera, scaled_camera(sample.camera, spec)
    width, height = target.width, target.height
    if (width, height) == (camera.width, camera.height):
        return sample
    scale = np.array([width / camera.width, height / camera.height])

    def moved(pixels: np.ndarray) -> np.ndarray:
        return (pixels + 0.5) * scale - 0.5

    radar, boxes = sample.radar.copy(), sample.boxes.copy()
    radar[:, :2] = moved(radar[:, :2].astype(np.float64))
    boxes[:, :2], boxes[:, 2:] = moved(boxes[:, :2]), moved(boxes[:, 2:])
    return replace(
        sample,
        camera=target,
        image=scaled_image(sample.image, width, height, spec.interpolation),
        radar=radar,
        boxes=boxes,
        **_each_map(
            sample,
            measured=lambda depth: _moved_points(depth, moved, target),
            surface=lambda depth: cv2.resize(
                depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
            ),
        ),
    )


def scaled_camera(camera: Camera, spec: InputSpec) -> Camera:
    """The camera of a sample that was scaled."""
    if spec.focal_length is None:
        return camera
    width = max(round(camera.width * spec.focal_length / camera.K[0, 0]), 1)
    height = max(round(camera.height * spec.focal_length / camera.K[1, 1]), 1)
    return camera.resized(width, height)


def flipped(sample: Sample) -> Sample:
    """The mirrored sample: u becomes width - 1 - u and vy changes sign."""
    last = sample.camera.width - 1
    radar, boxes = sample.radar.copy(), sample.boxes.copy()
    radar[:, 0] = last - radar[:, 0]
    radar[:, 5] = -radar[:, 5]
    boxes[:, [0, 2]] = last - boxes[:, [2, 0]]

    def mirror(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[:, ::-1])

    return replace(
        sample,
        camera=sample.camera.flipped(),
        image=mirror(sample.image),
        radar=radar,
        boxes=boxes,
        **_each_map(sample, measured=mirror, surface=mirror),
    )


def cropped(sample: Sample, left: int, top: int, width: int, height: int) -> Sample:
    """A window of a sample that lies inside its image.

    Returns whose pixel (int(u), int(v)) is outside are left out; so are boxes, which are cut at
    the window's edge, and the returns' box indices follow.
    """
    rows, columns = slice(top, top + height), slice(left, left + width)
    offset, size = np.array([left, top]), np.array([width, height])
    pixel = np.trunc(sample.radar[:, :2]) - offset
    radar = sample.radar[((pixel >= 0) & (pixel < size)).all(axis=1)]
    radar[:, :2] -= offset
    low, high = sample.boxes[:, :2] - offset, sample.boxes[:, 2:] - offset
    seen = ((high >= 0) & (low <= size - 1)).all(axis=1)
    number = np.concatenate([[0], np.where(seen, np.cumsum(seen), 0)])
    radar[:, 6] = number[radar[:, 6].astype(np.int64)]
    boxes = np.hstack([np.clip(low, 0, size - 1), np.clip(high, 0, size - 1)])[seen]

    def cut(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[rows, columns])

    return replace(
        sample,
        camera=sample.camera.cropped(left, top, width, height),
        image=cut(sample.image),
        radar=radar,
        boxes=boxes.astype(np.float32),
        **_each_map(sample, measured=cut, surface=cut),
    )


def recoloured(image: np.ndarray, gamma: float, gain: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: value ** gamma * gain (3,) of values in 0..1, cut at 1."""
    values = (np.arange(256) / 255.0) ** gamma
    table = np.clip(values[:, None] * gain, 0, 1) * 255
    return cv2.LUT(image, np.rint(table).astype(np.uint8)[None])


def _each_map(
    sample: Sample,
    measured: Callable[[np.ndarray], np.ndarray],
    surface: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """The changed depth maps, by the names of the sample's fields."""
    kinds = {
        "single_scan": measured,
        "accumulated": measured,
        "dense": surface,
        "exact": surface,
    }
    maps = {name: getattr(sample, name) for name in kinds}
    return {name: None if depth is None else kinds[name](depth) for name, depth in maps.items()}


def _moved_points(
    depth: np.ndarray, moved: Callable[[np.ndarray], np.ndarray], camera: Camera
) -> np.ndarray:
    """The pixels that hold a depth, each at its new place."""
    rows, columns = np.nonzero(depth)
    uv = np.rint(moved(np.column_stack([columns, rows]))).astype(np.int64)
    u, v = np.clip(uv, 0, (camera.width - 1, camera.height - 1)).T
    nearest = np.full((camera.height, camera.width), np.inf, np.float32)
    np.minimum.at(nearest.reshape(-1), v * camera.width + u, depth[rows, columns])
    nearest[np.isinf(nearest)] = 0
    return nearest


def _room(sample: Sample, spec: InputSpec) -> tuple[int, int]:
    """How far left and top of a crop can go."""
    room = sample.camera.width - spec.width, sample.camera.height - spec.height
    if min(room) < 0:
        raise InputError(
            f"{sample.key}: {sample.camera.width}x{sample.camera.height} at this focal length, the "
            f"crop is {spec.width}x{spec.height}; choose a smaller crop or a longer focal length"
        )
    return room
