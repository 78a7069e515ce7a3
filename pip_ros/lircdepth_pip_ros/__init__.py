"""Offers message_filters, sensor_msgs_py and cv_bridge where nothing else does.

A .pth file imports this module when Python starts (so it imports next to nothing). A folder named
in a .pth file would come before the system's site-packages in a virtual environment that sees
them, and so hide real packages there. Hence a finder at the end of `sys.meta_path`: Python asks it
only after all of `sys.path`.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

STAND_INS = frozenset({"cv_bridge", "message_filters", "sensor_msgs_py"})
FOLDERS = [f"{folder}/packages" for folder in __path__]


class LastResortFinder:
    """Finds the stand-ins; everything on `sys.path` has been looked through before."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a stand-in, or None for any other name."""
        return PathFinder.find_spec(name, FOLDERS, target) if name in STAND_INS else None


sys.meta_path.append(LastResortFinder)  # type: ignore[arg-type]
