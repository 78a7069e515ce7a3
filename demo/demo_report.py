"""Pictures and the short report of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lircdepth_core.inference.picture import (
    DEPTH_COLOURS,
    SIGMA_COLOURS,
    Panel,
    arrange,
    image_picture,
    map_picture,
)
from lircdepth_core.radar import VisibleReturns

MAX_DEPTH = 80.0
ERROR_COLOURS = (20.0, 0.0)


@dataclass(frozen=True, eq=False)
class Frame:
    """One answered image: all maps (H, W) float32 metres, truth NaN at the sky."""

    stamp: int
    image: np.ndarray
    radar: VisibleReturns
    depth: np.ndarray
    sigma: np.ndarray
    truth: np.ndarray

    def errors(self) -> np.ndarray:
        """(H, W) |depth - truth|, NaN where the truth is beyond 80 m."""
        with np.errstate(invalid="ignore"):
            return np.where(self.truth <= MAX_DEPTH, np.abs(self.depth - self.truth), np.nan)


def write_report(
    out: Path, frames: list[Frame], chosen: list[Frame], facts: dict[str, Any]
) -> None:
    """Write picture_<n>.png for the chosen frames, and report.md."""
    model = facts["node"].get("depth: facts", {}).get("model", "unknown")
    names = []
    for number, frame in enumerate(chosen, start=1):
        names.append(f"picture_{number}.png")
        picture = cv2.cvtColor(draw(frame, model), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(out / names[-1]), picture)
    lines = [
        "# Demo",
        "",
        "A generated drive as a ROS 2 bag, replayed over DDS into the node; depth against truth.",
        "",
        f"Model: {model}.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in facts.items() if key != "node"),
    ]
    if frames:
        error = np.nanmean([np.nanmean(frame.errors()) for frame in frames])
        points = [len(frame.radar) for frame in frames]
        lines += [
            f"| mean error against the exact depth to {MAX_DEPTH:g} m | {error:.2f} m |",
            f"| radar returns in an image | {min(points)} to {max(points)} |",
        ]
    for group, values in facts["node"].items():
        lines += ["", f"## /diagnostics, {group}", "", "| | |", "| --- | --- |"]
        lines += [f"| {key} | {value} |" for key, value in values.items()]
    lines += ["", *(f"![{name}]({name})" for name in names), ""]
    (out / "report.md").write_text("\n".join(lines), encoding="utf-8")


def draw(frame: Frame, model: str) -> np.ndarray:
    """Image with radar, depth, sigma and error, (h, w, 3) uint8 RGB."""
    label = "   UNTRAINED NETWORK" if "UNTRAINED" in model else ""
    uncalibrated = "" if np.isfinite(frame.sigma).any() else "   none: model not calibrated"
    return arrange(
        [
            Panel(
                f"Camera, {len(frame.radar)} radar returns",
                image_picture(frame.image, frame.radar),
            ),
            Panel(f"Depth as published{label}", map_picture(frame.depth, DEPTH_COLOURS)),
            Panel(
                f"Sigma as published{uncalibrated}",
                map_picture(frame.sigma, SIGMA_COLOURS),
                SIGMA_COLOURS,
            ),
            Panel(
                f"Error against the exact depth{label}",
                map_picture(frame.errors(), ERROR_COLOURS),
                ERROR_COLOURS,
            ),
        ],
        columns=2,
    )
