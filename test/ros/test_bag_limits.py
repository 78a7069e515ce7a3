"""Bags that would unpack to much more than they are, or name files elsewhere."""

from __future__ import annotations

import itertools
import re
import shutil
import sqlite3
import struct
import sys
import time
import tracemalloc
from bz2 import BZ2Decompressor, compress
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from lz4.frame import LZ4FrameDecompressor
from lz4.frame import compress as lz4_compress
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

from lircdepth_core.errors import InputError
from lircdepth_ros import bag_limits
from lircdepth_ros.bag_limits import RECORD_BYTES, check_chunks, check_metadata, unpacked
from lircdepth_ros.replay_bag import Bag

if sys.version_info >= (3, 14):
    from compression.zstd import compress as zstd_compress
else:
    from backports.zstd import compress as zstd_compress

LIMIT = 1 << 20
TEXT = "std_msgs/msg/String"
QOS = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag_limits, "MAX_UNPACKED_BYTES", LIMIT)


def bag_of(
    folder: Path,
    length: int,
    mode: CompressionMode = CompressionMode.NONE,
    storage: StoragePlugin = StoragePlugin.MCAP,
    publishers: int = 0,
) -> Path:
    """A rosbag2 folder with three messages, each a text of so many characters."""
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Ros2Writer(folder, version=9, storage_plugin=storage)
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    data = store.serialize_cdr(store.types[TEXT]("x" * length), TEXT)
    with writer:
        topic = writer.add_connection(
            "/text", TEXT, typestore=store, offered_qos_profiles=publishers * [QOS]
        )
        for number in range(3):
            writer.write(topic, number, data)
    return folder


def ros1_bag(path: Path, length: int, compression: Ros1Writer.CompressionFormat) -> Path:
    store = get_typestore(Stores.ROS1_NOETIC)
    writer = Ros1Writer(path)
    writer.set_compression(compression)
    with writer:
        topic = writer.add_connection("/text", TEXT, typestore=store)
        data = store.serialize_ros1(store.types[TEXT]("x" * length), TEXT)
        for number in range(3):
            writer.write(topic, number, data)
    return path


def lengths(path: Path) -> list[int]:
    with Bag(path) as bag:
        return [len(message.data) for message in bag.messages(bag.topics)]


def writers(folder: Path, length: int) -> dict[str, Path]:
    """Bags compressed in every way that is unpacked in memory."""
    one_by_one = CompressionMode.MESSAGE
    return {
        "chunks of mcap": bag_of(folder / "m", length, CompressionMode.STORAGE),
        "messages": bag_of(folder / "s", length, one_by_one, StoragePlugin.SQLITE3),
        "messages of mcap": bag_of(folder / "n", length, one_by_one),
        "bz2": ros1_bag(folder / "b.bag", length, Ros1Writer.CompressionFormat.BZ2),
        "lz4": ros1_bag(folder / "l.bag", length, Ros1Writer.CompressionFormat.LZ4),
    }


def test_compressed_bags_are_read(tmp_path):
    for what, path in writers(tmp_path, 1000).items():
        assert lengths(path) == [1009] * 3, what


def test_no_bag_unpacks_to_more_than_the_limit(tmp_path):
    for what, path in writers(tmp_path, 50 * LIMIT).items():
        tracemalloc.start()
        with pytest.raises(InputError, match=rf"{path}: .* more than {LIMIT} bytes"):
            lengths(path)
        assert tracemalloc.get_traced_memory()[1] < 5 * LIMIT, what
        tracemalloc.stop()


def test_a_chunk_that_gives_a_smaller_size_is_not_unpacked_beyond_it(tmp_path):
    path = bag_of(tmp_path / "bag", LIMIT // 8, CompressionMode.STORAGE) / "bag.mcap"
    with Bag(path) as bag:
        (chunk,) = bag._reader.storage.chunks
    data = path.read_bytes()
    changed = data.replace(struct.pack("<Q", chunk.uncompressed_size), struct.pack("<q", 100))
    assert changed != data
    path.write_bytes(changed)
    with pytest.raises(InputError, match="unpacks to more than 100 bytes"):
        lengths(path)
    path.write_bytes(
        data.replace(struct.pack("<Q", chunk.uncompressed_size), struct.pack("<q", -5))
    )
    with pytest.raises(InputError, match="its chunks of one time"):
        lengths(path)


def test_chunks_of_one_time_have_the_limit_together():
    def chunk(begin: int, end: int, size: int) -> SimpleNamespace:
        return SimpleNamespace(
            message_start_time=begin, message_end_time=end, uncompressed_size=size
        )

    half = LIMIT // 2
    one_by_one = [chunk(10 * number, 10 * number + 9, half) for number in range(100)]
    check_chunks([SimpleNamespace(chunks=one_by_one), SimpleNamespace()])
    for more in (chunk(5, 25, half + 1), chunk(25, 5, LIMIT)):
        with pytest.raises(InputError, match="its chunks of one time"):
            check_chunks([SimpleNamespace(chunks=[*one_by_one, chunk(0, 999, -LIMIT), more])])


def small_messages(
    path: Path,
    count: int,
    length: int = 9,
    compressed: bool = True,
    spans: tuple[tuple[int, int], ...] = ((0, 0),),
    indexed: bool = True,
    kind: int = 0x05,
) -> Path:
    """An MCAP file of one chunk or several, each of so many messages of so many bytes.

    Args:
        spans: times of the first and of the last message of each chunk, ns.
        indexed: whether it has a summary.
        kind: of records that stand in the place of messages.
    """

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode()

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<BQ", kind, len(content)) + content

    head = record(0x03, struct.pack("<H", 1) + text(TEXT) + text("ros2msg") + text("string data"))
    head += record(0x04, struct.pack("<HH", 1, 1) + text("/text") + text("cdr") + bytes(4))
    compression = text("zstd" if compressed else "")
    file = b"\x89MCAP0\r\n" + record(0x01, text("ros2") + text("test"))
    data = b"\0\1" + bytes(length - 2)
    summary = head
    for begin, end in spans:
        one = record(kind, struct.pack("<HIQQ", 1, 0, begin, begin) + data)
        last = record(kind, struct.pack("<HIQQ", 1, 0, end, end) + data)
        content = head + one * (count - 1) + last
        packed = zstd_compress(content) if compressed else content
        chunk = struct.pack("<QQQI", begin, end, len(content), 0) + compression
        chunk = record(0x06, chunk + struct.pack("<Q", len(packed)) + packed)
        place = struct.pack("<QQQQ", begin, end, len(file), len(chunk))
        index = struct.pack("<IHQQ", 10, 1, 0, 0) + compression
        summary += record(0x08, place + index + struct.pack("<QQ", len(packed), len(content)))
        file += chunk
    total = count * len(spans)
    times = [time for span in spans for time in span]
    summary += record(
        0x0B,
        struct.pack("<QHIIIIQQ", total, 1, 1, 0, 0, len(spans), min(times), max(times))
        + struct.pack("<IHQ", 10, 1, total),
    )
    start = len(file) if indexed else 0
    file += summary if indexed else b""
    path.write_bytes(file + record(0x02, struct.pack("<QQI", start, 0, 0)) + b"\x89MCAP0\r\n")
    return path


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [0x05, 0x7F])
def test_a_chunk_of_countless_records_is_not_read(kind, compressed, indexed, tmp_path):
    most = (LIMIT - 200) // (RECORD_BYTES + 40) - 2  # besides its schema and its channel
    path = small_messages(tmp_path / "a.mcap", most, compressed=compressed, indexed=indexed)
    assert lengths(path) == [9] * most
    path = small_messages(
        tmp_path / "b.mcap", most + 10, compressed=compressed, indexed=indexed, kind=kind
    )
    with pytest.raises(InputError, match=rf"{path}: .* each record counts for {RECORD_BYTES}"):
        lengths(path)


def test_records_of_chunks_that_are_open_together_count_together(tmp_path):
    half = (LIMIT - 1000) // (RECORD_BYTES + 40) // 2
    together = small_messages(tmp_path / "a.mcap", half, spans=((0, 9), (5, 14)))
    assert lengths(together) == [9] * 2 * half
    assert lengths(together) == [9] * 2 * half, "the chunks of a bag that is closed are not held"
    one_by_one = tuple((10 * number, 10 * number + 9) for number in range(9))
    path = small_messages(tmp_path / "b.mcap", half, spans=one_by_one)
    assert lengths(path) == [9] * 9 * half
    with Bag(path) as bag:
        for _ in range(20):  # each left in the middle of a chunk
            assert next(bag.messages(bag.topics)).time == 0
    path = small_messages(tmp_path / "c.mcap", half, spans=((0, 9), (5, 14), (9, 20)))
    with pytest.raises(InputError, match=r"its chunks of one time have more"):
        lengths(path)


@pytest.mark.parametrize(
    ("size", "length"), [(768 << 10, 9), (4 << 20, 9), (30 << 20, 100), (64 << 20, 324)]
)
def test_chunks_of_small_messages_are_read(size, length, tmp_path, monkeypatch):
    """Chunks as large as ROS's recorder makes them, and some larger ones, of IMUs' messages."""
    monkeypatch.setattr(bag_limits, "MAX_UNPACKED_BYTES", 512 << 20)
    count = size // (length + 31)
    path = small_messages(
        tmp_path / "a.mcap", count, length, spans=((0, 9), (9, 20))[: 1 + (size < 1 << 23)]
    )
    with Bag(path) as bag:
        assert next(bag.messages(bag.topics)).data[:2] == b"\0\1"


def test_a_small_file_of_millions_of_messages_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_limits, "MAX_UNPACKED_BYTES", 512 << 20)
    path = small_messages(tmp_path / "a.mcap", 1_000_000)
    assert path.stat().st_size < 10_000
    begin = time.process_time()
    with pytest.raises(InputError, match="each record counts"):
        lengths(path)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("new", "pack"), [(BZ2Decompressor, compress), (LZ4FrameDecompressor, lz4_compress)]
)
def test_streams_that_follow_each_other_are_read_and_cut_ones_are_not(new, pack):
    assert unpacked(new, b"", 10) == b""
    assert unpacked(new, pack(b"abc") + pack(b"defg"), 7) == b"abcdefg"
    with pytest.raises(ValueError, match="more than 6 bytes"):
        unpacked(new, pack(b"abc") + pack(b"defg"), 6)
    with pytest.raises(ValueError, match="cut off"):
        unpacked(new, pack(b"abc" * 100)[:-8], 1000)


def with_metadata(folder: Path, change: Callable[[dict], object]) -> Path:
    path = bag_of(folder, 10) / "metadata.yaml"
    content = yaml.safe_load(path.read_text())
    change(content["rosbag2_bagfile_information"])
    path.write_text(yaml.safe_dump(content))
    return folder


@pytest.mark.parametrize("name", ["../../secret.mcap", "/{root}/secret.mcap", "..", "", "."])
def test_a_bag_reads_nothing_outside_its_folder(name, tmp_path):
    secret = bag_of(tmp_path / "other", 10) / "other.mcap"
    secret.rename(tmp_path / "secret.mcap")
    inner = tmp_path / "inner"
    inner.mkdir()
    name = name.format(root=tmp_path)
    bag = with_metadata(inner / "bag", lambda found: found.update(relative_file_paths=[name]))
    with pytest.raises(InputError, match=rf"{bag}: not a readable bag"):
        Bag(bag)
    # As Foxy wrote it: with the name of the folder, which may have been renamed since.
    named = ["some/where/else/bag2.mcap"]
    bag = with_metadata(inner / "bag2", lambda found: found.update(relative_file_paths=named))
    assert lengths(bag) == [19] * 3


@pytest.mark.parametrize("name", ["%2e%2e%2fother%2fother.db3", "other.db3?x", "other.db3#x"])
def test_a_name_that_sqlite_would_decode_is_refused(name, tmp_path):
    other = bag_of(tmp_path / "other", 10, storage=StoragePlugin.SQLITE3)
    bag = tmp_path / "bag"
    shutil.copytree(other, bag)
    (bag / name).write_bytes(b"")
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("other.db3", f'"{name}"'))
    refused = rf"^{bag}: .*{re.escape(name)}: SQLite takes the . of this path .* rename"
    with pytest.raises(InputError, match=refused):
        Bag(bag)
    shutil.copy(other / "other.db3", tmp_path / f"{name}.db3")
    for moved in (tmp_path / f"{name}.db3", shutil.copytree(other, tmp_path / name)):
        with pytest.raises(InputError, match=r"SQLite takes the . of this path .* move the bag"):
            Bag(moved)
    assert lengths(other) == [19] * 3
    assert lengths(bag_of(tmp_path / f"m{name}", 10)) == [19] * 3, "of mcap, it is a name as others"


@pytest.mark.parametrize(
    "change",
    ["timestamp = 'x'", "timestamp = 0.5", "data = 1 << 40", "data = 'text'"],
)
def test_a_database_of_other_types_is_one_line(change, tmp_path):
    path = bag_of(tmp_path / "bag", 10, storage=StoragePlugin.SQLITE3) / "bag.db3"
    database = sqlite3.connect(path)
    database.execute(f"UPDATE messages SET {change} WHERE timestamp = 1")
    database.commit()
    database.close()
    with pytest.raises(
        InputError, match=rf"^{path}: not a readable bag \(.* where a time and data"
    ):
        lengths(path)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_the_qos_of_a_topic_is_not_read_without_end(storage, tmp_path):
    def bag_of_publishers(count):
        folder = bag_of(tmp_path / f"bag{count}", 10, storage=storage, publishers=count)
        return next(path for path in folder.iterdir() if path.stem == folder.name)

    assert lengths(bag_of_publishers(100)) == [19] * 3
    file = bag_of_publishers(400)
    with pytest.raises(InputError, match=rf"^{file}: .*offered_qos_profiles: .*10000"):
        Bag(file)


@pytest.mark.parametrize(
    "number", ["9" * 400, "-" + "9" * 400, "0x" + "f" * 5000], ids=lambda number: number[:3]
)
def test_numbers_without_end_in_the_metadata_are_refused(number, tmp_path):
    path = bag_of(tmp_path / "bag", 10) / "metadata.yaml"
    path.write_text(re.sub(r"nanoseconds: \d+", f"nanoseconds: {number}", path.read_text()))
    with pytest.raises(InputError, match=r"a number of \d+ characters"):
        Bag(path.parent)


def test_a_bag_of_hundreds_of_topics_is_read(tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    with Ros2Writer(tmp_path / "bag", version=9) as writer:
        for number in range(400):
            writer.add_connection(f"/topic{number}", "std_msgs/msg/String", typestore=store)
    check_metadata(tmp_path / "bag")


def test_metadata_cannot_stand_for_a_huge_document(tmp_path):
    names = "abcdefghij"
    bomb = "a: &a [1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in itertools.pairwise(names)
    )
    path = bag_of(tmp_path / "bag", 10) / "metadata.yaml"
    text = path.read_text().replace("compression_format: ''", "compression_format: *j")
    assert "*j" in text
    path.write_text(bomb + text.replace("compression_mode: ''", "compression_mode: file"))
    with pytest.raises(InputError, match="aliases"):
        Bag(path.parent)


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (
            lambda found: found["topics_with_message_count"][0]["topic_metadata"].update(type=0.5),
            "0.5",
        ),
        (
            lambda found: found["topics_with_message_count"][0]["topic_metadata"].update(
                type_description_hash={}
            ),
            "{}",
        ),
        (lambda found: found["topics_with_message_count"][0].update(message_count="x"), "'x'"),
        (lambda found: found["starting_time"].update(nanoseconds_since_epoch=0.25), "0.25"),
        (lambda found: found.update(message_count=True), "True"),
    ],
    ids=["type", "hash", "count", "time", "all"],
)
def test_metadata_of_another_type_are_one_line(change, odd, tmp_path):
    with pytest.raises(InputError, match=rf"bag: not a readable bag \({odd} where its metadata"):
        Bag(with_metadata(tmp_path / "bag", change))


def test_metadata_without_end_are_not_read(tmp_path):
    path = bag_of(tmp_path / "bag", 10) / "metadata.yaml"
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"metadata\.yaml: .*a pipe or a device"):
        Bag(path.parent)
