"""Any rosbag2 or ROS 1 bag as one stream of serialised ROS 2 messages in the order of recording."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.machinery import PathFinder
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.convert.converter import LATCH, is_same_wireformat, migrate_bytes
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag1,
    ConnectionExtRosbag2,
    MessageDefinitionFormat,
    Qos,
)
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from lircdepth_core.errors import InputError
from lircdepth_core.result_files import DISK_FULL
from lircdepth_ros.bag_limits import check_chunks, check_metadata, unpacked_message

ROS1_MAGIC = b"#ROSBAG V"
STAMP_END = 12  # bytes: the encapsulation, and sec and nanosec of a leading std_msgs/Header
CDR_ENCAPSULATIONS = (b"\x00\x00", b"\x00\x01")  # big and little endian plain CDR
MESSAGE_TYPE = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")


class BagMessage(NamedTuple):
    """One recorded message."""

    topic: str
    time: int
    """When it was recorded, ns."""
    data: bytes
    """CDR with its 4-byte encapsulation header, as ROS 2 sends it."""


@dataclass(frozen=True)
class BagTopic:
    """A recorded topic that can be published here."""

    name: str
    """Absolute, as recorded."""
    message_class: type
    message_count: int
    recorded_qos: tuple[Qos, ...]
    """What the recorded publishers offered; empty if the bag does not say."""


class Bag:
    """An open bag: a rosbag2 folder, a single .mcap or .db3 file, or a ROS 1 .bag file.

    ROS 1 messages are converted to CDR; those whose type ROS 2 Jazzy does not have under the same
    name are skipped. A use of it as a context manager closes the bag.

    Attributes:
        start_time, end_time: ns, of the first message and just after the last.
        topics: what can be played, by absolute name.
        skipped: reason by name, for each topic that cannot be played.
        unusable: by name, how many messages read so far could not be used.

    Raises:
        InputError: the path is no bag, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, BagTopic] = {}
        self.skipped: dict[str, str] = {}
        self.unusable: dict[str, int] = {}
        self._to_cdr: dict[tuple[str, str], Callable[[bytes], bytes | memoryview]] = {}
        if not path.exists():
            raise InputError(
                f"{path}: no such bag; give a rosbag2 folder, .mcap, .db3 or .bag file"
            )
        try:
            if path.is_dir():
                check_metadata(path)
            self._reader = _reader(path)
            self._reader.open()
        except Exception as error:  # a damaged file makes rosbags raise almost anything
            if isinstance(error, OSError) and error.errno in DISK_FULL:  # a whole file compressed
                raise InputError(
                    f"{path}: no room to unpack it in {tempfile.gettempdir()}; free some, or set "
                    "TMPDIR to another folder"
                ) from error
            raise self._unreadable(error) from error
        try:
            self._unpack = self._limited()
            if self._reader.message_count == 0:
                raise InputError(f"{path}: the bag holds no messages")
            self.start_time, self.end_time = self._reader.start_time, self._reader.end_time
            self._check_metadata()
            for name, connections in groupby(
                sorted(self._reader.connections, key=_name), key=_name
            ):
                self._add_topic(name, list(connections))
        except BaseException:
            self._reader.close()
            raise

    def _check_metadata(self) -> None:
        """See that names are names and numbers are numbers; rosbags takes them as it finds them."""
        numbers = [self.start_time, self.end_time, self._reader.message_count]
        numbers += [connection.msgcount for connection in self._reader.connections]
        names = [
            name
            for connection in self._reader.connections
            for name in (connection.topic, connection.msgtype)
        ]
        odd: list[object] = [value for value in numbers if type(value) is not int]
        odd += [value for value in names if not isinstance(value, str)]
        hashes = [connection.digest for connection in self._reader.connections]
        odd += [value for value in hashes if not isinstance(value, str | None)]
        if odd:
            raise self._unreadable(
                TypeError(
                    f"{odd[0]!r:.40} where its metadata name a topic, "
                    "a type, its hash, a time or a number of messages"
                )
            )

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    def messages(
        self, names: Collection[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages of the named topics recorded in [start, stop) ns, in order of recording.

        Raises:
            InputError: the file is damaged here.
        """
        connections: Any = [x for x in self._reader.connections if _name(x) in names]
        if not connections:  # rosbags takes an empty list for "all"
            return
        stream = self._reader.messages(connections, start, stop)
        while True:
            try:
                connection, time, data = next(stream)
                if type(time) is not int or not isinstance(data, bytes):  # a database has any
                    raise TypeError(f"{time!r:.40} and {data!r:.40} where a time and data are")
                data = self._unpack(data)
            except StopIteration:
                return
            except Exception as error:  # as when opening: whatever rosbags meets in a damaged file
                raise self._unreadable(error) from error
            name = _name(connection)
            cdr = self._cdr(connection, data)
            if cdr is None:
                self.unusable[name] = self.unusable.get(name, 0) + 1
            else:
                yield BagMessage(name, time, cdr)

    def _limited(self) -> Callable[[bytes], bytes]:
        """Keep the reader from unpacking more than is allowed; what unpacks a message."""
        storage: Any = getattr(self._reader, "storage", None)  # of a rosbag2 alone
        try:
            check_chunks(getattr(storage, "storages", [storage]))
        except InputError as error:
            raise self._unreadable(error) from error
        if storage is None or storage.metadata.compression_mode != "message":
            return bytes
        storage.metadata = storage.metadata._replace(compression_mode=None)
        return unpacked_message

    def _add_topic(self, name: str, connections: list[Connection]) -> None:
        types = sorted({x.msgtype for x in connections})
        if len(types) > 1:
            self.skipped[name] = f"recorded with several types: {', '.join(types)}"
            return
        message_class = _message_class(types[0])
        if message_class is None:
            hint = (
                "use the calibration file beside the bag"
                if types[0] == "tf2_msgs/msg/TFMessage"
                else "install the package that defines it"
            )
            self.skipped[name] = f"no Python type {types[0]} installed; {hint}"
            return
        try:
            if isinstance(connections[0].ext, ConnectionExtRosbag1):
                for connection in connections:
                    definition = (connection.msgtype, connection.digest)
                    if definition not in self._to_cdr:
                        self._to_cdr[definition] = _ros1_converter(connection)
            elif difference := _definition_difference(connections[0]):
                self.skipped[name] = difference
                return
        except (TypesysError, KeyError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self.skipped[name] = f"its recorded type {types[0]} cannot be used here: {reason}"
            return
        self.topics[name] = BagTopic(
            name,
            message_class,
            sum(x.msgcount for x in connections),
            tuple(qos for x in connections for qos in _recorded_qos(x)),
        )

    def _cdr(self, connection: Connection, data: bytes) -> bytes | None:
        if convert := self._to_cdr.get((connection.msgtype, connection.digest)):
            try:
                data = bytes(convert(data))
            except (SerdeError, KeyError, ValueError, AssertionError):
                return None
        return data if len(data) >= 4 and data[:2] in CDR_ENCAPSULATIONS else None

    def _unreadable(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return InputError(
            f"{self.path}: not a readable bag ({reason}); give a complete rosbag2 folder, .mcap, "
            ".db3 or .bag file"
        )


def header_stamp(message: BagMessage) -> int:
    """header.stamp, ns, of a message whose first field is a std_msgs/Header.

    Raises:
        InputError: the message is too short to hold one.
    """
    if len(message.data) < STAMP_END:
        raise InputError(f"{message.topic}: a recorded message is too short to hold a header")
    order: Any = "little" if message.data[1] else "big"
    seconds = int.from_bytes(message.data[4:8], order, signed=True)
    return seconds * 10**9 + int.from_bytes(message.data[8:12], order)


def absolute(topic: str) -> str:
    """The topic name with a leading slash; ROS 1 bags and people leave it out."""
    return "/" + topic.lstrip("/")


def _name(connection: Connection) -> str:
    return absolute(connection.topic)


def _reader(path: Path) -> Ros1Reader | Ros2Reader:
    if path.is_file():
        with path.open("rb") as file:
            if path.suffix == ".bag" or file.read(len(ROS1_MAGIC)) == ROS1_MAGIC:
                return Ros1Reader(path)
    return Ros2Reader(path)


def _message_class(message_type: str) -> type | None:
    """The installed Python class, or None. Only packages that hold messages are imported."""
    match = MESSAGE_TYPE.fullmatch(message_type)
    if match is None:
        return None
    package, name = match.groups()
    # To import a module runs it: an installed one may do anything.
    spec = PathFinder.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    if not any((Path(folder) / "msg" / "__init__.py").is_file() for folder in folders):
        return None
    try:
        found = getattr(importlib.import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None
    return found if hasattr(found, "get_fields_and_field_types") else None


def _recorded_qos(connection: Connection) -> list[Qos]:
    if isinstance(connection.ext, ConnectionExtRosbag2):
        return connection.ext.offered_qos_profiles
    return LATCH if connection.ext.latching else []


def _definition_difference(connection: Connection) -> str | None:
    """How the recorded message definition differs from the installed one, or None."""
    if connection.msgdef.format != MessageDefinitionFormat.MSG:
        return None
    for name, (_, fields) in get_types_from_msg(connection.msgdef.data, connection.msgtype).items():
        installed: Any = _message_class(name)
        if installed is None:
            return f"no Python type {name} installed; install the package that defines it"
        names = [field for field, _ in fields]
        if names != list(installed.get_fields_and_field_types()):
            return f"{name} was recorded with other fields than the installed one has"
    return None


def _ros1_converter(connection: Connection) -> Callable[[bytes], bytes | memoryview]:
    """What makes ROS 2 CDR of a ROS 1 message: byte for byte where the fields agree."""
    ros2 = get_typestore(Stores.ROS2_JAZZY)
    ros1 = get_typestore(Stores.EMPTY)
    ros1.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
    kind = connection.msgtype
    if kind not in ros2.fielddefs:
        raise InputError("ROS 2 Jazzy has no type of that name")
    if is_same_wireformat(ros1, ros2, kind, kind):
        return partial(ros2.ros1_to_cdr, typename=kind)
    return partial(migrate_bytes, ros1, ros2, kind, kind, {}, src_is2=False, dst_is2=True)
