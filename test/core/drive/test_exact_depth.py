"""Exact depth on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lircdepth_core.drive.exact_depth import depth_path, read_depth, write_depth

IMAGE = "sweeps/CAM_FRONT/log__CAM_FRONT__17.jpg"


def test_depth_comes_back_within_a_millimetre_at_50_m(tmp_path: Path) -> None:
    row, column = np.mgrid[:90, :160]
    depth = (1 / (0.002 + 1e-3 * row + 1e-5 * column)).astype(np.float32)
    depth[:20] = np.inf
    path = tmp_path / depth_path(IMAGE)
    assert path.relative_to(tmp_path) == Path("depth/CAM_FRONT/log__CAM_FRONT__17.npz")
    path.parent.mkdir(parents=True)
    write_depth(path, depth)
    back = read_depth(tmp_path, IMAGE)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, depth, rtol=1.6e-5)
    assert np.isinf(back[:20]).all()
    assert path.stat().st_size < 0.5 * depth.nbytes


def test_the_same_depth_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_depth(tmp_path / name, np.full((4, 5), 3.0, np.float32))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
