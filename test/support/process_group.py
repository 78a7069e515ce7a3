"""Processes of a group of their own."""

from __future__ import annotations

import os
import time


def wait_for_its_end(group: int, seconds: float = 5.0) -> None:
    """Wait until a group's processes have ended, as workers of a killed one do by themselves.

    No longer than `seconds`: where nobody takes leave of orphans, the group never ends.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
