"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Trying all back ends takes half a minute; tests that want it say so.
os.environ["LIRCDEPTH_BACKEND"] = "torch"


@pytest.fixture(scope="session")
def real_frame() -> Path:
    """Root of a nuScenes data set with one real sample (scene-0061), which cannot be shipped."""
    default = Path(__file__).parents[1].parent / "shared" / "data" / "nuscenes-mini-frame"
    root = Path(os.environ.get("LIRCDEPTH_NUSCENES_FRAME", default))
    if not (root / "v1.0-mini").is_dir():
        pytest.skip(f"no real nuScenes frame at {root}; set LIRCDEPTH_NUSCENES_FRAME")
    return root
