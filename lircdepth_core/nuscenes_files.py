"""The layouts of nuScenes' radar and lidar files.

Source: https://www.nuscenes.org/nuscenes#data-format, and the headers of its radar files.
"""

from __future__ import annotations

import numpy as np

RADAR_DTYPE = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("dyn_prop", "i1"),
        ("id", "<i2"),
        ("rcs", "<f4"),
        ("vx", "<f4"),
        ("vy", "<f4"),
        ("vx_comp", "<f4"),
        ("vy_comp", "<f4"),
        ("is_quality_valid", "i1"),
        ("ambig_state", "i1"),
        ("x_rms", "i1"),
        ("y_rms", "i1"),
        ("invalid_state", "i1"),
        ("pdh0", "i1"),
        ("vx_rms", "i1"),
        ("vy_rms", "i1"),
    ]
)
"""One return of a nuScenes radar file: 18 fields, packed into 43 bytes, as its PCD header says."""

LIDAR_DTYPE = np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity", "ring")])
"""One point of a nuScenes lidar file."""
