"""Stamps of messages, as integer nanoseconds."""

from __future__ import annotations

from typing import Any

JUMP_BACK_NANOSECONDS = 1_000_000_000
"""A stamp this much older than the one before means a clock jump or a looping bag; what is stamped
this much later than an image is of the time before such a jump."""


def stamp_nanoseconds(stamp: Any) -> int:
    """A builtin_interfaces/Time as integer nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def jumped_back(stamp: int, last: int | None) -> bool:
    """Whether a stamp is of a new, earlier time than the last or newest before it, None if none."""
    return last is not None and stamp < last - JUMP_BACK_NANOSECONDS
