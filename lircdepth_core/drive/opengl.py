"""OpenGL without a screen, and the textures that the renderer needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from lircdepth_core.errors import InputError
from lircdepth_core.extras import not_installed


def create_context() -> Any:
    """An OpenGL context without a screen.

    Raises:
        InputError: moderngl, EGL or an OpenGL driver is missing; the message says what to install.
    """
    try:
        import moderngl
    except ImportError as error:
        raise InputError(f"drive: {not_installed(error.name, 'drive')}") from error
    try:
        options: dict[str, Any] = {"backend": "egl", "require": 330}
        return moderngl.create_context(standalone=True, **options)
    except Exception as error:
        raise InputError(
            f"drive: no OpenGL 3.3 without a screen ({error}); install EGL and Mesa, on Debian or"
            " Ubuntu: apt-get install libegl1 libgl1-mesa-dri"
        ) from error


def shadow_map(context: Any, size: int) -> Any:
    """A square depth texture that compares when it is read, `size` pixels wide."""
    texture = context.depth_texture((size, size))
    texture.compare_func = "<="
    texture.filter = (0x2601, 0x2601)  # GL_LINEAR
    texture.repeat_x = texture.repeat_y = False
    return texture


def noise_tile() -> np.ndarray:
    """(256, 256, 4) uint8: four tileable noises with detail at all scales, the same always."""
    rng = np.random.default_rng(20)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 1 / 256), np.fft.fftfreq(256, 1 / 256)))
    weight = np.where(frequency >= 2.5, np.maximum(frequency, 1) ** -1.15, 0)
    layers = []
    for _ in range(4):
        layer = np.fft.ifft2(np.fft.fft2(rng.normal(size=(256, 256))) * weight).real
        layers.append(np.clip(0.5 + 0.17 * layer / layer.std(), 0, 1))
    return np.round(np.stack(layers, axis=-1) * 255).astype(np.uint8)
