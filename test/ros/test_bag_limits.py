"""Bags that would unpack to much more than they are, or name files elsewhere."""

from __future__ import annotations

import itertools
import re
import struct
import tracemalloc
from bz2 import BZ2Decompressor, compress
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from lz4.frame import LZ4FrameDecompressor
from lz4.frame import compress as lz4_compress
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

from lircdepth_core.errors import InputError
from lircdepth_ros import bag_limits
from lircdepth_ros.bag_limits import check_chunks, check_metadata, unpacked
from lircdepth_ros.replay_bag import Bag

LIMIT = 1 << 20
TEXT = "std_msgs/msg/String"


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag_limits, "MAX_UNPACKED_BYTES", LIMIT)


def bag_of(
    folder: Path,
    length: int,
    mode: CompressionMode = CompressionMode.NONE,
    storage: StoragePlugin = StoragePlugin.MCAP,
) -> Path:
    """A rosbag2 folder with three messages, each a text of so many characters."""
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Ros2Writer(folder, version=9, storage_plugin=storage)
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    data = store.serialize_cdr(store.types[TEXT]("x" * length), TEXT)
    with writer:
        topic = writer.add_connection("/text", TEXT, typestore=store)
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
