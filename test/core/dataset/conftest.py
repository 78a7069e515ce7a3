from __future__ import annotations

import os
from pathlib import Path

import pytest

from lircdepth_core.drive.simple_scene import write_scene

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def real_frame() -> Path:
    """Root of a nuScenes data set with one real sample (scene-0061); skips where it is absent."""
    given = os.environ.get("LIRCDEPTH_NUSCENES_FRAME")
    root = Path(given) if given else REPOSITORY.parent / "shared/data/nuscenes-mini-frame"
    if not (root / "v1.0-mini").is_dir():
        pytest.skip(f"no real nuScenes frame at {root} (set LIRCDEPTH_NUSCENES_FRAME)")
    return root


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set of 8 small images; read it, do not change it."""
    root = tmp_path_factory.mktemp("generated") / "data"
    write_scene(root, frames=8, width=320, height=180)
    return root
