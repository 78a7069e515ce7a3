"""Write the parameter table of README.md from the node's parameter description.

`--check` changes nothing and fails if the table is out of date.
"""

import sys
from pathlib import Path

from lircdepth_ros.parameters import parameter_table

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "### Parameters\n\n", "\n## Bags and data"


def main() -> None:
    """Replace the table, or compare it."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    wanted = head + BEGIN + parameter_table() + END + tail
    if "--check" in sys.argv:
        sys.exit(None if wanted == text else f"{README}: run python tools/update_readme.py")
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
