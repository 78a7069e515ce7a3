"""Pure parts of the replay: the lockstep order, the clock and the offered quality of service."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from lircdepth_core.errors import InputError
from lircdepth_ros.replay_bag import BagMessage, header_stamp
from lircdepth_ros.replay_clock import CLOCK_END, CLOCK_TOPIC, with_clock
from lircdepth_ros.replay_lockstep import LATEST, SENT_AHEAD, AwaitAnswer, lockstep
from lircdepth_ros.replay_qos import publisher_qos

MILLISECOND = 1_000_000
STAMPED = ["/cam/image", "/cam/camera_info", "/radar"]
NEVER = QosTime(2147483647, 4294967295)
DEPTHS = range(1, 2**31)


def message(topic: str, milliseconds: int, stamp: int | None = None) -> BagMessage:
    stamp = milliseconds if stamp is None else stamp
    seconds, nanoseconds = divmod(stamp * MILLISECOND, 10**9)
    data = b"\0\1\0\0" + seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little")
    return BagMessage(topic, milliseconds * MILLISECOND, data)


def order(messages: list[BagMessage]) -> list[str]:
    steps = lockstep(messages, "/cam/image", STAMPED, ["/tf"])
    return [
        f"await {x.stamp // MILLISECOND}"
        if isinstance(x, AwaitAnswer)
        else f"{x.topic} {header_stamp(x) // MILLISECOND}"
        for x in steps
    ]


def test_camera_info_of_a_compressed_image_stays_back_as_well() -> None:
    image, info = "/cam/image_raw/compressed", "/cam/camera_info"
    recorded = [message(image, 0), message(info, 1, stamp=0)]
    recorded += [message(info, 33, stamp=33), message(image, 34, stamp=33)]
    steps = list(lockstep(recorded, image, [image, info]))
    sent = [step.topic for step in steps if isinstance(step, BagMessage)]
    assert sent == [image, info, info, image]
    assert [isinstance(step, AwaitAnswer) for step in steps] == [0, 0, 1, 0, 0, 1]


def test_camera_info_keeps_its_place_beside_its_image() -> None:
    recorded = [
        message("/cam/image", 0),
        message("/cam/camera_info", 1, stamp=0),
        message("/cam/image", 50),
        message("/cam/camera_info", 51, stamp=50),
        message("/radar", 60),
        message("/cam/camera_info", 99, stamp=100),
        message("/cam/image", 100),
        message("/radar", 101),
    ]
    assert order(recorded) == [
        "/cam/image 0",
        "/cam/camera_info 0",
        "/radar 60",
        "await 0",
        "/cam/image 50",
        "/cam/camera_info 50",
        "/radar 101",
        "await 50",
        "/cam/camera_info 100",
        "/cam/image 100",
        "await 100",
    ]


def test_what_comes_more_than_100_ms_after_the_image_waits_for_the_answer() -> None:
    recorded = [message("/cam/image", 0), message("/radar", 100), message("/radar", 101)]
    assert order(recorded) == ["/cam/image 0", "/radar 100", "await 0", "/radar 101"]


def test_what_is_recorded_late_comes_before_the_answer_by_its_stamp() -> None:
    recorded = [
        message("/cam/image", 1010, stamp=1000),
        message("/tf", 1110),
        message("/tf", 1111),
        message("/radar", 1170, stamp=1050),
        message("/cam/image", 1172, stamp=1162),
        message("/radar", 1240, stamp=1120),
        message("/radar", 1241, stamp=1090),
    ]
    sent = list(lockstep(recorded, "/cam/image", STAMPED, ["/tf"]))
    first, second = AwaitAnswer(1000 * MILLISECOND), AwaitAnswer(1162 * MILLISECOND)
    image, tf, later_tf, radar, later_image, later_radar, out_of_order = recorded
    assert sent[:4] == [image, tf, radar, first]
    assert sent[4:] == [later_tf, later_image, later_radar, out_of_order, second]


def test_what_was_recorded_more_than_a_second_late_is_not_waited_for() -> None:
    recorded = [message("/cam/image", 0), message("/radar", 1200, stamp=10)]
    recorded.insert(1, message("/tf", 1101))
    assert order(recorded)[:2] == ["/cam/image 0", "await 0"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/cam/image", "/cam/camera_info", "/radar", "/tf"]),
            st.integers(0, 60),
        ),
        max_size=40,
    ),
    st.integers(0, 150),
)
def test_lockstep_loses_nothing_and_never_has_two_images_under_way(
    gaps: list[tuple[str, int]], radar_delay: int
) -> None:
    now = 1000
    recorded = []
    for topic, gap in gaps:
        now += gap
        recorded.append(message(topic, now, now - radar_delay if topic == "/radar" else now))
    steps = list(lockstep(recorded, "/cam/image", STAMPED, ["/tf"]))
    sent = [x for x in steps if isinstance(x, BagMessage)]
    assert sorted(sent) == sorted(recorded)
    for topic in (*STAMPED, "/tf"):
        assert [x for x in sent if x.topic == topic] == [x for x in recorded if x.topic == topic]

    under_way: BagMessage | None = None
    unsent = list(recorded)
    for step in steps:
        if isinstance(step, AwaitAnswer):
            assert under_way is not None
            assert step.stamp == header_stamp(under_way)
            horizon = under_way.time + SENT_AHEAD
            left = [x for x in unsent if x.time <= under_way.time + SENT_AHEAD + LATEST]
            assert not [x for x in left if x.topic == "/tf" and x.time <= horizon]
            assert not [x for x in left if x.topic == "/radar" and header_stamp(x) <= horizon]
            under_way = None
            continue
        unsent.remove(step)
        if step.topic == "/cam/image":
            assert under_way is None
            under_way = step
        elif under_way is not None and step.topic != "/cam/camera_info":
            time = header_stamp(step) if step.topic == "/radar" else step.time
            assert time <= under_way.time + SENT_AHEAD
    assert under_way is None


def test_an_image_without_header_is_named() -> None:
    broken = BagMessage("/cam/image", 0, b"\0\1\0\0")
    with pytest.raises(InputError, match="/cam/image"):
        list(lockstep([broken], "/cam/image"))


def test_big_endian_stamp() -> None:
    data = b"\0\0\0\0" + (7).to_bytes(4, "big") + (8).to_bytes(4, "big")
    assert header_stamp(BagMessage("/a", 0, data)) == 7_000_000_008


def test_the_clock_tells_every_time_that_ros_has() -> None:
    times = [0, 1, CLOCK_END - 1]
    found = list(with_clock([BagMessage("/a", x, b"") for x in times], 1e-9, Path("bag")))
    clocks = [x for x in found if x.topic == CLOCK_TOPIC]
    assert [header_stamp(x) for x in clocks] == [x.time for x in clocks]
    assert {*times} <= {x.time for x in clocks}


@pytest.mark.parametrize("time", [-5, CLOCK_END, 2**62, 2**64])
def test_a_time_that_ros_has_not_is_named_with_its_bag(time: int) -> None:
    messages = with_clock([BagMessage("/a", x, b"") for x in (7, time)], 1e-9, Path("some/bag"))
    assert [next(messages).topic, next(messages).topic] == [CLOCK_TOPIC, "/a"]
    with pytest.raises(InputError, match=rf"^some/bag: --clock cannot tell .* {time} ns"):
        next(messages)


def offered(
    history: QosHistory = QosHistory.KEEP_LAST,
    depth: object = 5,
    reliability: QosReliability = QosReliability.RELIABLE,
    durability: QosDurability = QosDurability.VOLATILE,
) -> Qos:
    return Qos(
        history,
        depth,  # type: ignore[arg-type]
        reliability,
        durability,
        NEVER,
        NEVER,
        QosLiveliness.AUTOMATIC,
        NEVER,
        False,
    )


def test_what_the_bag_does_not_say_gets_the_default() -> None:
    plain, remark = publisher_qos("/image", [])
    assert remark is None
    assert (plain.reliability, plain.durability) == (
        ReliabilityPolicy.RELIABLE,
        DurabilityPolicy.VOLATILE,
    )
    assert (plain.history, plain.depth) == (HistoryPolicy.KEEP_LAST, 10)
    static, remark = publisher_qos("/tf_static", [])
    assert remark is None
    assert (static.durability, static.depth) == (DurabilityPolicy.TRANSIENT_LOCAL, 100)


def test_history_that_dds_did_not_tell_the_recorder_is_no_fault() -> None:
    profile, remark = publisher_qos("/image", [offered(QosHistory.UNKNOWN, 0)])
    assert remark is None
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 10)


def test_keep_all_does_not_fill_the_memory() -> None:
    profile, remark = publisher_qos("/image", [offered(QosHistory.KEEP_ALL, 0)])
    assert remark is None
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 100)


def test_the_strongest_of_several_recorded_publishers_counts() -> None:
    weak = offered(depth=3, reliability=QosReliability.BEST_EFFORT)
    strong = offered(depth=2, durability=QosDurability.TRANSIENT_LOCAL)
    profile, _ = publisher_qos("/image", [weak, strong])
    assert (profile.reliability, profile.durability, profile.depth) == (
        ReliabilityPolicy.RELIABLE,
        DurabilityPolicy.TRANSIENT_LOCAL,
        3,
    )
    latched, _ = publisher_qos("/image", [weak, strong, strong])
    assert latched.depth == 4, "a late reader gets the last two of each"
    static, _ = publisher_qos("/tf_static", [strong._replace(depth=1)] * 3)
    assert static.depth == 100
    alone, _ = publisher_qos("/image", [weak])
    assert alone.reliability == ReliabilityPolicy.BEST_EFFORT
    forced, _ = publisher_qos("/image", [weak], ReliabilityPolicy.RELIABLE)
    assert forced.reliability == ReliabilityPolicy.RELIABLE


@given(
    st.lists(
        st.builds(
            offered,
            st.sampled_from(QosHistory),
            st.integers() | st.none() | st.text() | st.floats() | st.booleans(),
            st.sampled_from(QosReliability),
            st.sampled_from(QosDurability),
        ),
        max_size=3,
    )
)
def test_any_recorded_qos_becomes_a_usable_profile(recorded: list[Qos]) -> None:
    profile, remark = publisher_qos("/image", recorded)
    assert profile.reliability in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
    assert profile.durability in (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)
    assert profile.history == HistoryPolicy.KEEP_LAST
    assert 1 <= profile.depth < 2**31
    damaged = any(
        x.reliability == QosReliability.UNKNOWN
        or x.durability == QosDurability.UNKNOWN
        or (x.history == QosHistory.KEEP_LAST and not (type(x.depth) is int and x.depth in DEPTHS))
        for x in recorded
    )
    assert (remark is not None) == damaged
