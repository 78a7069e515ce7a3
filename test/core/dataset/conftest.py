from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def real_frame() -> Path:
    """Root of a nuScenes data set with one real sample (scene-0061); skips where it is absent."""
    given = os.environ.get("LIRCDEPTH_NUSCENES_FRAME")
    root = Path(given) if given else REPOSITORY.parent / "shared/data/nuscenes-mini-frame"
    if not (root / "v1.0-mini").is_dir():
        pytest.skip(f"no real nuScenes frame at {root} (set LIRCDEPTH_NUSCENES_FRAME)")
    return root
