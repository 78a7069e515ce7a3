"""Images and radar of a data set: their files, read with errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.devkit import read_radar
from lircdepth_core.dataset.sample_files import decode_image
from lircdepth_core.errors import InputError
from lircdepth_core.radar import RadarReturns
from lircdepth_core.result_files import naming_file

# The marker that ends a JPEG file, and how many bytes may follow it.
_JPEG_END, _JPEG_TRAILER = b"\xff\xd9", 64


def read_image(path: Path, camera: Camera) -> tuple[bytes, np.ndarray]:
    """An image's file, and its pixels (H, W, 3) uint8 RGB.

    Raises:
        InputError: it is missing or damaged, or has not the camera's size.
    """
    data = read_bytes(path)
    try:
        image = decode_image(data)
    except ValueError as error:
        raise InputError(f"{path}: not an image; download it again") from error
    if path.suffix.lower() in (".jpg", ".jpeg") and _JPEG_END not in data[-_JPEG_TRAILER:]:
        raise InputError(f"{path}: cut off; download it again")
    if image.shape[:2] != (camera.height, camera.width):
        raise InputError(
            f"{path}: {image.shape[1]}x{image.shape[0]}, the tables say "
            f"{camera.width}x{camera.height}; download it again"
        )
    return data, image


def read_returns(
    path: Path, camera_from_radar: np.ndarray, stamp: float, filtered: bool
) -> RadarReturns:
    """A radar file's returns in the camera's optical frame.

    Args:
        path: the file.
        camera_from_radar: (4, 4), from the radar at its stamp to the camera at the image's.
        stamp: the radar's, seconds.
        filtered: keep only what the devkit's default filters keep.

    Raises:
        InputError: it is missing or damaged.
    """
    returns = read_radar(existing(path), filtered)
    return RadarReturns.from_sensor(
        np.stack([returns["x"], returns["y"], returns["z"]], axis=1),
        returns["rcs"],
        np.stack([returns["vx"], returns["vy"]], axis=1),
        camera_from_radar,
        stamp,
    )


@contextmanager
def reading_files() -> Iterator[None]:
    """Let what the system says of a file that the body cannot read be one line.

    Raises:
        InputError: it says something.
    """
    try:
        yield
    except OSError as error:
        too_long = error.errno == errno.ENAMETOOLONG
        what_to_do = "unpack the tables again" if too_long else "make it readable"
        raise InputError(f"{error.filename!s:.300}: {error.strerror}; {what_to_do}") from error


def existing(path: Path) -> Path:
    """The path of a file that is there.

    Raises:
        InputError: it is not.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing; unpack it again")
    return path


def read_bytes(path: Path) -> bytes:
    """What is in a file that is there.

    Raises:
        InputError: it is not.
        OSError: it cannot be read, with its name.
    """
    with naming_file(existing(path)):
        return path.read_bytes()


def file_size(path: Path) -> int:
    """Bytes of a file, -1 where it is not there: who reads it says so."""
    return path.stat().st_size if path.is_file() else -1
