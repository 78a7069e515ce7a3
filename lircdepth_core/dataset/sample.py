"""One training or evaluation sample: an image, its radar returns, and every truth there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.radar import RadarReturns

RADAR_COLUMNS = ("u", "v", "depth", "rcs", "vx", "vy", "box")
"""Columns of `Sample.radar`: pixels, metres along the optical axis, dBsm, m/s, box index."""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image of one camera with what belongs to it.

    Depth is in metres along the optical axis. Pixel centres lie at integers.

    Attributes:
        key: `<scene>/<sample token>/<channel>`, each once in a data set.
        scene: name of the scene.
        channel: of the camera, such as CAM_FRONT.
        stamp: of the image, microseconds.
        image: (H, W, 3) uint8 RGB.
        camera: of this image, whatever was cropped or scaled.
        radar: (M, 7) float32 of `RADAR_COLUMNS`: vx and vy as `RadarReturns.velocity`, the box
            index 0 for none.
        single_scan: (H, W) float32, the lidar's sweep of this sample, 0 where there is none.
        accumulated: (H, W) float32, many sweeps, 0 where there is none; None if it was left out.
        dense: (H, W) float32, interpolated, 0 outside the hull; None if it was left out.
        exact: (H, W) float32, +Inf at the sky; None but for generated drives.
        boxes: (B, 4) float32 x1, y1, x2, y2 in pixels; a return's box index i means boxes[i - 1].
        conditions: weather, light and the like; empty if unknown.
        annotated: whether anything was annotated in the scene; if not, that there are no boxes says
            nothing, and without masks what moved left trails in `accumulated` and `dense`.
    """

    key: str
    scene: str
    channel: str
    stamp: int
    image: np.ndarray
    camera: Camera
    radar: np.ndarray
    single_scan: np.ndarray
    accumulated: np.ndarray | None
    dense: np.ndarray | None
    exact: np.ndarray | None
    boxes: np.ndarray
    conditions: Mapping[str, str] = field(default_factory=dict)
    annotated: bool = True

    def radar_returns(self) -> RadarReturns:
        """The returns as positions in the camera's optical frame, at the image's stamp."""
        uv, depth = self.radar[:, :2].astype(np.float64), self.radar[:, 2:3].astype(np.float64)
        K = self.camera.K
        xy = (uv - K[:2, 2]) * depth / K[[0, 1], [0, 1]]
        return RadarReturns(
            np.hstack([xy, depth]), self.radar[:, 3], self.radar[:, 4:6], self.stamp * 1e-6
        )
