"""The page of an evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from importlib import resources
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from lircdepth_core.evaluation.curves import (
    calibration_curves,
    range_curves,
    sparsification_curves,
)
from lircdepth_core.evaluation.frames import ChosenFrame
from lircdepth_core.evaluation.tables import TRUTH_NAMES, truth_tables


def report_page(
    found: dict[str, Any], frames: list[tuple[ChosenFrame, np.ndarray]], frame_truth: str
) -> str:
    """Write the page.

    Args:
        found: from `results`.
        frames: chosen frames and their pictures, (h, w, 3) uint8 RGB.
        frame_truth: the truth that they were chosen by.

    Returns:
        HTML; pictures and curves stand in it.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        resources.files("lircdepth_core.evaluation").joinpath("report.html.j2").read_text("utf-8")
    )
    truths = [
        {
            "id": truth,
            "name": TRUTH_NAMES[truth],
            "images": result["by_radar"]["full"]["images"],
            "pixels": result["by_radar"]["full"]["pixels"],
            "answered": result["by_radar"]["full"]["answered"],
            "left_out": result["left_out"],
            "tables": truth_tables(result, found["options"]),
            "curves": _curves(result["by_radar"], truth),
        }
        for truth, result in found["truths"].items()
        if result["by_radar"]
    ]
    without_pixels = [
        (TRUTH_NAMES[truth], len(result["left_out"]))
        for truth, result in found["truths"].items()
        if not result["by_radar"]
    ]
    pictures = {
        kind: [
            {"frame": frame, "jpeg": _jpeg(picture)}
            for frame, picture in frames
            if frame.kind == kind
        ]
        for kind in ("best", "typical", "worst")
    }
    return template.render(
        found=found,
        truths=truths,
        without_pixels=without_pixels,
        pictures=pictures,
        frame_truth=TRUTH_NAMES[frame_truth],
    )


def _curves(by_radar: dict[str, Any], truth: str) -> list[tuple[str, Markup]]:
    """Titles and SVG."""
    uncertainty = by_radar["full"]["uncertainty"]
    curves = [("Error over true depth, over all pixels", range_curves(by_radar, f"{truth}-range-"))]
    if uncertainty:
        curves.append(("Sparsification", sparsification_curves(uncertainty, f"{truth}-removed-")))
        if uncertainty["calibrated"]:
            curves.append(("Reliability", calibration_curves(uncertainty, f"{truth}-sigma-")))
    return [(title, Markup(svg)) for title, svg in curves]


def _jpeg(picture: np.ndarray) -> str:
    """The picture as base64."""
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85]
    )
    return base64.b64encode(encoded.tobytes()).decode("ascii")
