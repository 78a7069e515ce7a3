"""JPEG and PNG files of anyone: what their headers say before they are decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import cv2
import numpy as np

MAX_IMAGE_PIXELS = 9_000_000
"""4K has 8.3 million. Decoding as many takes up to a second (`python -m fuzz`, largest inputs)."""

MAX_JPEG_BYTES_PER_PIXEL, MAX_PNG_BYTES_PER_PIXEL, MAX_OTHER_BYTES = 4, 8, 1_000_000
"""What an encoded image may take: more than any JPEG of a camera, four channels of 16 bits, and its
metadata."""

MAX_SCANS = 16
"""Of a JPEG: each is a pass over all coefficients. Baseline has up to 4, progressive about 10."""

_MAX_SEGMENTS, _MAX_CHUNKS = 1000, 100_000
"""Before a JPEG's start of frame, and in a PNG, which may be cut into pieces of 8 kB."""

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_GREY = 128
_MORE_DATA = bytes(range(1, 255, 2))
_FILL = re.compile(rb"\xff+")
_JPEG_SIGNATURE, _PNG_SIGNATURE = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a start of frame (ITU-T T.81, table B.1)."""

_NO_SEGMENT = {0x00, 0x01, *range(0xD0, 0xDB)}
"""What no length follows, or what ends the header: none belongs before a start of frame. A decoder
skips some of them, and would find another start of frame than one who reads a length there."""

_COMPRESSED_TEXTS = {b"zTXt", b"iTXt"}
"""Of a PNG: libpng unpacks up to 1,000 of them, to 8 MB each, and OpenCV does without."""

_ANIMATION_CHUNKS = {b"acTL", b"fcTL", b"fdAT"}
"""Of a PNG (its third edition); OpenCV reads animations, whose frames have sizes of their own."""


def encoded_size(data: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Width and height as the header of a PNG (IHDR) or JPEG (start of frame) says.

    Raises:
        ValueError: it is neither, ends too early, is cut into absurdly many pieces, or made so that
            decoders may find another size.
    """
    if bytes(data[:8]) == _PNG_SIGNATURE and bytes(data[12:16]) == b"IHDR" and len(data) >= 24:
        list(_png_chunks(data))
        width, height = struct.unpack(">II", bytes(data[16:24]))
        return width, height
    if bytes(data[:2]) != _JPEG_SIGNATURE:
        raise ValueError(f"{len(data)} bytes are neither JPEG nor PNG")
    place = 2
    for _ in range(_MAX_SEGMENTS):
        fill = _FILL.match(data, place)
        if fill is None or fill.end() + 8 > len(data):
            break
        place = fill.end()  # of the marker, after any number of 0xFF
        if data[place] in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", bytes(data[place + 4 : place + 8]))
            return width, height
        (length,) = struct.unpack(">H", bytes(data[place + 1 : place + 3]))
        if data[place] in _NO_SEGMENT or length < 2:  # it counts itself
            break
        place += 1 + length
    raise ValueError(f"{len(data)} bytes of JPEG without a start of frame")


def decode_encoded(data: bytes, flags: int, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """The pixels of a JPEG or PNG file as they are stored: EXIF's orientation is not followed.

    Args:
        data: the file.
        flags: of `cv2.imdecode`.
        max_pixels: a larger image is refused, undecoded.

    Raises:
        ValueError: it is none, damaged, larger, or far more work than its pixels are.
    """
    width, height = encoded_size(data)
    if not 0 < width * height <= max_pixels:
        raise ValueError(f"{width}x{height} pixels, more than {max_pixels} or none")
    is_jpeg = data[:2] == _JPEG_SIGNATURE
    each = MAX_JPEG_BYTES_PER_PIXEL if is_jpeg else MAX_PNG_BYTES_PER_PIXEL
    max_bytes = each * width * height + MAX_OTHER_BYTES
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes for {width}x{height} pixels; give up to {max_bytes}")
    # Entropy-coded data holds no marker, so that no scan is missed.
    if is_jpeg and (scans := data.count(_START_OF_SCAN)) > MAX_SCANS:
        raise ValueError(f"a JPEG of {scans} scans; give up to {MAX_SCANS}")
    if not is_jpeg:
        data = _without_compressed_texts(data)
    try:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION  # the camera's matrix is of what is stored
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(" ".join(str(error).split())) from error
    if pixels is None:
        raise ValueError(f"{len(data)} bytes cannot be decoded")
    if pixels.shape[:2] != (height, width):
        found = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ValueError(f"decoded to {found} pixels, its header says {width}x{height}")
    if is_jpeg and _is_cut(data, flags, pixels):
        raise ValueError(f"{len(data)} bytes of JPEG hold a part of the picture only")
    return pixels


def _is_cut(jpeg: bytes, flags: int, pixels: np.ndarray) -> bool:
    """Whether a JPEG has fewer data than its picture, and yet the marker that ends it.

    libjpeg makes the rest grey. Only then do more data before the marker change the picture.
    """
    if np.any(pixels[-1, -1] != _GREY):
        return False
    end = jpeg.rfind(_END_OF_IMAGE)
    longer = np.frombuffer(jpeg[:end] + _MORE_DATA + jpeg[end:], np.uint8)
    return not np.array_equal(cv2.imdecode(longer, flags), pixels)


def _png_chunks(data: bytes | bytearray | memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's kind, where it begins and where it ends.

    OpenCV takes gigabytes of memory for one that is longer than the file before it finds that it is
    not there.

    Raises:
        ValueError: such a chunk, too many of them, none that ends the file, or an animation.
    """
    place = len(_PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if place + 8 > len(data):
            break
        (length,) = struct.unpack(">I", bytes(data[place : place + 4]))
        kind = bytes(data[place + 4 : place + 8])
        end = place + 12 + length  # length, kind and checksum are 4 bytes each
        if end > len(data):
            break
        if kind in _ANIMATION_CHUNKS:
            raise ValueError("an animated PNG; give one picture")
        yield kind, place, end
        if kind == b"IEND":
            return
        place = end
    raise ValueError(f"{len(data)} bytes of PNG end before its last chunk, or are too many chunks")


def _without_compressed_texts(png: bytes) -> bytes:
    chunks = list(_png_chunks(png))
    if not any(kind in _COMPRESSED_TEXTS for kind, _, _ in chunks):
        return png
    kept = [png[begin:end] for kind, begin, end in chunks if kind not in _COMPRESSED_TEXTS]
    return b"".join([_PNG_SIGNATURE, *kept])
