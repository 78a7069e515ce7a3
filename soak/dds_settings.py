"""How this process and those that it starts talk to each other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds.xml"
_ROOM_FOR_SEGMENTS = 2**30
"""Bytes: node_bench has a dozen participants, of 64 MB each; the launch file asks for less."""


def keep_to_ourselves() -> None:
    """Set what is not set: a DDS domain of our own, and shared memory for whole images.

    Not to be heard, and not to be disturbed, by other nodes of this machine; and with the profile
    that the launch file sets too, if /dev/shm has the room. Call it before the first context is
    made.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    if shutil.disk_usage("/dev/shm").free >= _ROOM_FOR_SEGMENTS:
        os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(PROFILE))
