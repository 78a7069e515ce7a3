"""What a worker process owes the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Let this worker process end when the one that started it is killed; returns at once.

    Python's own pools leave their workers behind then, which would go on with what they have.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end_with_parent", daemon=True).start()
