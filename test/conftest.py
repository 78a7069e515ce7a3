"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from connections import REFUSED
from hypothesis import settings

# A machine may be busy; what has to be done in time says so itself.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Trying all back ends takes half a minute; tests that want it say so.
os.environ["LIRCDEPTH_BACKEND"] = "torch"


TIMED = {"ros", "soak", "node_bench"}
"""Folders where `make unit` looks for tests marked `timed`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test is marked where it would never run."""
    for item in items:
        if item.get_closest_marker("timed") and item.path.parent.name not in TIMED:
            raise pytest.UsageError(f"{item.nodeid} is marked `timed`, but lies not in {TIMED}")


@pytest.fixture(scope="session")
def real_frame() -> Path:
    """Root of a nuScenes data set with one real sample (scene-0061), which cannot be shipped."""
    default = Path(__file__).parents[1].parent / "shared" / "data" / "nuscenes-mini-frame"
    root = Path(os.environ.get("LIRCDEPTH_NUSCENES_FRAME", default))
    if not (root / "v1.0-mini").is_dir():
        pytest.skip(f"no real nuScenes frame at {root}; set LIRCDEPTH_NUSCENES_FRAME")
    return root


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Connections to elsewhere that were tried; the test fails, or the next, if there were any."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield REFUSED
    tried = list(REFUSED)
    REFUSED.clear()
    assert tried == []
