"""Bags written here are played over real DDS to readers in this process."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.convert.converter import default_message
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
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import Marker

from lircdepth_core.errors import InputError
from lircdepth_ros.replay import main, parse_arguments, split_ros_arguments
from lircdepth_ros.replay_bag import Bag, BagMessage, header_stamp
from lircdepth_ros.replay_options import ReplayOptions, ReplayReport
from lircdepth_ros.replay_player import replay

pytestmark = pytest.mark.timed

ROOT = Path(__file__).parents[2]
MILLISECOND = 1_000_000
BEGIN = 1_531_883_530 * 10**9
NEVER = QosTime(2147483647, 4294967295)
STORE = get_typestore(Stores.ROS2_JAZZY)

Row = tuple[str, int, Any]  # topic, ms after BEGIN, rclpy message


def recorded_qos(
    depth: int = 7,
    reliability: QosReliability = QosReliability.RELIABLE,
    durability: QosDurability = QosDurability.VOLATILE,
) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        reliability,
        durability,
        NEVER,
        NEVER,
        QosLiveliness.AUTOMATIC,
        NEVER,
        False,
    )


def text(value: str) -> String:
    return String(data=value)


def stamped(message: Any, milliseconds: int) -> Any:
    seconds, nanoseconds = divmod(BEGIN + milliseconds * MILLISECOND, 10**9)
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    message.header.frame_id = "camera"
    return message


def image(milliseconds: int) -> Image:
    return stamped(
        Image(height=2, width=3, step=3, encoding="mono8", data=bytes(range(6))), milliseconds
    )


def type_name(message: Any) -> str:
    package, _, _ = type(message).__module__.split(".", 2)
    return f"{package}/msg/{type(message).__name__}"


def write_bag(
    path: Path,
    rows: list[Row],
    storage: StoragePlugin = StoragePlugin.MCAP,
    qos: dict[str, list[Qos]] | None = None,
) -> Path:
    with Ros2Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, milliseconds, message in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic,
                    type_name(message),
                    typestore=STORE,
                    offered_qos_profiles=(qos or {}).get(topic, []),
                )
            data = serialize_message(message)
            writer.write(connections[topic], BEGIN + milliseconds * MILLISECOND, data)
    return path


class Readers:
    """Collects what arrives on topics as (topic, CDR bytes), in order of arrival."""

    def __init__(self, context: Any) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.node = rclpy.create_node("readers", context=context, start_parameter_services=False)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        while not self._over.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def read(
        self,
        message_class: type,
        topic: str,
        then: Callable[[bytes], None] | None = None,
        **qos: Any,
    ) -> None:
        def take(data: bytes) -> None:
            self.received.append((topic, data))
            if then is not None:
                then(data)

        profile = QoSProfile(**{"depth": 100, **qos})
        self.node.create_subscription(message_class, topic, take, profile, raw=True)
        self._executor.wake()

    def data(self, topic: str) -> list[bytes]:
        return [data for name, data in list(self.received) if name == topic]

    def messages(self, topic: str, message_class: type) -> list[Any]:
        return [deserialize_message(data, message_class) for data in self.data(topic)]

    def texts(self, topic: str) -> list[str]:
        return [message.data for message in self.messages(topic, String)]

    def expect(self, topic: str, count: int) -> None:
        """Wait until so many have arrived, at most 20 s."""
        deadline = time.monotonic() + 20
        while len(self.data(topic)) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.node.destroy_node()


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    made = rclpy.Context()
    rclpy.init(context=made)
    yield made
    rclpy.shutdown(context=made)


@pytest.fixture
def readers(context: Any) -> Iterator[Readers]:
    made = Readers(context)
    yield made
    made.close()


@pytest.fixture
def play(context: Any) -> Iterator[Callable[..., ReplayReport]]:
    node = rclpy.create_node("replay", context=context, start_parameter_services=False)

    def run(bag: Path, stop: threading.Event | None = None, **options: Any) -> ReplayReport:
        options = {"rate": 20.0, "wait_timeout": 10.0, **options}
        return replay(ReplayOptions(bag=bag, **options), node, stop)

    yield run
    node.destroy_node()


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_every_message_arrives_in_order_with_its_content(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport], storage: StoragePlugin
) -> None:
    rows: list[Row] = [("/image", 10 * i, image(10 * i)) for i in range(20)]
    bag = write_bag(tmp_path / "bag", rows, storage)
    readers.read(Image, "/image")
    report = play(bag, wait=("/image",))
    readers.expect("/image", 20)
    assert readers.messages("/image", Image) == [message for _, _, message in rows]
    assert report.sent == {"/image": 20}
    assert report.exit_code == 0


def test_a_single_file_without_its_folder_plays(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 0, text("a"))])
    readers.read(String, "/note")
    play(bag / "bag.mcap", wait=())
    readers.expect("/note", 1)
    assert readers.texts("/note") == ["a"]


def test_large_images_arrive_whole(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1600, 3), np.uint8)
    large = Image(height=900, width=1600, step=4800, encoding="rgb8")
    large.data.frombytes(pixels.tobytes())
    bag = write_bag(tmp_path / "bag", [("/image", 100 * i, large) for i in range(6)])
    readers.read(Image, "/image")
    play(bag, rate=2.0, wait=("/image",))
    readers.expect("/image", 6)
    assert readers.messages("/image", Image) == [large] * 6


def test_big_endian_messages_are_understood(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    with Ros2Writer(tmp_path / "bag", version=9) as writer:
        connection = writer.add_connection("/note", "std_msgs/msg/String", typestore=STORE)
        message = STORE.types["std_msgs/msg/String"]("motorola")
        data = STORE.serialize_cdr(message, "std_msgs/msg/String", little_endian=False)
        writer.write(connection, BEGIN, data)
        writer.write(connection, BEGIN + 1, b"\x07\x77no CDR")
    readers.read(String, "/note")
    report = play(tmp_path / "bag", wait=("/note",))
    readers.expect("/note", 1)
    assert readers.texts("/note") == ["motorola"]
    assert report.unusable == {"/note": 1}


def test_ros1_messages_are_converted_and_others_named(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    header = types["std_msgs/msg/Header"](
        seq=9, stamp=types["builtin_interfaces/msg/Time"](sec=12, nanosec=34), frame_id="cam"
    )
    image_type, marker_type = "sensor_msgs/msg/Image", "visualization_msgs/msg/Marker"
    picture = types[image_type](header, 1, 2, "mono8", 0, 2, np.array([5, 6], np.uint8))
    box = default_message(store, marker_type)
    box.header, box.text = header, "Jazzy's Marker has more fields than ROS 1's"
    with Ros1Writer(tmp_path / "old.bag") as writer:
        camera = writer.add_connection("cam_front/raw", image_type, typestore=store)
        writer.write(camera, BEGIN, store.serialize_ros1(picture, image_type))
        marked = writer.add_connection("/box", marker_type, typestore=store, latching=1)
        writer.write(marked, BEGIN, store.serialize_ros1(box, marker_type))
        own = writer.add_connection(
            "/objects", "nuscenes2bag/msg/Objects", msgdef="int32 number\n", md5sum="0" * 32
        )
        writer.write(own, BEGIN, b"\1\0\0\0")
    readers.read(Image, "/cam_front/raw")
    readers.read(Marker, "/box", durability=DurabilityPolicy.TRANSIENT_LOCAL)
    report = play(tmp_path / "old.bag", wait=("cam_front/raw", "/box"))
    readers.expect("/cam_front/raw", 1)
    readers.expect("/box", 1)
    (arrived,) = readers.messages("/cam_front/raw", Image)
    assert (arrived.header.stamp.sec, arrived.header.stamp.nanosec) == (12, 34)
    assert arrived.header.frame_id == "cam"
    assert (arrived.height, arrived.width, arrived.data.tolist()) == (1, 2, [5, 6])
    (marker,) = readers.messages("/box", Marker)
    assert (marker.header.frame_id, marker.text) == ("cam", box.text)
    assert report.sent == {"/cam_front/raw": 1, "/box": 1}
    assert "nuscenes2bag/msg/Objects" in report.skipped["/objects"]


def test_publishers_offer_the_recorded_qos(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    weak = recorded_qos(3, QosReliability.BEST_EFFORT)
    latched = recorded_qos(1, durability=QosDurability.TRANSIENT_LOCAL)
    rows: list[Row] = [(x, 0, text("a")) for x in ("/latched", "/plain", "/weak")]
    rows.append(("/weak", 20_000, text("end")))
    bag = write_bag(tmp_path / "bag", rows, qos={"/weak": [weak], "/latched": [latched]})
    stop = threading.Event()
    reports: list[ReplayReport] = []
    playing = threading.Thread(target=lambda: reports.append(play(bag, stop, rate=1.0)))
    playing.start()
    deadline = time.monotonic() + 5
    while len(readers.node.get_publishers_info_by_topic("/weak")) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)  # its messages are out: a late reader gets only what is transient local
    readers.read(String, "/latched", durability=DurabilityPolicy.TRANSIENT_LOCAL)
    readers.read(String, "/plain")
    readers.expect("/latched", 1)
    offered = {
        x: readers.node.get_publishers_info_by_topic(x)[0].qos_profile
        for x in ("/weak", "/plain", "/latched")
    }
    stop.set()
    playing.join()
    assert offered["/weak"].reliability == ReliabilityPolicy.BEST_EFFORT
    assert offered["/plain"].reliability == ReliabilityPolicy.RELIABLE
    assert offered["/plain"].durability == DurabilityPolicy.VOLATILE
    assert offered["/latched"].durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert readers.texts("/latched") == ["a"]
    assert readers.texts("/plain") == []
    assert reports[0].interrupted
    assert reports[0].sent["/weak"] == 1


def test_part_of_a_bag_under_other_names(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    rows: list[Row] = [("/tf_static", 0, text("static"))]  # any type: its name makes it latched
    rows += [("/note", 100 * i, text(str(i))) for i in range(10)]
    rows += [("/other", 100 * i, text(str(i))) for i in range(10)]
    rows.sort(key=lambda row: row[1])
    bag = write_bag(tmp_path / "bag", rows)
    readers.read(String, "/renamed")
    readers.read(String, "/tf_static")
    report = play(
        bag,
        wait=("/renamed", "/tf_static"),
        topics=("note", "/tf_static"),
        remap={"/note": "/renamed"},
        start=0.3,
        duration=0.4,
    )
    readers.expect("/renamed", 4)
    readers.expect("/tf_static", 1)
    assert readers.texts("/renamed") == ["3", "4", "5", "6"]
    assert readers.texts("/tf_static") == ["static"]
    assert report.sent == {"/renamed": 4, "/tf_static": 1}


def test_a_loop_plays_again(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 50 * i, text(str(i))) for i in range(3)])
    readers.read(String, "/note")
    play(bag, wait=(), loop=2)
    readers.expect("/note", 6)
    assert readers.texts("/note") == ["0", "1", "2", "0", "1", "2"]


def test_pace_is_the_recorded_one_times_rate(
    tmp_path: Path, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 100 * i, text(str(i))) for i in range(11)])
    report = play(bag, rate=2.0)
    assert 0.5 <= report.wall_time <= 0.6 + report.latest


def test_clock_tells_recording_time_before_each_message_and_in_gaps(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", t, text(str(t))) for t in (0, 30, 250)])
    readers.read(Clock, "/clock")
    readers.read(String, "/note")
    report = play(bag, wait=("/note",), clock=10.0)
    readers.expect("/clock", 5)
    clocks = [message.clock for message in readers.messages("/clock", Clock)]
    assert [x.sec * 10**9 + x.nanosec - BEGIN for x in clocks] == [
        t * MILLISECOND for t in (0, 30, 130, 230, 250)
    ]
    assert report.sent == {"/clock": 5, "/note": 3}


@pytest.mark.parametrize("time", [-5, 2**31 * 10**9, 2**62])
def test_a_time_that_no_clock_of_ros_shows_is_refused_before_anything_is_sent(
    tmp_path: Path, play: Callable[..., ReplayReport], time: int
) -> None:
    with Ros2Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        topic = writer.add_connection("/note", "std_msgs/msg/String", typestore=STORE)
        for recorded in sorted([10**9, 2 * 10**9, time]):
            writer.write(topic, recorded, serialize_message(text("a")))
    bag = tmp_path / "bag" / "bag.db3"
    with pytest.raises(InputError, match=rf"^{bag}: --clock cannot tell .* {time} ns, ROS's are"):
        play(bag, clock=10.0, wait=("/note",), wait_timeout=0.1)
    report = play(bag, clock=1.0, start=1.0 if time < 0 else 0.0, duration=3.0)
    assert report.sent["/note"] == 2


def test_a_time_that_the_metadata_hide_ends_the_replay_with_one_line(
    tmp_path: Path, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", t, text("a")) for t in (0, 2**62 // MILLISECOND)])
    metadata = bag / "metadata.yaml"
    lines = metadata.read_text().splitlines()
    hidden = [re.sub(r"( nanoseconds:) \d+", r"\1 1000000000", line) for line in lines]
    metadata.write_text("\n".join(hidden))
    with pytest.raises(InputError, match=rf"^{bag}: --clock cannot tell the recording time \d+ ns"):
        play(bag, clock=1e-9)


def test_a_name_that_is_cut_at_its_nul_is_not_played(
    tmp_path: Path, play: Callable[..., ReplayReport]
) -> None:
    rows: list[Row] = [("/note", 0, text("a")), ("/note\0evil", 1, text("b"))]
    report = play(write_bag(tmp_path / "bag", rows))
    assert report.sent == {"/note": 1}
    assert "no valid topic name" in report.skipped["/note\\x00evil"]
    bag = write_bag(tmp_path / "odd", [("/a\n\0b", 1, text("b"))])
    with pytest.raises(InputError, match=r"nothing to play \(/a\\n\\x00b: .* no valid") as raised:
        play(bag)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"--remap .* is no valid topic name"):
        play(tmp_path / "bag", remap={"/note": "/a\0b"})


def test_a_bag_cannot_have_any_module_imported(
    tmp_path: Path, play: Callable[..., ReplayReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "harmful.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    (tmp_path / "harmful_too").mkdir()
    (tmp_path / "harmful_too" / "__init__.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    bag = tmp_path / "bag"
    with Ros2Writer(bag, version=9) as writer:
        for package in ("harmful", "harmful_too"):
            connection = writer.add_connection(
                f"/{package}",
                f"{package}/msg/Own",
                msgdef="int32 number\n",
                rihs01="RIHS01_" + "0" * 64,
            )
            writer.write(connection, BEGIN, b"\0\1\0\0\1\0\0\0")
    with pytest.raises(InputError, match=r"nothing to play.*harmful/msg/Own"):
        play(bag)
    assert not ran.exists()


def test_types_that_are_not_installed_are_named_once(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = tmp_path / "bag"
    with Ros2Writer(bag, version=9) as writer:
        own = writer.add_connection(
            "/own", "acme_msgs/msg/Own", msgdef="int32 number\n", rihs01="RIHS01_" + "0" * 64
        )
        other = writer.add_connection(
            "/odd", "std_msgs/msg/Bool", msgdef="int32 number\n", rihs01="RIHS01_" + "0" * 64
        )
        note = writer.add_connection("/note", "std_msgs/msg/String", typestore=STORE)
        for i in range(3):
            writer.write(own, BEGIN + i, b"\0\1\0\0\1\0\0\0")
            writer.write(other, BEGIN + i, b"\0\1\0\0\1\0\0\0")
            writer.write(note, BEGIN + i, serialize_message(text("a")))
    report = play(bag)
    assert report.sent == {"/note": 3}
    assert set(report.skipped) == {"/own", "/odd"}
    assert "acme_msgs/msg/Own" in report.skipped["/own"]
    assert "other fields" in report.skipped["/odd"]
    assert str(report).count("acme_msgs/msg/Own") == 1
    with pytest.raises(InputError, match=r"nothing to play.*acme_msgs/msg/Own"):
        play(bag, topics=("/own",))


def test_first_message_waits_for_its_reader(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 0, text("a")), ("/other", 0, text("b"))])
    timer = threading.Timer(0.7, lambda: readers.read(String, "/note"))
    timer.start()
    play(bag, wait=("/note",))
    readers.expect("/note", 1)
    assert readers.texts("/note") == ["a"]
    with pytest.raises(InputError, match=r"no reader on /other after 0\.2 s"):
        play(bag, wait=("/note", "/other"), wait_timeout=0.2)
    with pytest.raises(InputError, match=r"/nowhere: not among the topics played"):
        play(bag, wait=("/nowhere",))


def test_first_message_waits_for_as_many_readers_as_are_wanted(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 0, text("a"))])
    readers.read(String, "/note")
    with pytest.raises(InputError, match=r"fewer than 2 readers on /note after 0\.5 s"):
        play(bag, wait=("/note",), wait_readers=2, wait_timeout=0.5)
    timer = threading.Timer(0.7, lambda: readers.read(String, "/note"))
    timer.start()
    play(bag, wait=("/note",), wait_readers=2)
    readers.expect("/note", 2)
    assert readers.texts("/note") == ["a", "a"]


def test_where_there_is_no_room_to_unpack_a_bag_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    writer = Ros2Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with writer:
        note = writer.add_connection("/note", "std_msgs/msg/String", typestore=STORE)
        for moment in range(20):
            writer.write(note, BEGIN + moment, serialize_message(text("a" * 100_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(InputError, match=rf"{path}: no room to unpack it in .*TMPDIR"):
            Bag(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class SlowNode:
    """Answers each image after a while, as the depth node does, and keeps the order of events."""

    def __init__(self, readers: Readers, unanswered: tuple[int, ...] = ()) -> None:
        self.events: list[str] = []
        self._unanswered = unanswered
        self._publisher = readers.node.create_publisher(Image, "/depth/image_rect", 10)
        readers.read(Image, "/cam/image", self._answer)
        readers.read(PointCloud2, "/radar", lambda data: self._note("radar", data))
        readers.read(CameraInfo, "/cam/camera_info", lambda data: self._note("info", data))

    def _note(self, kind: str, data: bytes) -> int:
        stamp = (header_stamp(BagMessage("", 0, data)) - BEGIN) // MILLISECOND
        self.events.append(f"{kind} {stamp}")
        return stamp

    def _answer(self, data: bytes) -> None:
        stamp = self._note("image", data)
        if stamp not in self._unanswered:
            threading.Timer(0.15, self._publish, (stamp,)).start()

    def _publish(self, stamp: int) -> None:
        self.events.append(f"answer {stamp}")
        self._publisher.publish(image(stamp))


def driving() -> list[Row]:
    rows: list[Row] = []
    for start in range(0, 240, 80):
        rows.append(("/cam/camera_info", start, stamped(CameraInfo(), start)))
        rows.append(("/cam/image", start, image(start)))
        rows.append(("/radar", start + 52, stamped(PointCloud2(), start + 52)))
    return rows


def test_lockstep_sends_one_image_at_a_time_with_the_radar_after_it(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", driving())
    node = SlowNode(readers)
    report = play(bag, rate=None, lockstep=True, answer_topic="/depth/image_rect")
    images = [x for x in node.events if x.split()[0] in ("image", "answer")]
    assert images == ["image 0", "answer 0", "image 80", "answer 80", "image 160", "answer 160"]
    at = node.events.index
    assert at("radar 52") < at("answer 0") < at("radar 132") < at("answer 80") < at("radar 212")
    assert at("answer 0") < at("info 80") < at("answer 80") < at("info 160")
    assert (report.answered, report.unanswered, report.exit_code) == (3, [], 0)


def test_lockstep_names_the_image_without_answer(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", driving())
    node = SlowNode(readers, unanswered=(80,))
    report = play(
        bag, rate=None, lockstep=True, answer_topic="/depth/image_rect", answer_timeout=0.5
    )
    assert report.unanswered == [BEGIN + 80 * MILLISECOND]
    assert report.answered == 2
    assert report.exit_code == 1
    assert "no answer to the image stamped 1531883530.080000000" in str(report)
    assert node.events.index("image 80") < node.events.index("image 160")


def test_lockstep_with_a_rate_is_never_faster(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", driving())
    SlowNode(readers)
    report = play(bag, rate=0.2, lockstep=True, answer_topic="/depth/image_rect")
    assert report.answered == 3
    assert report.wall_time >= 0.212 / 0.2


def test_a_stop_ends_the_wait_for_an_answer(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", driving())
    node = SlowNode(readers, unanswered=(0,))
    stop = threading.Event()
    readers.read(Image, "/cam/image", lambda _: stop.set())
    report = play(bag, stop, rate=None, lockstep=True, answer_topic="/depth/image_rect")
    assert report.interrupted
    assert report.sent["/cam/image"] == 1
    assert [x for x in node.events if x.startswith("image")] == ["image 0"]


def test_lockstep_takes_no_recorded_depth_for_an_answer(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    recorded = [("/depth/image_rect", x[1] + 1, x[2]) for x in driving() if x[0] == "/cam/image"]
    bag = write_bag(tmp_path / "bag", driving() + recorded)
    SlowNode(readers, unanswered=(80,))
    report = play(
        bag, rate=None, lockstep=True, answer_topic="/depth/image_rect", answer_timeout=0.5
    )
    assert report.unanswered == [BEGIN + 80 * MILLISECOND]
    assert report.skipped["/depth/image_rect"].startswith("the node answers there")


def test_lockstep_asks_which_image_if_two_are_read(
    tmp_path: Path, readers: Readers, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/left", 0, image(0)), ("/right", 0, image(0))])
    readers.read(Image, "/left")
    readers.read(Image, "/right")
    with pytest.raises(InputError, match=r"--image-topic must say which.*/left, /right"):
        play(bag, rate=None, lockstep=True)
    with pytest.raises(InputError, match=r"no publisher of answers on /nobody after 0\.3 s"):
        play(bag, lockstep=True, image_topic="/left", answer_topic="/nobody", wait_timeout=0.3)
    readers.read(String, "/note")
    note = write_bag(tmp_path / "note", [("/note", 0, text("a"))])
    with pytest.raises(InputError, match=r"--lockstep needs .* topic to play, and /note is none"):
        play(note, lockstep=True, image_topic="/note")
    with pytest.raises(InputError, match=r"--lockstep needs .* topic to play, and there is none"):
        play(note, lockstep=True, wait=("/note",))


def damaged_bags(folder: Path) -> dict[str, Path]:
    rows: list[Row] = [("/note", i, text("x" * 100)) for i in range(100)]
    mcap = write_bag(folder / "m", rows) / "m.mcap"
    database = write_bag(folder / "s", rows, StoragePlugin.SQLITE3) / "s.db3"
    for file in (mcap, database):
        file.write_bytes(file.read_bytes()[:-3000])
    (folder / "old.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    (folder / "picture.mcap").write_bytes(b"\x89PNG\r\n" * 20)
    (folder / "notes.txt").write_text("no bag")
    (folder / "empty").mkdir()
    with Ros2Writer(folder / "blank", version=9) as writer:
        writer.add_connection("/note", "std_msgs/msg/String", typestore=STORE)
    qos = write_bag(folder / "qos", rows, StoragePlugin.SQLITE3) / "metadata.yaml"
    qos.write_text(qos.read_text().replace("offered_qos_profiles: []", "offered_qos_profiles: '{'"))
    return {
        "missing": folder / "missing",
        "truncated mcap": mcap,
        "truncated mcap folder": mcap.parent,
        "truncated database": database.parent,
        "ros1": folder / "old.bag",
        "not mcap": folder / "picture.mcap",
        "text": folder / "notes.txt",
        "empty folder": folder / "empty",
        "bad qos text": qos.parent,
        "no messages": folder / "blank",
    }


def test_bad_bags_are_one_line_that_names_the_file(
    tmp_path: Path, play: Callable[..., ReplayReport]
) -> None:
    for what, path in damaged_bags(tmp_path).items():
        with pytest.raises(InputError) as raised:
            play(path)
        assert str(path) in str(raised.value), what
        assert "\n" not in str(raised.value), what


def test_options_that_do_not_fit_the_bag_name_what_it_has(
    tmp_path: Path, play: Callable[..., ReplayReport]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", t, text("a")) for t in (0, 1000)])
    with pytest.raises(InputError, match=r"no topic /foo; it has /note"):
        play(bag, topics=("/foo",))
    with pytest.raises(InputError, match=r"no topic /foo; it has /note"):
        play(bag, remap={"/foo": "/bar"})
    with pytest.raises(InputError, match=r"--start 5 is beyond its 1\.000 s"):
        play(bag, start=5.0)
    with pytest.raises(InputError, match="nothing was recorded in the part to play"):
        play(bag, start=0.2, duration=0.2, loop=0)
    with pytest.raises(InputError, match=r"^--remap /note:=/1: /1 is no valid topic name"):
        play(bag, remap={"/note": "/1"})


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lircdepth_ros.replay", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_its_report(
    tmp_path: Path, readers: Readers, number: signal.Signals
) -> None:
    bag = write_bag(tmp_path / "bag", [("/note", 50 * i, text(str(i))) for i in range(4)])
    readers.read(String, "/note")
    process = command(str(bag), "--loop", "--wait", "/note", "--ros-args", "-r", "__node:=player")
    readers.expect("/note", 5)
    assert readers.texts("/note")[:5] == ["0", "1", "2", "3", "0"]
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert "interrupted" in out
    assert "/note: " in out
    assert "Traceback" not in err


def test_the_command_ends_with_1_if_an_image_is_unanswered(
    tmp_path: Path, readers: Readers
) -> None:
    bag = write_bag(tmp_path / "bag", driving())
    SlowNode(readers, unanswered=(80,))
    options = ("--lockstep", "--answer-topic", "/depth/image_rect", "--answer-timeout", "0.5")
    process = command(str(bag), *options)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1, err
    assert "images answered: 2, not: 1" in out
    assert "1531883530.080000000" in out


def test_the_command_refuses_a_missing_bag_with_one_line() -> None:
    process = command("/nothing/here")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "/nothing/here" in err


def test_without_rosbags_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [x for x in sys.modules if x.startswith(("rosbags", "lircdepth_ros.replay_"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "rosbags", None)
    assert main(["bag"]) == 2
    assert "pip install 'numpy<2' '.[bag]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bag", "--rate", "fast"], "--rate: 'fast' is not a number above 0"),
        (["bag", "--loop", "-1"], "--loop: '-1' is not a whole number of 0 or more"),
        (["bag", "--remap", "/a=/b"], "'/a=/b' is not of the form OLD:=NEW"),
        (["bag", "--ros-args", "-r", "nonsense"], "nonsense"),
    ],
)
def test_wrong_arguments_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    try:
        status: object = main(arguments)
    except SystemExit as end:  # argparse
        status = end.code
    assert status == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_a_plain_remap_is_ours_and_what_follows_ros_args_is_not() -> None:
    line = "bag --remap /a:=/b --ros-args -r /c:=/d -- --loop"
    plain, ros = split_ros_arguments(line.split())
    assert plain == ["bag", "--remap", "/a:=/b", "--loop"]
    assert ros == ["--ros-args", "-r", "/c:=/d", "--"]


def test_every_option_reaches_the_player() -> None:
    line = (
        "bag --topics /a b --start 1 --duration 2 --loop --rate 3 --remap /a:=/c --remap b:=d "
        "--clock --qos-reliability best_effort --wait --wait-timeout 4 --lockstep "
        "--image-topic /c --answer-topic /e --answer-timeout 5"
    )
    assert parse_arguments(line.split()) == ReplayOptions(
        bag=Path("bag"),
        rate=3.0,
        loop=0,
        start=1.0,
        duration=2.0,
        topics=("/a", "b"),
        remap={"/a": "/c", "b": "d"},
        clock=40.0,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        wait=(),
        wait_timeout=4.0,
        lockstep=True,
        image_topic="/c",
        answer_topic="/e",
        answer_timeout=5.0,
    )
    assert parse_arguments(["bag"]) == ReplayOptions(bag=Path("bag"))
