"""Images as other cameras would have taken them: a network should not learn one camera's look."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD
from lircdepth_core.training.draws import Purpose, draws

EACH = 0.5
"""Probability of each change, of an image that is changed."""

GAMMA = (0.6, 1.7)
CONTRAST = (0.6, 1.4)
WHITE_BALANCE = (0.88, 1.14)
SATURATION = (0.2, 1.5)
BLUR_PIXELS = (0.4, 1.5)
SHARPENING = (0.3, 1.5)
VIGNETTING = (0.1, 0.5)
NOISE_GREY_LEVELS = (1.0, 10.0)
JPEG_QUALITY = (25, 90)


def with_other_cameras(batch: Batch, share: float, seed: int, epoch: int) -> Batch:
    """A batch in which some images look as if another camera had taken them.

    Tone curve, contrast, white balance, saturation, a soft or over-sharpened lens, dark corners,
    noise and JPEG blocks; what is where stays as it is.

    Args:
        batch: is left as it is.
        share: probability that an image is changed.
        seed: of the choice, with epoch and each sample's key.
        epoch: its number.
    """
    if share == 0:
        return batch
    image = batch.image.clone()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    for number, rng in draws(batch.keys, Purpose.OTHER_CAMERAS, seed, epoch):
        if rng.random() >= share:
            continue
        light = ((image[number] * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
        seen = of_another_camera(light.permute(1, 2, 0).numpy(), rng)
        image[number] = (torch.from_numpy(seen).permute(2, 0, 1) / 255 - mean) / std
    return batch._replace(image=image)


def of_another_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image of another camera, which differs in some of its properties.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: draws which, and how much.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    tone, sharpness, corners, noise, jpeg = rng.random(5) < EACH
    values = image.astype(np.float32) / 255
    # In the order of a camera: lens, sensor, development, compression.
    if sharpness:
        values = _refocused(values, rng)
    if corners:
        rows, columns = image.shape[:2]
        values *= _corners(rows, columns, float(rng.uniform(*VIGNETTING)))
    if noise:
        deviation = _between(NOISE_GREY_LEVELS, rng) / 255
        # Half of its variance is that of photons, which grows with the light.
        spread = deviation * np.sqrt(0.5 + np.maximum(values, 0))
        values += spread * rng.standard_normal(values.shape, np.float32)
    if tone:
        values = _developed(np.clip(values, 0, 1), rng)
    taken = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    if jpeg:
        quality = int(rng.integers(*JPEG_QUALITY))
        stored = cv2.imencode(".jpg", taken[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        taken = np.ascontiguousarray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])
    return taken


def _refocused(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Softer, or with edges that overshoot."""
    soft = cv2.GaussianBlur(values, (0, 0), _between(BLUR_PIXELS, rng))
    if rng.random() < EACH:
        return soft
    return values + np.float32(rng.uniform(*SHARPENING)) * (values - soft)


def _corners(height: int, width: int, darkness: float) -> np.ndarray:
    """(H, W, 1): 1 in the middle, 1 - darkness in the corners."""
    down, across = (np.linspace(-1, 1, n, dtype=np.float32) ** 2 for n in (height, width))
    return (1 - darkness / 2 * (down[:, None] + across))[..., None]


def _developed(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of another tone curve, contrast, white balance and saturation."""
    values = values ** np.float32(_between(GAMMA, rng))
    middle = values.mean()
    values = middle + np.float32(_between(CONTRAST, rng)) * (values - middle)
    values *= np.array([_between(WHITE_BALANCE, rng) for _ in range(3)], np.float32)
    grey = values.mean(2, keepdims=True)
    return grey + np.float32(rng.uniform(*SATURATION)) * (values - grey)


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Evenly distributed in the logarithm."""
    return float(np.exp(rng.uniform(*np.log(limits))))
