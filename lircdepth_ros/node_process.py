"""The node's process: its arguments, its signals, and its end."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import threading
import traceback
from functools import partial
from typing import NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from lircdepth_core.errors import InputError
from lircdepth_ros.depth_node import DepthNode
from lircdepth_ros.meanwhile import meanwhile
from lircdepth_ros.parameters import ParameterDescription, describe_parameters
from lircdepth_ros.signals import stop_at_signals

_SIGNAL_POLL_SECONDS = 0.2


def run_node(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code. If something hangs, the process ends."""
    argv = sys.argv if args is None else ["lircdepth_node", *args]
    # With rclpy's own handlers the context would end under callbacks that still publish.
    try:
        plain = remove_ros_args(argv)[1:]
        _argument_parser().parse_args(plain)
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rclpy's for ROS arguments that it does not understand
        print(f"lircdepth_node: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    stop = stop_at_signals()
    try:
        node = DepthNode()
    except (InputError, ParameterException) as error:
        print(f"lircdepth_node: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    _run(node, stop)
    return 0


def _run(node: DepthNode, stop: threading.Event) -> None:
    """Start it, let it work until told to stop, and free everything."""
    with meanwhile(partial(_end_if_loading, node, stop), _SIGNAL_POLL_SECONDS):
        try:
            node.start(stop)
            _spin(node, stop)
            if node.gave_up:
                _end_now(1)
        finally:
            node.close()
            if node.has_unfinished_image:
                _end_without(node, "the image in work")
            node.destroy_node()
            rclpy.try_shutdown()


def _end_if_loading(node: DepthNode, stop: threading.Event) -> None:
    """End the process, if it should, while its main thread is in a library that loads the model.

    What is built meanwhile and kept is put in its place as a whole, so that nothing is lost.
    """
    if not node.is_loading:
        return
    node.give_up_if_hung()
    if node.gave_up:
        _end_now(1)
    if stop.is_set():
        _end_without(node, "the model, which is being loaded")


def _end_without(node: DepthNode, work: str) -> NoReturn:
    """End the process although `work` goes on: with 1 if it hangs, else with 0."""
    hang = node.hang
    node.get_logger().warning(f"{hang or 'told to stop'}; ending without {work}")
    _end_now(1 if hang else 0)


def _end_now(status: int) -> NoReturn:
    """End the process whatever its threads do; with 1 instead of 0 amid an exception.

    A back end's own clean-up would wait for the one that hangs.
    """
    if sys.exc_info()[0] is not None:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _argument_parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="lircdepth_node",
        description="The lifecycle node `depth`. It takes ROS arguments only: --ros-args -p "
        "PARAMETER:=VALUE -r TOPIC:=NAME --params-file FILE.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Parameters (type, default):\n" + "\n".join(map(_help_of, describe_parameters())),
    )


def _help_of(entry: ParameterDescription) -> str:
    """One parameter, wrapped."""
    text = f"{entry.name} ({entry.type}, {json.dumps(entry.default)}): {entry.description}"
    return textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="      ")


def _spin(node: DepthNode, stop: threading.Event) -> None:
    """Run callbacks until told to stop, or it gives up; what one of them raises is survived.

    rclpy itself raises here, for example where someone asks for a transition that the current
    state does not have.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set() and not node.gave_up:
        try:
            executor.spin_once(timeout_sec=_SIGNAL_POLL_SECONDS)
        except ExternalShutdownException:
            return
        except Exception as error:  # noqa: BLE001 see above
            text = " ".join(str(error).split())
            node.get_logger().error(f"a callback failed: {type(error).__name__}: {text}")
