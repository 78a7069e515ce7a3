"""JSON from anyone: every number that comes of it fits a float."""

from __future__ import annotations

import json
from typing import Any

from lircdepth_core.errors import InputError, first_line

MAX_DIGITS = 300
"""Of an integer; one of 309 may be larger than any float."""


def parse_plain_json(text: str | bytes) -> Any:
    """What a JSON document holds.

    Raises:
        InputError: it is none, nested too deep, an integer of it is too long, or a text of it
            holds half a character (a surrogate), so that it could not be written again.
    """
    try:
        found = json.loads(text, parse_int=_integer)
        if _may_hold_surrogates(text):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {first_line(error)}") from error


def _may_hold_surrogates(text: str | bytes) -> bool:
    """Whether some could be in it, as they are or escaped."""
    marks = ("\\ud", "\\uD") if isinstance(text, str) else (b"\\ud", b"\\uD")
    return not text.isascii() or any(mark in text for mark in marks)  # type: ignore[operator]


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits; give at most {MAX_DIGITS}")
    return int(digits)
