"""The target that reads nuScenes' tables."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from annotated_drive import annotate
from hypothesis import strategies as st
from simple_scene import SCENE, VERSION, write_scene

from fuzz.mutations import VALUES
from fuzz.target import Target
from lircdepth_core.dataset.devkit import find_scene, open_dataset
from lircdepth_core.dataset.prepare import prepare
from lircdepth_core.dataset.prepare_options import PrepareOptions
from lircdepth_core.dataset.scene_tables import read_scene
from lircdepth_core.dataset.shards import read_samples

CHANNELS = ("CAM_FRONT", "RADAR_FRONT")

_NAMES = st.sampled_from(
    ["../../../evil", "/evil", "a.b", "a\nb", "a\0b", "a" * 300, "a" * 5000, ""]
)


@cache
def _whole() -> tuple[tempfile.TemporaryDirectory[str], dict[str, list[dict[str, Any]]]]:
    """A generated scene with annotations, its folder and its tables by file name."""
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name) / "data"
    write_scene(root, frames=7, width=64, height=36)
    annotate(root)
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
            VALUES | _NAMES,
        ),
        min_size=1,
        max_size=3,
    )


def _renamed(rows: list[dict[str, Any]], token: str, other: str) -> list[dict[str, Any]]:
    """Rows in which a token is another one, wherever it stands."""
    return [{k: other if value == token else value for k, value in row.items()} for row in rows]


def check_tables(case: list[tuple[str, float, float, bool, Any]]) -> None:
    """A scene whose poses are finite; and its samples can be read where it was prepared."""
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
        elif field == "token" and isinstance(value, str):
            tables = {other: _renamed(rows, row[field], value) for other, rows in tables.items()}
        else:
            row[field] = value if isinstance(value, (str, int, float, list, dict)) else None
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "data", Path(folder) / "out"
        version = root / VERSION
        version.mkdir(parents=True)
        for name, rows in tables.items():
            (version / name).write_text(json.dumps(rows, default=str))
        for kind in ("maps", "samples", "sweeps"):
            (root / kind).symlink_to(Path(whole.name) / "data" / kind)
        prepared = prepare(root, out, PrepareOptions(sweeps=1, keep_last=True))
        assert len(list(read_samples(out))) == prepared.samples
        assert {path.parent for path in Path(folder).rglob("*.tar")} <= {out}
        nusc = open_dataset(root)
        scene = read_scene(nusc, find_scene(nusc, SCENE), CHANNELS)
    for frame in scene.key_frames:
        for measured in frame.measurements.values():
            assert np.isfinite(measured.global_from_sensor).all()


TARGETS = [Target("nuScenes tables", changes(), check_tables, 0.01)]
