"""What the process does with memory that it no longer needs."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> None:
    """Keep what is freed for what is asked for next, instead of giving it back to the system.

    glibc gives back every tensor above 32 MB, and a training step would get all of its memory anew,
    page by page: that took 1.2 times as long as the step alone, and more where a virtual
    machine's host takes memory back. The process's size stays at its largest. Does nothing with
    another C library.

    Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, -1)
