"""Ctrl-C and SIGTERM for programs that finish their work before they end."""

from __future__ import annotations

import atexit
import os
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_signals() -> threading.Event:
    """An event that is set by SIGINT or SIGTERM, instead of ending the process.

    Another signal changes nothing, also while the interpreter shuts down, when handlers are gone:
    `ros2 launch` without a terminal sends each process SIGINT a second time.
    """
    stop = threading.Event()
    # Python calls handlers in the main thread, and only once that has left a library's function.
    # What it writes to a pipe at once, another thread reads.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def heed() -> None:
        while True:
            if os.read(reader, 1)[0] in _SIGNALS:
                stop.set()

    threading.Thread(target=heed, name="signals", daemon=True).start()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    atexit.register(_ignore_signals)
    return stop


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
