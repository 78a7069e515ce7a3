from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from annotated_drive import add_scene, annotate
from http_folder import serving
from simple_scene import write_scene

from lircdepth_core.dataset.prepare import PrepareOptions, prepare


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set of 8 small images; read it, do not change it."""
    root = tmp_path_factory.mktemp("generated") / "data"
    write_scene(root, frames=8, width=320, height=180)
    return root


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set of 4 samples whose moving cars are annotated; do not change."""
    root = tmp_path_factory.mktemp("annotated") / "data"
    write_scene(root, frames=19, width=320, height=180)
    annotate(root)
    return root


@pytest.fixture
def two_scenes(annotated: Path, tmp_path: Path) -> Path:
    """A copy of it with a second scene, scene-0003, of the same files; free to be changed."""
    root = tmp_path / "two"
    shutil.copytree(annotated, root)
    add_scene(root, "scene-0003")
    return root


@pytest.fixture(scope="session")
def shards(annotated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of it in three scenes with three samples each; read them, do not change them."""
    folder = tmp_path_factory.mktemp("shards")
    root = folder / "data"
    shutil.copytree(annotated, root)
    add_scene(root, "scene-0002")
    add_scene(root, "scene-0003")
    prepare(root, folder / "out", PrepareOptions(sweeps=1))
    return folder / "out"


@pytest.fixture(scope="session")
def url(shards: Path) -> Iterator[str]:
    """Where the shards are served over HTTP."""
    with serving(shards) as address:
        yield address
