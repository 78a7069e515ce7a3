"""Ctrl-C and SIGTERM for programs that finish their work before they end."""

from __future__ import annotations

import atexit
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_signals() -> threading.Event:
    """An event that is set by SIGINT or SIGTERM, instead of ending the process.

    Another signal changes nothing, also while the interpreter shuts down, when handlers are gone:
    `ros2 launch` without a terminal sends each process SIGINT a second time.
    """
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    atexit.register(_ignore_signals)
    return stop


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
