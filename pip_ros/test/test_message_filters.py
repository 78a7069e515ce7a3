"""Contract of `message_filters`: the stand-in and Jazzy's own must both pass."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import message_filters
import pytest
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String

MS = 1_000_000


def stamped(milliseconds: int) -> PointCloud2:
    return PointCloud2(header=Header(stamp=at(milliseconds).to_msg()))


def at(milliseconds: int) -> Time:
    return Time(nanoseconds=milliseconds * MS, clock_type=rclpy.clock.ClockType.ROS_TIME)


def stamps(messages: Any) -> list[int]:
    return [Time.from_msg(message.header.stamp).nanoseconds // MS for message in messages]


def collect(source: SimpleFilter) -> list[list[int]]:
    """Return a list that grows by the stamps (ms) of each output."""
    outputs: list[list[int]] = []
    source.registerCallback(lambda *messages: outputs.append(stamps(messages)))
    return outputs


def test_every_callback_gets_each_output_and_its_own_arguments() -> None:
    calls: list[tuple[Any, ...]] = []
    source = SimpleFilter()
    source.registerCallback(lambda *args: calls.append(("first", *args)))
    source.registerCallback(lambda *args: calls.append(("second", *args)), "extra")
    source.signalMessage(1, 2)
    assert calls == [("first", 1, 2), ("second", 1, 2, "extra")]


def test_a_cache_finds_messages_by_time() -> None:
    source = SimpleFilter()
    cache = Cache(source, cache_size=4)
    passed = collect(cache)
    for milliseconds in (0, 10, 20, 30, 40):
        source.signalMessage(stamped(milliseconds))
    assert passed == [[0], [10], [20], [30], [40]]
    assert stamps(cache.getInterval(at(0), at(30))) == [10, 20, 30]
    assert stamps(cache.getInterval(at(20), at(20))) == [20]
    assert cache.getInterval(at(21), at(29)) == []
    assert stamps([cache.getElemAfterTime(at(20)), cache.getElemAfterTime(at(21))]) == [20, 30]
    assert stamps([cache.getElemBeforeTime(at(20)), cache.getElemBeforeTime(at(19))]) == [20, 10]
    assert cache.getElemAfterTime(at(41)) is None
    assert cache.getElemBeforeTime(at(9)) is None
    assert (cache.getOldestTime(), cache.getLastestTime()) == (at(10), at(40))
    assert stamps([cache.getLast()]) == [40]


def test_a_cache_keeps_one_message_by_default_and_none_at_first() -> None:
    source = SimpleFilter()
    cache = Cache(source)
    assert cache.getLast() is None
    assert cache.getOldestTime() is None
    assert cache.getLastestTime() is None
    assert cache.getInterval(at(0), at(1)) == []
    source.signalMessage(stamped(1))
    source.signalMessage(stamped(2))
    assert stamps(cache.getInterval(at(0), at(9))) == [2]
    with pytest.raises(AssertionError):
        cache.getInterval(at(1), at(0))


def test_a_cache_takes_messages_without_header_only_if_told() -> None:
    source = SimpleFilter()
    strict, lenient = Cache(source), Cache(source, allow_headerless=True)
    source.signalMessage(String(data="no header"))
    assert strict.getLast() is None
    assert lenient.getLast().data == "no header"


def test_exact_synchronisation_waits_for_the_same_stamp_on_all_inputs() -> None:
    left, right = SimpleFilter(), SimpleFilter()
    outputs = collect(TimeSynchronizer([left, right], 10))
    left.signalMessage(stamped(10))
    left.signalMessage(stamped(20))
    right.signalMessage(stamped(21))
    assert outputs == []
    right.signalMessage(stamped(20))
    right.signalMessage(stamped(20))
    right.signalMessage(stamped(10))
    assert outputs == [[20, 20], [10, 10]]


def test_exact_synchronisation_forgets_what_leaves_the_queue() -> None:
    left, right = SimpleFilter(), SimpleFilter()
    outputs = collect(TimeSynchronizer([left, right], 2))
    for milliseconds in (1, 2, 3):
        left.signalMessage(stamped(milliseconds))
    for milliseconds in (1, 2, 3):
        right.signalMessage(stamped(milliseconds))
    assert outputs == [[2, 2], [3, 3]]


def test_approximate_synchronisation_takes_the_nearest_of_what_is_there() -> None:
    radar, image = SimpleFilter(), SimpleFilter()
    outputs = collect(ApproximateTimeSynchronizer([radar, image], 10, slop=0.05))
    for milliseconds in (0, 77, 154):
        radar.signalMessage(stamped(milliseconds))
    image.signalMessage(stamped(100))
    assert outputs == [[77, 100]]
    image.signalMessage(stamped(101))  # 77 has been used, 154 is too far
    assert outputs == [[77, 100]]
    image.signalMessage(stamped(130))
    radar.signalMessage(stamped(90))
    assert outputs == [[77, 100], [154, 130], [90, 101]]


@pytest.mark.parametrize(("difference", "matches"), [(49, True), (50, False), (-49, True)])
def test_stamps_must_be_less_than_the_slop_apart(difference: int, matches: bool) -> None:
    first, second = SimpleFilter(), SimpleFilter()
    outputs = collect(ApproximateTimeSynchronizer([first, second], 10, 0.05))
    first.signalMessage(stamped(100))
    second.signalMessage(stamped(100 + difference))
    assert bool(outputs) == matches


def test_a_message_older_than_a_full_queue_is_forgotten() -> None:
    """So a bag that starts again gets no more pairs until the queues are made anew."""
    first, second = SimpleFilter(), SimpleFilter()
    outputs = collect(ApproximateTimeSynchronizer([first, second], 2, 0.05))
    for milliseconds in (1000, 1100, 0):
        first.signalMessage(stamped(milliseconds))
    second.signalMessage(stamped(0))
    second.signalMessage(stamped(1000))
    assert outputs == [[1000, 1000]]


def test_what_waits_is_seen_in_queues_by_nanoseconds_and_can_be_taken_out() -> None:
    """The node forgets what takes too much memory there."""
    first, second = SimpleFilter(), SimpleFilter()
    synchronizer = ApproximateTimeSynchronizer([first, second], 10, 0.05)
    outputs = collect(synchronizer)
    for milliseconds in (100, 200):
        first.signalMessage(stamped(milliseconds))
    assert [list(queue) for queue in synchronizer.queues] == [[100_000_000, 200_000_000], []]
    del synchronizer.queues[0][100_000_000]
    for milliseconds in (110, 210):
        second.signalMessage(stamped(milliseconds))
    assert outputs == [[200, 210]]


def test_the_whole_set_must_lie_within_the_slop() -> None:
    inputs = [SimpleFilter() for _ in range(3)]
    outputs = collect(ApproximateTimeSynchronizer(inputs, 10, 0.05))
    inputs[0].signalMessage(stamped(60))
    inputs[2].signalMessage(stamped(130))
    inputs[2].signalMessage(stamped(135))
    inputs[1].signalMessage(stamped(100))  # within 50 ms of both, but 60 and 130 are 70 ms apart
    assert outputs == []
    inputs[0].signalMessage(stamped(90))
    assert outputs == [[90, 100, 130]]


def test_approximate_synchronisation_takes_the_time_of_arrival_only_if_told() -> None:
    first, second = SimpleFilter(), SimpleFilter()
    pairs: list[Any] = []
    for lenient in (False, True):
        synchronizer = ApproximateTimeSynchronizer([first, second], 10, 5.0, lenient)
        synchronizer.registerCallback(lambda *pair, lenient=lenient: pairs.append((lenient, *pair)))
    first.signalMessage(String(data="a"))
    second.signalMessage(String(data="b"))
    assert pairs == [(True, String(data="a"), String(data="b"))]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 400)), unique=True))
def test_pairs_lie_within_the_slop_and_use_no_message_twice(
    arrivals: list[tuple[int, int]],
) -> None:
    inputs = [SimpleFilter(), SimpleFilter()]
    outputs = collect(ApproximateTimeSynchronizer(inputs, 100, 0.02))
    for index, milliseconds in arrivals:
        inputs[index].signalMessage(stamped(milliseconds))
    assert all(abs(first - second) < 20 for first, second in outputs)
    for index in (0, 1):
        used = [pair[index] for pair in outputs]
        assert len(set(used)) == len(used)
        unused = {stamp for source, stamp in arrivals if source == index} - set(used)
        other_used = {pair[1 - index] for pair in outputs}
        left_over = {stamp for source, stamp in arrivals if source != index} - other_used
        assert not any(abs(mine - theirs) < 20 for mine in unused for theirs in left_over)


@pytest.mark.skipif(
    not hasattr(message_filters, "__lircdepth_stand_in__"), reason="Jazzy's stays locked for ever"
)
@pytest.mark.parametrize("kind", [TimeSynchronizer, ApproximateTimeSynchronizer])
def test_a_callback_that_raises_does_not_stop_the_next_set(kind: type) -> None:
    first, second = SimpleFilter(), SimpleFilter()
    synchronizer = kind([first, second], 10, *([0.05] if kind is not TimeSynchronizer else []))
    outputs = collect(synchronizer)
    synchronizer.registerCallback(lambda *_: 1 / 0)
    for milliseconds in (100, 200):
        first.signalMessage(stamped(milliseconds))
        with pytest.raises(ZeroDivisionError):
            second.signalMessage(stamped(milliseconds))
    assert outputs == [[100, 100], [200, 200]]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    context.init()
    node = Node(f"contract_{uuid.uuid4().hex}", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def spin_until(node: Node, done: Callable[[], bool], timeout: float = 10.0) -> None:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    end = time.monotonic() + timeout
    while not done() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    assert done()


def test_a_subscriber_passes_on_what_is_published(node: Node) -> None:
    topic = f"/contract_{uuid.uuid4().hex}"
    group = ReentrantCallbackGroup()
    subscriber = Subscriber(node, PointCloud2, topic, callback_group=group)
    outputs = collect(subscriber)
    publisher = node.create_publisher(PointCloud2, topic, 10)
    spin_until(node, lambda: publisher.get_subscription_count() == 1)
    publisher.publish(stamped(5))
    spin_until(node, lambda: bool(outputs))
    assert outputs == [[5]]
    assert subscriber.getTopic() == topic
    assert subscriber.topic_name == topic  # read from the subscription
    assert subscriber.sub.callback_group is group
    assert subscriber.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert subscriber.qos_profile.depth == 10
    node.destroy_subscription(subscriber.sub)


def test_a_subscriber_takes_qos_and_event_callbacks(node: Node) -> None:
    topic = f"/contract_{uuid.uuid4().hex}"
    events: list[Any] = []
    reliable = QoSProfile(depth=3, reliability=ReliabilityPolicy.RELIABLE)
    unreliable = QoSProfile(depth=3, reliability=ReliabilityPolicy.BEST_EFFORT)
    Subscriber(
        node,
        PointCloud2,
        topic,
        qos_profile=reliable,
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=events.append),
    )
    node.create_publisher(PointCloud2, topic, unreliable)
    spin_until(node, lambda: bool(events))
    assert events[0].total_count == 1
