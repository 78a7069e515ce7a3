"""The executable `lircdepth_node`."""

from __future__ import annotations

import os
import signal
import sys


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; the exit code, 0 too if told so while it is imported.

    Args:
        args: without the program's name; those of the command line by default.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    # torch takes seconds to import, and there is nothing to lose meanwhile.
    from lircdepth_ros.node_process import run_node

    return run_node(args)


if __name__ == "__main__":
    sys.exit(main())
