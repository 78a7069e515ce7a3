"""The executable `lircdepth_node`."""

from __future__ import annotations

import os
import signal
import sys

_OF_THE_VIRTUAL_ENVIRONMENT = ("torch", "safetensors")
"""What pip installs and Ubuntu's own Python, which a plain `colcon build` takes, has not."""


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code, 0 too if told so while it is imported.

    2 if it was built for a Python without the packages that it needs.

    Args:
        args: without the program's name; those of the command line by default.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    # torch takes seconds to import, and there is nothing to lose meanwhile.
    try:
        from lircdepth_ros.node_process import run_node
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_VIRTUAL_ENVIRONMENT:
            raise
        print(
            f"lircdepth_node: {sys.executable} has no {error.name}; activate the virtual "
            "environment that has it and build with python -m colcon build (README)",
            file=sys.stderr,
        )
        return 2
    return run_node(args)


if __name__ == "__main__":
    sys.exit(main())
