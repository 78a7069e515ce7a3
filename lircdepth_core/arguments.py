"""Arguments that several verbs of the command line take."""

from __future__ import annotations

import argparse
import re


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Declare DATA, prepared samples, as `find_shards` takes them; it becomes `data`."""
    parser.add_argument(
        "data",
        nargs="+",
        metavar="DATA",
        help="folder of lircdepth prepare, its index.json, or tar files, patterns and URLs",
    )


def image_size(text: str) -> tuple[int, int]:
    """Width and height of WIDTHxHEIGHT.

    Raises:
        ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1600x900")
    return int(match[1]), int(match[2])
