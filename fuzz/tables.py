"""The target that reads nuScenes' tables."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from simple_scene import SCENE, VERSION, write_scene

from fuzz.mutations import VALUES
from fuzz.target import Target
from lircdepth_core.dataset.devkit import find_scene, open_dataset
from lircdepth_core.dataset.scene_tables import read_scene

CHANNELS = ("CAM_FRONT", "RADAR_FRONT")


@cache
def _whole() -> tuple[tempfile.TemporaryDirectory[str], dict[str, list[dict[str, Any]]]]:
    """A generated scene, its folder and its tables by file name."""
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name) / "data"
    write_scene(root, frames=7, width=64, height=36)
    tables = {path.name: json.loads(path.read_text()) for path in (root / VERSION).glob("*.json")}
    return folder, tables


def changes() -> st.SearchStrategy[list[tuple[str, float, float, bool, Any]]]:
    """Table, row, field, whether it is taken out, and what else it becomes."""
    return st.lists(
        st.tuples(
            st.sampled_from(sorted(_whole()[1])),
            st.floats(0, 1),
            st.floats(0, 1),
            st.booleans(),
            VALUES,
        ),
        min_size=1,
        max_size=3,
    )


def check_tables(case: list[tuple[str, float, float, bool, Any]]) -> None:
    """A scene whose poses are finite."""
    whole, original = _whole()
    tables = {name: [dict(row) for row in rows] for name, rows in original.items()}
    for name, row_place, field_place, takes_out, value in case:
        rows = tables[name]
        if not rows:
            continue
        row = rows[min(int(row_place * len(rows)), len(rows) - 1)]
        if not row:
            continue
        field = sorted(row)[min(int(field_place * len(row)), len(row) - 1)]
        if takes_out:
            del row[field]
        else:
            row[field] = value if isinstance(value, (str, int, float, list, dict)) else None
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / VERSION
        version.mkdir()
        for name, rows in tables.items():
            (version / name).write_text(json.dumps(rows, default=str))
        (Path(folder) / "maps").symlink_to(Path(whole.name) / "data" / "maps")
        nusc = open_dataset(Path(folder))
        scene = read_scene(nusc, find_scene(nusc, SCENE), CHANNELS)
    for frame in scene.key_frames:
        for measured in frame.measurements.values():
            assert np.isfinite(measured.global_from_sensor).all()


TARGETS = [Target("nuScenes tables", changes(), check_tables, 0.01)]
