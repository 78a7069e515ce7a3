"""JPEG and PNG files of anyone: what their headers say before they are decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np

MAX_IMAGE_PIXELS = 40_000_000
"""8K has 33 million."""

_JPEG_SIGNATURE, _PNG_SIGNATURE = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a start of frame (ITU-T T.81, table B.1)."""


def encoded_size(data: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Width and height as the header of a PNG (IHDR) or JPEG (start of frame) says.

    Raises:
        ValueError: it is neither, or ends too early.
    """
    if bytes(data[:8]) == _PNG_SIGNATURE and bytes(data[12:16]) == b"IHDR" and len(data) >= 24:
        _check_png_chunks(data)
        width, height = struct.unpack(">II", bytes(data[16:24]))
        return width, height
    if bytes(data[:2]) != _JPEG_SIGNATURE:
        raise ValueError(f"{len(data)} bytes are neither JPEG nor PNG")
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", bytes(data[place + 5 : place + 9]))
            return width, height
        fill = marker == 0xFF
        place += 1 if fill else 2 + struct.unpack(">H", bytes(data[place + 2 : place + 4]))[0]
    raise ValueError(f"{len(data)} bytes of JPEG without a start of frame")


def decode_encoded(data: bytes, flags: int, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """The pixels of a JPEG or PNG file, as OpenCV gives them.

    Args:
        data: the file.
        flags: of `cv2.imdecode`.
        max_pixels: a larger image is refused, undecoded.

    Raises:
        ValueError: it is none, damaged, or larger.
    """
    width, height = encoded_size(data)
    if not 0 < width * height <= max_pixels:
        raise ValueError(f"{width}x{height} pixels, more than {max_pixels} or none")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(" ".join(str(error).split())) from error
    if pixels is None:
        raise ValueError(f"{len(data)} bytes cannot be decoded")
    return pixels


def _check_png_chunks(data: bytes | bytearray | memoryview) -> None:
    """Refuse a PNG a chunk of which says that it is longer than the file.

    OpenCV takes gigabytes of memory for such a chunk before it finds that it is not there.
    """
    place = len(_PNG_SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", bytes(data[place : place + 4]))
        kind = bytes(data[place + 4 : place + 8])
        place += 12 + length  # length, kind and checksum are 4 bytes each
        if place > len(data):
            break
        if kind == b"IEND":
            return
    raise ValueError(f"{len(data)} bytes of PNG end before its last chunk does")
