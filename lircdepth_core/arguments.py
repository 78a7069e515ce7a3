"""Arguments that several verbs of the command line take."""

from __future__ import annotations

import argparse
import re


def image_size(text: str) -> tuple[int, int]:
    """Width and height of WIDTHxHEIGHT.

    Raises:
        ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1600x900")
    return int(match[1]), int(match[2])
