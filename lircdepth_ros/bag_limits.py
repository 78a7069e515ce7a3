"""How far a bag of anyone is unpacked.

rosbags unpacks all of a chunk before it looks at the size that the bag gives for it, and a small
one can be a thousand times as large unpacked.
"""

from __future__ import annotations

import sys
from bz2 import BZ2Decompressor
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag1 import reader as rosbag1
from rosbags.rosbag2 import storage_mcap

from lircdepth_core.errors import InputError
from lircdepth_core.input_file import read_input_file
from lircdepth_core.plain_yaml import check_plain_yaml

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

MAX_UNPACKED_BYTES = 512 << 20
"""Of a message, of a chunk, and of the chunks of one time, which are open together."""

MAX_METADATA_BYTES = 1 << 20

MAX_METADATA_NODES = 30_000
"""Values: of some 600 topics with all of their QoS, 900 without, or 2,000 files."""

METADATA_FILE = "metadata.yaml"


def unpacked(new: Callable[[], Any], data: bytes, limit: int) -> bytes:
    """What compressed data hold.

    Args:
        new: makes a decompressor as those of `bz2`.
        data: one stream or several.
        limit: bytes.

    Raises:
        ValueError: they hold more, or are cut off.
    """
    parts: list[bytes] = []
    left = limit
    while data:
        decompressor = new()
        parts.append(decompressor.decompress(data, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise ValueError(f"unpacks to more than {limit} bytes")
        if not decompressor.eof:
            raise ValueError("compressed data are cut off")
        data = decompressor.unused_data or b""
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unpacked_message(data: bytes) -> bytes:
    """A message of a bag whose messages are compressed one by one, by zstd."""
    return unpacked(ZstdDecompressor, data, MAX_UNPACKED_BYTES)


def check_metadata(folder: Path) -> None:
    """See that a rosbag2 folder's metadata.yaml is no larger than its text, and ends.

    Raises:
        InputError: it is not.
    """
    path = folder / METADATA_FILE
    try:
        text = read_input_file(path, MAX_METADATA_BYTES).decode("utf-8")
        check_plain_yaml(text, MAX_METADATA_NODES)
    except (OSError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"{METADATA_FILE}: {error}") from error


def check_chunks(storages: Iterable[Any]) -> None:
    """See that the chunks of MCAP files that are open together are not too large together.

    Raises:
        InputError: they are.
    """
    for storage in storages:
        events = []
        for chunk in getattr(storage, "chunks", ()):
            size, begin = max(chunk.uncompressed_size, 0), chunk.message_start_time
            events += [(begin, 0, size), (max(begin, chunk.message_end_time), 1, -size)]
        together = 0
        for _, _, size in sorted(events):
            together += size
            if together > MAX_UNPACKED_BYTES:
                raise InputError(
                    f"its chunks of one time unpack to more than {MAX_UNPACKED_BYTES} bytes"
                )


def _of_mcap(new: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    return lambda data, size: unpacked(new, data, min(max(size, 0), MAX_UNPACKED_BYTES))


def _of_ros1(new: Callable[[], Any]) -> Callable[[bytes], bytes]:
    return lambda data: unpacked(new, data, MAX_UNPACKED_BYTES)


# rosbags looks in these tables for what unpacks a chunk; it has no other way to give a limit.
storage_mcap.DECOMPRESSORS.update(
    zstd=_of_mcap(ZstdDecompressor), lz4=_of_mcap(LZ4FrameDecompressor)
)
rosbag1.decompressors.update(bz2=_of_ros1(BZ2Decompressor), lz4=_of_ros1(LZ4FrameDecompressor))
