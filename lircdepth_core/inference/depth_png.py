"""Depth maps as 16-bit PNG: metres x 256, 0 where there is none, as in KITTI and nuScenes work."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lircdepth_core.encoded_image import decode_encoded
from lircdepth_core.errors import InputError

DEPTH_SCALE = 256.0
"""Stored value of one metre. The largest that fits is 65535 / 256 = 255.996 m."""


def write_depth_png(path: Path, depth: np.ndarray) -> None:
    """Write metres as a 16-bit grey PNG.

    Args:
        path: the file, ending in .png.
        depth: (H, W) metres; NaN is stored as 0. Others are rounded and clipped to 1..65535.

    Raises:
        InputError: the file cannot be written.
    """
    there = ~np.isnan(depth)
    stored = np.zeros(depth.shape, np.uint16)
    metres = np.asarray(depth, np.float64)[there]
    stored[there] = np.clip(np.rint(metres * DEPTH_SCALE), 1, 65535)
    encoded, data = cv2.imencode(".png", stored)
    if not encoded:
        raise InputError(f"{path}: no PNG can be made of a map of shape {depth.shape}")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a folder that can be written") from error


def read_depth_png(path: Path) -> np.ndarray:
    """(H, W) float32 metres of a file by `write_depth_png`, NaN where there is none.

    Raises:
        InputError: the file is missing or no 16-bit grey PNG.
    """
    try:
        stored = decode_encoded(path.read_bytes(), cv2.IMREAD_UNCHANGED)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a depth map") from error
    except ValueError as error:
        raise InputError(f"{path}: not a 16-bit grey PNG ({error}); give a depth map") from error
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise InputError(f"{path}: not a 16-bit grey PNG; give a depth map")
    return np.where(stored > 0, stored / np.float32(DEPTH_SCALE), np.float32(np.nan))
