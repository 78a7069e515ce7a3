from __future__ import annotations

from pathlib import Path

import pytest

from lircdepth_core.drive.simple_scene import write_scene


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set of 8 small images; read it, do not change it."""
    root = tmp_path_factory.mktemp("generated") / "data"
    write_scene(root, frames=8, width=320, height=180)
    return root
