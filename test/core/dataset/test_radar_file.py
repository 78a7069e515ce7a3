"""Radar files of nuScenes, damaged in ways that the devkit's reader does not expect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nuscenes", reason="nuscenes is not installed")

from lircdepth_core.dataset.devkit import read_radar
from lircdepth_core.drive.nuscenes_tables import write_radar
from lircdepth_core.errors import InputError
from lircdepth_core.nuscenes_files import RADAR_DTYPE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two returns."""
    returns = np.zeros(2, RADAR_DTYPE)
    returns["x"], returns["ambig_state"] = (10, 20), 3
    write_radar(tmp_path / "radar.pcd", returns)
    return tmp_path / "radar.pcd"


def with_line(file: Path, number: int, line: bytes) -> None:
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:number], line, *lines[number + 1 :]]))


def test_a_whole_file_is_read(file: Path) -> None:
    np.testing.assert_array_equal(read_radar(file, filtered=True)["x"], [10, 20])


def test_a_file_without_fields_is_refused_however_many_returns_it_names(file: Path) -> None:
    with_line(file, 4, b"TYPE")
    with_line(file, 6, b"WIDTH 999999999999")
    with pytest.raises(InputError, match=r"radar\.pcd: not a nuScenes radar file \(no fields\)"):
        read_radar(file)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (3, b"SIZE -4"),
        (4, b"TYPE \xff"),
        (6, b"WIDTH"),
        (6, b"WIDTH " + b"9" * 5000),
        (10, b"DATA"),
    ],
)
def test_a_damaged_header_is_refused(number: int, line: bytes, file: Path) -> None:
    with_line(file, number, line)
    with pytest.raises(InputError, match=r"radar\.pcd: not a nuScenes radar file"):
        read_radar(file)
