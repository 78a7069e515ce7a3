"""The node in a process of its own, its sensors placed by a calibration file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

POSES = {
    "CAM_FRONT": {"translation": [1.5, 0.0, 1.5], "rotation": [-0.5, 0.5, -0.5, 0.5]},
    "RADAR_FRONT": {"translation": [3.5, 0.0, 0.5], "rotation": [0.0, 0.0, 0.0, 1.0]},
}


def start_node(
    model: str, out: Path, *parameters: str, namespace: str = ""
) -> subprocess.Popen[bytes]:
    """Start it.

    Args:
        model: folder or name.
        out: folder for calibration.yaml and node.log, its output.
        parameters: more of them, as NAME:=VALUE.
        namespace: before the names of its topics, as /left.
    """
    calibration = out / "calibration.yaml"
    calibration.write_text(yaml.safe_dump({"base_frame": "base_link", "frames": POSES}))
    every = [f"model:={model}", f"calibration_file:={calibration}", *parameters]
    arguments = [item for text in every for item in ("-p", text)]
    if namespace:
        arguments += ["-r", f"__ns:={namespace}"]
    return subprocess.Popen(
        [sys.executable, "-m", "lircdepth_ros.main", "--ros-args", *arguments],
        stdout=(out / "node.log").open("w"),
        stderr=subprocess.STDOUT,
    )


def resident_bytes(process: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int((Path("/proc") / str(process) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
