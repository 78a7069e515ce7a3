"""Plays a bag into ROS 2 topics, at the pace of its recording or of its readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.validate_full_topic_name import validate_full_topic_name
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from lircdepth_core.errors import InputError
from lircdepth_ros.replay_answers import Answers
from lircdepth_ros.replay_bag import Bag, BagMessage, absolute
from lircdepth_ros.replay_clock import CLOCK_TOPIC, check_clock_time, with_clock
from lircdepth_ros.replay_lockstep import AwaitAnswer, lockstep
from lircdepth_ros.replay_options import ReplayOptions, ReplayReport, stamp_text
from lircdepth_ros.replay_qos import publisher_qos

SETTLE_TIME = 0.5  # s without a new match until discovery counts as done
PROGRESS_TIME = 10.0  # s between lines that tell how far the replay is
POLL_TIME = 0.05  # s between looks at signals and at matches
ACKNOWLEDGE_TIME = 4.0  # s at the end for what is under way; Fast DDS asks readers every 3 s


class _StoppedError(Exception):
    """The user wants to end; unwinds to replay()."""


def replay(options: ReplayOptions, node: Node, stop: threading.Event | None = None) -> ReplayReport:
    """Play the bag once or more through publishers of the node, and return when it is over.

    The node is spun in here, by the calling thread, while answers are awaited: leave it in no
    other executor.

    Args:
        options: what and how.
        node: owns the publishers, which are gone again on return.
        stop: set from anywhere, ends the replay within about 0.1 s.

    Raises:
        InputError: the bag cannot be read or offers nothing to play, an option names a topic that
            is not there, or no reader came in time.
    """
    report = ReplayReport(options.bag)
    with Bag(options.bag) as bag:
        player = _Player(options, node, bag, report, stop or threading.Event())
        try:
            player.play()
        except _StoppedError:
            report.interrupted = True
        finally:
            report.unusable = bag.unusable
            player.close()
    return report


class _Player:
    """One replay at work."""

    def __init__(
        self,
        options: ReplayOptions,
        node: Node,
        bag: Bag,
        report: ReplayReport,
        stop: threading.Event,
    ) -> None:
        self.options, self.node, self.bag, self.report = options, node, bag, report
        self.stop = stop
        self.rate = options.rate or (None if options.lockstep else 1.0)
        self.origin: tuple[int, float] | None = None  # recorded ns that is due at this monotonic s
        self.told = 0.0  # monotonic s of the last line about progress
        self.published = _published_names(bag, options, report)
        for topic, reason in report.skipped.items():
            node.get_logger().warning(f"skipped {topic}: {reason}")
        if not self.published:
            reasons = "; ".join(f"{x}: {y}" for x, y in report.skipped.items()) or "it is empty"
            raise InputError(f"{options.bag}: nothing to play ({reasons})")
        self.length = (bag.end_time - bag.start_time) / 1e9
        if options.start >= self.length:
            raise InputError(
                f"{options.bag}: --start {options.start:g} is beyond its {self.length:.3f} s"
            )
        if options.clock is not None:
            begin, end = self._part()
            last = (bag.end_time if end is None else min(end, bag.end_time)) - 1
            for time_told in (begin, last):
                check_clock_time(bag.path, time_told)
        self.publishers: dict[str, Publisher] = {}
        self.message_classes: dict[str, type] = {}
        self.latched: set[str] = set()  # recorded names
        self.answers: Answers | None = None

    def play(self) -> None:
        for recorded, name in self.published.items():
            self._advertise(recorded, name)
        if self.options.clock is not None:
            # Not among message_classes: any node on simulated time reads it, so it tells nothing.
            self.publishers[CLOCK_TOPIC] = self.node.create_publisher(Clock, CLOCK_TOPIC, 10)
            self.report.sent[CLOCK_TOPIC] = 0
        self._wait_for_readers()
        image_topic = self._find_image_topic() if self.options.lockstep else None
        if image_topic is not None:
            self.answers = Answers(self.node, self.options.answer_topic)
            self._wait_until(
                self.answers.matched,
                lambda: f"no publisher of answers on {self.options.answer_topic}",
            )
            self._sleep(SETTLE_TIME)  # its publisher may learn of this reader a little later
        self.node.get_logger().info(
            f"playing {len(self.published)} topics of {self.bag.path}, {self.length:.1f} s long"
        )
        self.told = first = time.monotonic()
        passes = 0
        try:
            while passes != self.options.loop or self.options.loop == 0:
                self.origin = None
                self._play_once(image_topic)
                passes += 1
                if not any(self.report.sent.values()):
                    raise InputError(f"{self.bag.path}: nothing was recorded in the part to play")
        finally:
            self.report.wall_time = time.monotonic() - first
        self._acknowledge()

    def close(self) -> None:
        for publisher in self.publishers.values():
            self.node.destroy_publisher(publisher)
        if self.answers is not None:
            self.answers.close()

    def _part(self) -> tuple[int, int | None]:
        """Recording times, ns, of what is to be played: the first, and the one after the last."""
        begin = self.bag.start_time + round(self.options.start * 1e9)
        if self.options.duration is None:
            return begin, None
        return begin, begin + round(self.options.duration * 1e9)

    def _play_once(self, image_topic: str | None) -> None:
        begin, end = self._part()
        if self.options.start > 0:  # whoever joined the live system late also got these
            for message in self.bag.messages(self.latched, stop=begin):
                self._publish(self._renamed(message))
        messages: Iterator[BagMessage] = map(
            self._renamed, self.bag.messages(self.published, begin, end)
        )
        if self.options.clock is not None:
            messages = with_clock(messages, self.options.clock, self.bag.path)
        if image_topic is None:
            for message in messages:
                self._send(message)
            return
        stamped = {name for name, kind in self.message_classes.items() if _has_header(kind)}
        unstamped = self.publishers.keys() - stamped
        for step in lockstep(messages, image_topic, stamped, unstamped):
            if isinstance(step, AwaitAnswer):
                self._await_answer(step.stamp)
            else:
                if step.topic == image_topic and self.answers is not None:
                    self.answers.stamps.clear()
                self._send(step)

    def _send(self, message: BagMessage) -> None:
        """Publish when the message is due."""
        if self.rate is not None:
            if self.origin is None:
                self.origin = (message.time, time.monotonic())
            due = self.origin[1] + (message.time - self.origin[0]) / 1e9 / self.rate
            self._sleep(due - time.monotonic())
            late = max(time.monotonic() - due, 0.0)
            if self.answers is None:
                self.report.latest = max(self.report.latest or 0.0, late)
            else:  # time that answers took is not caught up
                self.origin = (self.origin[0], self.origin[1] + late)
        elif self.stop.is_set():
            raise _StoppedError
        self._publish(message)
        if time.monotonic() - self.told > PROGRESS_TIME:
            self.told = time.monotonic()
            place = (message.time - self.bag.start_time) / 1e9
            self.node.get_logger().info(f"at {place:.1f} s of {self.length:.1f} s")

    def _publish(self, message: BagMessage) -> None:
        self.publishers[message.topic].publish(message.data)
        self.report.sent[message.topic] += 1

    def _await_answer(self, stamp: int) -> None:
        assert self.answers is not None
        asked = time.monotonic()
        while stamp not in self.answers.stamps:
            if self.stop.is_set():
                raise _StoppedError
            if time.monotonic() - asked > self.options.answer_timeout:
                self.report.unanswered.append(stamp)
                self.node.get_logger().warning(f"no answer to the image at {stamp_text(stamp)}")
                break
            self.answers.spin(POLL_TIME)
        else:
            self.report.answered += 1

    def _advertise(self, recorded: str, name: str) -> None:
        topic = self.bag.topics[recorded]
        reliability = self.options.reliability
        if reliability is None and self.options.lockstep:
            reliability = ReliabilityPolicy.RELIABLE
        profile, remark = publisher_qos(recorded, topic.recorded_qos, reliability)
        if remark:
            self.node.get_logger().warning(remark)
        if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            self.latched.add(recorded)
        if name not in self.publishers:
            self.publishers[name] = self.node.create_publisher(topic.message_class, name, profile)
            self.message_classes[name] = topic.message_class
            self.report.sent[name] = 0
        elif self.message_classes[name] is not topic.message_class:
            raise InputError(f"--remap: {name} would carry messages of two types")

    def _renamed(self, message: BagMessage) -> BagMessage:
        return message._replace(topic=self.published[message.topic])

    def _readers(self, name: str) -> int:
        return self.publishers[name].get_subscription_count()

    def _image_topics(self) -> list[str]:
        """Topics whose images lockstep may be about."""
        wanted = self.options.image_topic
        images = sorted(
            name
            for name, kind in self.message_classes.items()
            if kind in (Image, CompressedImage) and wanted in (None, name, name.lstrip("/"))
        )
        if not images:
            raise InputError(
                f"{self.bag.path}: --lockstep needs an Image or CompressedImage topic to play, and "
                f"{wanted or 'there'} is none"
            )
        return images

    def _wait_for_readers(self) -> None:
        named = [absolute(x) for x in self.options.wait or ()]
        for name in named:
            if name not in self.publishers:
                known = ", ".join(sorted(self.publishers))
                raise InputError(f"{name}: not among the topics played, which are {known}")
        some = sorted(self.message_classes) if self.options.wait == () else []
        if self.options.lockstep:
            some = self._image_topics()
        wanted = self.options.wait_readers
        if named:
            few = "no reader" if wanted == 1 else f"fewer than {wanted} readers"
            self._wait_until(
                lambda: all(self._readers(x) >= wanted for x in named),
                lambda: f"{few} on {', '.join(x for x in named if self._readers(x) < wanted)}",
            )
        if some:
            self._wait_until(
                lambda: any(self._readers(x) for x in some),
                lambda: f"no reader on any of {', '.join(some)}",
            )
        if named or some:
            self._settle()

    def _wait_until(self, condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
        deadline = time.monotonic() + self.options.wait_timeout
        told = False
        while not condition():
            if not told:
                self.node.get_logger().info(f"waiting: {complaint()} yet")
                told = True
            if time.monotonic() > deadline:
                raise InputError(
                    f"{complaint()} after {self.options.wait_timeout:g} s; start the node first, "
                    "or give a longer --wait-timeout"
                )
            self._sleep(POLL_TIME)

    def _settle(self) -> None:
        """Until no reader has come or gone for a while."""
        counts: list[int] = []
        since = time.monotonic()
        deadline = since + self.options.wait_timeout
        while time.monotonic() < min(since + SETTLE_TIME, deadline):
            now = [self._readers(x) for x in self.publishers]
            if now != counts:
                counts, since = now, time.monotonic()
            self._sleep(POLL_TIME)

    def _find_image_topic(self) -> str:
        read = [x for x in self._image_topics() if self._readers(x)]
        if len(read) != 1:
            raise InputError(
                f"--image-topic must say which: readers are on {', '.join(read) or 'none'}"
            )
        return read[0]

    def _acknowledge(self) -> None:
        """Let what is under way to reliable readers arrive before the publishers go."""
        deadline = time.monotonic() + ACKNOWLEDGE_TIME
        for publisher in self.publishers.values():
            while not publisher.wait_for_all_acked(Duration(seconds=POLL_TIME)):
                if self.stop.is_set() or time.monotonic() > deadline:
                    return

    def _sleep(self, seconds: float) -> None:
        """Sleep, but look for a stop in between; a signal does not end time.sleep."""
        deadline = time.monotonic() + seconds
        while True:
            if self.stop.is_set():
                raise _StoppedError
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, POLL_TIME))


def _published_names(bag: Bag, options: ReplayOptions, report: ReplayReport) -> dict[str, str]:
    """Published name by recorded name; fills report.skipped."""
    known = sorted({**bag.topics, **bag.skipped})
    remap = {absolute(old): absolute(new) for old, new in options.remap.items()}
    wanted = {absolute(x) for x in options.topics} or set(known)
    for name in sorted(wanted | set(remap)):
        if name not in known:
            there = _shown(", ".join(known)) or "none"
            raise InputError(f"{bag.path}: no topic {name}; it has {there}")
    report.skipped = {_shown(x): _shown(y) for x, y in bag.skipped.items() if x in wanted}
    published = {}
    for name in sorted(wanted & set(bag.topics)):
        new = remap.get(name, name)
        try:
            # rcl reads a name up to its first NUL.
            validate_full_topic_name(new.replace("\0", "?"))
        except rclpy.exceptions.InvalidTopicNameException as error:
            if name in remap:
                raise InputError(f"--remap {name}:={new}: {new} is no valid topic name") from error
            reason = f"{_shown(new)} is no valid topic name; give another with --remap"
            report.skipped[_shown(name)] = reason
            continue
        if options.clock is not None and new == CLOCK_TOPIC:
            report.skipped[name] = "--clock publishes it"
            continue
        if options.lockstep and new == absolute(options.answer_topic):
            report.skipped[name] = "the node answers there; --remap it to have it too"
            continue
        published[name] = new
    return published


def _shown(text: str) -> str:
    """What a bag holds of text, in one line and without what would steer a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _has_header(message_class: type) -> bool:
    """Whether its messages start with a std_msgs/Header."""
    fields = message_class.get_fields_and_field_types()  # type: ignore[attr-defined]
    return next(iter(fields.values()), "") == "std_msgs/Header"
