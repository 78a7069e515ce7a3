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
        InputError: it is none, nested too deep, or an integer of it is too long.
    """
    try:
        return json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {first_line(error)}") from error


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits; give at most {MAX_DIGITS}")
    return int(digits)
