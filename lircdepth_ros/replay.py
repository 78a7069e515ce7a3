"""lircdepth_replay: the command line of the bag player."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import rclpy
from rclpy.qos import ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from lircdepth_core.errors import InputError
from lircdepth_core.extras import not_installed
from lircdepth_ros.replay_options import ANSWER_TOPIC, ReplayOptions
from lircdepth_ros.signals import stop_at_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry; returns the exit status."""
    plain, ros = split_ros_arguments(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(plain)
    try:
        from lircdepth_ros.replay_player import replay
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rosbags":
            raise
        print(
            f"lircdepth_replay: {not_installed('rosbags', 'bag')}",
            file=sys.stderr,
        )
        return 2
    stop = stop_at_signals()
    try:
        rclpy.init(args=["lircdepth_replay", *ros], signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's for ROS arguments it does not understand
        print(f"lircdepth_replay: --ros-args: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    node = rclpy.create_node("lircdepth_replay", start_parameter_services=False)
    try:
        report = replay(options, node, stop)
    except InputError as error:
        print(f"lircdepth_replay: {error}", file=sys.stderr)
        return 2
    finally:
        node.destroy_node()
        rclpy.shutdown()
    print(report)
    return report.exit_code


def split_ros_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our arguments, and those from `--ros-args` to `--` or the end.

    rclpy's remove_ros_args would also take a plain `OLD:=NEW`, which is ours.
    """
    plain: list[str] = []
    ros: list[str] = []
    inside = False
    for argument in arguments:
        inside = inside or argument == "--ros-args"
        (ros if inside else plain).append(argument)
        inside = inside and argument != "--"
    return plain, ros


def parse_arguments(arguments: Sequence[str]) -> ReplayOptions:
    """Options of the command line, ROS arguments already removed; exits with 2 on a wrong one."""
    parser = argparse.ArgumentParser(
        prog="lircdepth_replay",
        usage="lircdepth_replay BAG [options] [--ros-args ...]",
        description="Plays a rosbag2 (folder, .mcap, .db3) or ROS 1 bag into ROS 2 topics, in the "
        "order and at the pace of its recording times. ROS 2 messages go out as the recorded "
        "bytes; ROS 1 messages are converted. Topics whose message type is not installed are "
        "skipped and named.",
        epilog="Exit status: 0 played, or ended by Ctrl-C or SIGTERM; 1 an image got no answer in "
        "--lockstep; 2 wrong arguments, unreadable bag, or no reader in time.",
    )
    parser.add_argument("bag", metavar="BAG", type=Path, help="rosbag2 folder or file, or .bag")
    what = parser.add_argument_group("what to play")
    what.add_argument(
        "--topics", nargs="+", metavar="TOPIC", default=(), help="only these, named as recorded"
    )
    what.add_argument(
        "--start", type=_not_negative, metavar="S", default=0.0,
        help="begin S seconds into the bag; transient-local topics such as /tf_static are sent "
        "from its beginning all the same (default 0)",
    )  # fmt: skip
    what.add_argument(
        "--duration", type=_positive, metavar="S", help="end S seconds after the beginning"
    )
    what.add_argument(
        "--loop", type=_count, nargs="?", const=0, default=1, metavar="N",
        help="play N times; without N (or with 0) for ever (default: once). Stamps and /clock "
        "jump back at each new beginning",
    )  # fmt: skip
    how = parser.add_argument_group("how to publish")
    how.add_argument(
        "--rate", type=_positive, metavar="R",
        help="R times the recorded pace (default 1; in --lockstep as fast as the answers come, "
        "which may overrun readers of fast topics that keep few messages)",
    )  # fmt: skip
    how.add_argument(
        "--remap", type=_renaming, action="append", default=[], metavar="OLD:=NEW",
        help="publish the recorded topic OLD as NEW; may be repeated",
    )  # fmt: skip
    how.add_argument(
        "--clock", type=_positive, nargs="?", const=40.0, metavar="HZ",
        help="publish recording times on /clock: before each message, and in between at least HZ "
        "times per recorded second (default 40); for nodes with use_sim_time",
    )  # fmt: skip
    how.add_argument(
        "--qos-reliability", choices=("recorded", "reliable", "best_effort"),
        help="reliability to offer (default: recorded, and reliable where the bag does not say; in "
        "--lockstep: reliable). Durability and depth are always as recorded: the depth of all "
        "publishers of a latched topic together, and 100 where all was kept",
    )  # fmt: skip
    wait = parser.add_argument_group("waiting for readers")
    wait.add_argument(
        "--wait", nargs="*", metavar="TOPIC",
        help="before the first message, wait for a reader on each TOPIC (named as published), "
        "without TOPIC for a reader on any, and then until none has come or gone for 0.5 s. "
        "Without --wait the first messages may be gone before a reader is connected",
    )  # fmt: skip
    wait.add_argument(
        "--wait-readers", type=_count, default=1, metavar="N",
        help="wait for N readers on each TOPIC of --wait (default 1), as where others listen "
        "besides the node",
    )  # fmt: skip
    wait.add_argument(
        "--wait-timeout", type=_positive, default=60.0, metavar="S",
        help="give up with exit status 2 after S seconds (default 60)",
    )  # fmt: skip
    step = parser.add_argument_group(
        "lockstep", "One image at a time, so that a slow node misses nothing."
    )
    step.add_argument(
        "--lockstep", action="store_true",
        help="after each image send all else recorded up to 0.1 s later, then wait for the answer "
        "that carries its stamp before the next image goes out. Waits for readers first",
    )  # fmt: skip
    step.add_argument(
        "--image-topic", metavar="TOPIC",
        help="the images to be answered, named as published (default: the one Image or "
        "CompressedImage topic that has a reader)",
    )  # fmt: skip
    step.add_argument(
        "--answer-topic", default=ANSWER_TOPIC, metavar="TOPIC",
        help="sensor_msgs/Image topic of the answers (default %(default)s)",
    )  # fmt: skip
    step.add_argument(
        "--answer-timeout", type=_positive, default=30.0, metavar="S",
        help="go on without an answer after S seconds; the image is named at the end (default 30)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    return ReplayOptions(
        bag=given.bag,
        rate=given.rate,
        loop=given.loop,
        start=given.start,
        duration=given.duration,
        topics=tuple(given.topics),
        remap=dict(given.remap),
        clock=given.clock,
        reliability={
            "reliable": ReliabilityPolicy.RELIABLE,
            "best_effort": ReliabilityPolicy.BEST_EFFORT,
        }.get(given.qos_reliability),
        wait=None if given.wait is None else tuple(given.wait),
        wait_readers=given.wait_readers,
        wait_timeout=given.wait_timeout,
        lockstep=given.lockstep,
        image_topic=given.image_topic,
        answer_topic=given.answer_topic,
        answer_timeout=given.answer_timeout,
    )


def _not_negative(text: str) -> float:
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _renaming(text: str) -> tuple[str, str]:
    old, separator, new = text.partition(":=")
    if not (separator and old and new):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OLD:=NEW")
    return old, new


if __name__ == "__main__":
    sys.exit(main())
