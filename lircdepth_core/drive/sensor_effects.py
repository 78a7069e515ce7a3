"""What a camera adds to the light that reaches it: glow, drops, vignette, blur and noise."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from lircdepth_core.drive.world import Conditions


def add_sensor_effects(
    image: np.ndarray, conditions: Conditions, rng: np.random.Generator
) -> np.ndarray:
    """A picture with the effects of lens and sensor.

    Args:
        image: (H, W, 3) uint8 RGB.
        conditions: noise and glow are strong at night, drops come with rain.
        rng: what noise, drops and the error of the exposure are drawn from.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if conditions.weather == "rain":
        image = _rain(image, rng)
    sharp = rng.uniform(0.45, 0.65) * image.shape[1] / 1600 + 0.15
    light = cv2.GaussianBlur(image, (0, 0), sharp)
    if conditions.light != "day":
        light = cv2.add(light, _glow(image, 0.9 if conditions.light == "night" else 0.4))
    exposure = rng.normal(1.0, 0.015)
    height, width = image.shape[:2]
    light = cv2.multiply(light, _vignette(height, width), scale=exposure / 255)
    noise = {"day": 1.3, "dusk": 2.2, "night": 3.6}[conditions.light]
    shown = cv2.add(light, _noise(height, width, noise, rng), dtype=cv2.CV_8U)
    return np.asarray(shown, dtype=np.uint8)


@lru_cache(maxsize=1)
def _vignette(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8, 255 in the middle: the corners are a sixth darker."""
    y = (np.arange(height, dtype=np.float32) - height / 2) / (width / 2)
    x = (np.arange(width, dtype=np.float32) - width / 2) / (width / 2)
    plane = np.round(255 * (1 - 0.13 * (x**2 + y[:, None] ** 2))).astype(np.uint8)
    vignette = np.repeat(plane[..., None], 3, axis=2)
    vignette.flags.writeable = False
    return vignette


def _noise(height: int, width: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) int8 grey levels of noise, independent in pixels, uncorrelated in colours.

    Each colour adds up four even distributions, whose sum is nearly normal, with other signs: that
    takes half the time of normal numbers.
    """
    even = np.frombuffer(rng.bytes(height * width * 4), dtype=np.int8).reshape(height, width, 4)
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1]], dtype=np.float64)
    scale = deviation / np.sqrt(4 * (256**2 - 1) / 12)
    # An int8's mean is -1/2.
    shift = 0.5 * signs.sum(axis=1, keepdims=True) * scale
    return np.asarray(cv2.transform(even, np.hstack([signs * scale, shift])))


def _glow(image: np.ndarray, strength: float) -> np.ndarray:
    """(H, W, 3) uint8 light that bright lamps scatter in lens and air."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(width // 8, 1), max(height // 8, 1)), interpolation=cv2.INTER_AREA
    )
    excess = np.maximum(small.astype(np.float32) - 150, 0)
    unit = width / 1600
    glow = 0.30 * cv2.GaussianBlur(excess, (0, 0), max(1.2 * unit, 0.5))
    glow += 0.35 * cv2.GaussianBlur(excess, (0, 0), max(5.0 * unit, 0.5))
    glow = np.round(glow * strength).astype(np.uint8)  # at most 0.65 of 105
    return cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)


def _rain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Falling drops as faint streaks, and drops on the lens that show the scene upside down."""
    height, width = image.shape[:2]
    unit = width / 1600
    streaks = np.zeros((height, width), dtype=np.uint8)
    slant = rng.normal(0, 0.12)
    for _ in range(int(rng.integers(250, 420))):
        x, y = rng.uniform(0, width), rng.uniform(-0.1 * height, height)
        length = rng.uniform(8, 45) * unit
        end = (int(x + slant * length), int(y + length))
        shade = float(rng.uniform(12, 38))
        cv2.line(streaks, (int(x), int(y)), end, (shade,), 1, cv2.LINE_AA)
    image = cv2.add(image, cv2.merge([streaks] * 3))
    blurred = cv2.resize(
        image, (max(width // 12, 1), max(height // 12, 1)), interpolation=cv2.INTER_AREA
    )
    for _ in range(int(rng.integers(2, 9))):
        radius = int(max(rng.uniform(6, 20) * unit, 2))
        room = np.maximum((width - 2 * radius, height - 2 * radius), 0)
        x, y = (int(v) for v in rng.uniform((0, 0), room))
        window = image[y : y + 2 * radius, x : x + 2 * radius]
        patch = cv2.resize(
            blurred[max(y // 12 - 4, 0) : y // 12 + 5, max(x // 12 - 4, 0) : x // 12 + 5][::-1],
            window.shape[1::-1], interpolation=cv2.INTER_LINEAR,
        )  # fmt: skip
        mask = np.zeros(window.shape[:2], dtype=np.float32)
        cv2.circle(mask, (radius, radius), max(radius - 2, 1), (0.75,), -1, cv2.LINE_AA)
        share = cv2.GaussianBlur(mask, (0, 0), max(radius / 6, 0.5))[..., None]
        window[:] = (window * (1 - share) + patch * share).astype(np.uint8)
    return image
