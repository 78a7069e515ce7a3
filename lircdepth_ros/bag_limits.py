"""How far a bag of anyone is unpacked, and that it reads nothing outside its folder.

rosbags unpacks all of a chunk before it looks at the size that the bag gives for it, and a small
one can be a thousand times as large unpacked. Then it reads all of its records before it gives the
first message. A database's path it writes into a URI as it stands.
"""

from __future__ import annotations

import struct
import sys
import threading
from bz2 import BZ2Decompressor
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakKeyDictionary

from lz4.frame import LZ4FrameDecompressor
from rosbags.interfaces import Qos
from rosbags.rosbag1 import reader as rosbag1
from rosbags.rosbag2 import storage_mcap, storage_sqlite3
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.reader import DirectoryReader, Reader

from lircdepth_core.errors import InputError
from lircdepth_core.input_file import read_input_file
from lircdepth_core.plain_yaml import check_plain_yaml

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

MAX_UNPACKED_BYTES = 256 << 20
"""Of a message, of a chunk, and of the chunks of one time, which are open together; zstd holds as
much again."""

RECORD_BYTES = 896
"""For which a record of an MCAP chunk counts besides its own: unpacking them takes as long as
rosbags takes to read a record (2 us), and a message is 200 bytes to it before its data."""

MAX_METADATA_BYTES = 1 << 20

MAX_METADATA_NODES = 30_000
"""Values: of some 600 topics with all of their QoS, 900 without, or 2,000 files."""

MAX_QOS_NODES = 10_000
"""Values, of one topic of a file that has no metadata.yaml: of some 300 publishers."""

METADATA_FILE = "metadata.yaml"

_RECORD = struct.Struct("<BQ")  # of MCAP: its kind, and the bytes that follow

_rosbags_source = storage_mcap.msgsrc


class _Room(threading.local):
    """Bytes that the chunk that rosbags unpacks next in this thread may take; None is all."""

    left: int | None = None


_room = _Room()
_held: WeakKeyDictionary[BinaryIO, int] = WeakKeyDictionary()
"""Bytes by open MCAP file, of its chunks that are open together."""


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


def qos_of(profiles: Any) -> list[Qos]:
    """A topic's QoS, one for each publisher, as the file says it: a text, or values of one.

    Raises:
        InputError: the text is more than `MAX_QOS_NODES` values, or no YAML.
    """
    if isinstance(profiles, str):
        try:
            check_plain_yaml(profiles, MAX_QOS_NODES)
        except InputError as error:
            raise InputError(f"offered_qos_profiles: {error}") from error
    return parse_qos(profiles)


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


def check_records(data: bytes, limit: int) -> None:
    """See that an unpacked MCAP chunk is not much more to read than it has bytes.

    Args:
        data: records, one after the other.
        limit: bytes, `RECORD_BYTES` of them for each record besides its own.

    Raises:
        InputError: it is.
    """
    left, place = (limit - len(data)) // RECORD_BYTES, 0
    while place + _RECORD.size <= len(data):
        place += _RECORD.size + _RECORD.unpack_from(data, place)[1]
        left -= 1
        if left < 0:
            raise InputError(
                f"its chunks of one time have more than {MAX_UNPACKED_BYTES} bytes, where "
                f"each record counts for {RECORD_BYTES} besides its own"
            )


def chunk_messages(
    chunk: storage_mcap.ChunkInfo, channels: Any, start: int, stop: int, file: BinaryIO
) -> Iterator[storage_mcap.Msg]:
    """The messages of a chunk, as many as fit beside the chunks of the file that are open.

    Raises:
        InputError: they do not fit.
    """
    source = _rosbags_source(chunk, channels, start, stop, file)
    yield next(source)  # its begin, with which nothing is unpacked yet
    _room.left = MAX_UNPACKED_BYTES - _held.get(file, 0)
    try:
        messages = list(source)
    finally:
        _room.left = None
    held = chunk.uncompressed_size + RECORD_BYTES * len(messages)
    _held[file] = _held.get(file, 0) + held
    try:
        yield from messages
    finally:
        _held[file] -= held


def _of_mcap(new: Callable[[], Any] | None) -> Callable[[bytes, int], bytes]:
    def unpack(data: bytes, size: int) -> bytes:
        if new is not None:
            data = unpacked(new, data, min(max(size, 0), MAX_UNPACKED_BYTES))
        check_records(data, MAX_UNPACKED_BYTES if _room.left is None else _room.left)
        return data

    return unpack


class PlainPathReader(storage_sqlite3.Sqlite3Reader):
    """A database whose path is in a URI what it is elsewhere: all others may name another file."""

    def open(self) -> None:
        """Open the file.

        Raises:
            InputError: SQLite would not open that path, but what it decodes it to.
        """
        odd = [character for character in "%?#" if character in str(self.path)]
        if odd:
            raise InputError(
                f"{self.path}: SQLite takes the {odd[0]} of this path for something else; rename "
                f"the file, in {METADATA_FILE} too, or move the bag"
            )
        super().open()


def _of_ros1(new: Callable[[], Any]) -> Callable[[bytes], bytes]:
    return lambda data: unpacked(new, data, MAX_UNPACKED_BYTES)


# rosbags looks in these tables for what unpacks a chunk or reads a file, and there for what reads a
# chunk; it has no other way to give a limit.
storage_mcap.DECOMPRESSORS.update(
    {"": _of_mcap(None), "zstd": _of_mcap(ZstdDecompressor), "lz4": _of_mcap(LZ4FrameDecompressor)}
)
storage_mcap.msgsrc = chunk_messages  # type: ignore[assignment]
storage_mcap.parse_qos = storage_sqlite3.parse_qos = qos_of  # type: ignore[assignment]
DirectoryReader.STORAGE_PLUGINS = {**DirectoryReader.STORAGE_PLUGINS, "sqlite3": PlainPathReader}
Reader.STORAGE_PLUGINS = {**Reader.STORAGE_PLUGINS, ".db3": PlainPathReader}
rosbag1.decompressors.update(bz2=_of_ros1(BZ2Decompressor), lz4=_of_ros1(LZ4FrameDecompressor))
