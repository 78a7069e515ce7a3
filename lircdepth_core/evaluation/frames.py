"""Best, typical and worst frames of an evaluation, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.evaluation.sample_prediction import predict_sample
from lircdepth_core.evaluation.sources import SampleSource
from lircdepth_core.evaluation.tables import TRUTH_NAMES
from lircdepth_core.inference import Prediction, Predictor
from lircdepth_core.inference.picture import (
    DEPTH_COLOURS,
    SIGMA_COLOURS,
    Panel,
    arrange,
    image_picture,
    map_picture,
)

ERROR_COLOURS = (10.0, 0.0)
"""Metres that are drawn red and blue."""

_PICTURE_WIDTH = 1800


@dataclass(frozen=True, eq=False)
class ChosenFrame:
    """An image to be shown.

    Attributes:
        kind: best, typical or worst.
        key: of its sample.
        number: of its sample, counted from 0.
        mae: against the truth that it was chosen by, metres.
    """

    kind: str
    key: str
    number: int
    mae: float


def choose_frames(rows: list[dict[str, Any]], each: int) -> list[ChosenFrame]:
    """The images of least MAE, those around its median, and of largest; none twice.

    Args:
        rows: `per_image` of the results.
        each: how many of each kind; fewer where there are not enough.
    """
    ordered = sorted(rows, key=lambda row: (row["mae"], row["key"]))
    each = min(each, len(ordered) // 3) or min(each, 1)
    middle = (len(ordered) - each) // 2
    kinds = {
        "best": ordered[:each],
        "typical": ordered[middle : middle + each],
        "worst": ordered[len(ordered) - each :],
    }
    chosen: dict[int, ChosenFrame] = {}
    for kind, part in kinds.items():
        for row in part:
            frame = ChosenFrame(kind, row["key"], row["number"], row["mae"])
            chosen.setdefault(frame.number, frame)
    return list(chosen.values())


def draw_frames(
    chosen: list[ChosenFrame],
    source: SampleSource,
    predictor: Predictor,
    truth: str,
    cap: float,
) -> Iterator[tuple[ChosenFrame, np.ndarray]]:
    """Predict the chosen images again and draw them, in the order of the data.

    Args:
        chosen: from `choose_frames`.
        source: the samples.
        predictor: the model.
        truth: field of `Sample` to compare with.
        cap: metres; errors are shown where truth is up to it.

    Yields:
        the frame and its picture, (h, 1800, 3) uint8 RGB.
    """
    frames = {frame.number: frame for frame in chosen}
    for number, sample in source(frames.__contains__, lambda error: None):
        yield frames[number], draw_frame(sample, predictor, truth, cap)


def draw_frame(sample: Sample, predictor: Predictor, truth: str, cap: float) -> np.ndarray:
    """Image, depth, truth, error, uncertainty, and depth without radar; (h, 1800, 3) uint8 RGB."""
    returns = sample.radar_returns()
    prediction = predict_sample(predictor, sample, returns)
    blind = predict_sample(predictor, sample, None)
    true_depth = getattr(sample, truth)
    with np.errstate(invalid="ignore"):
        known = np.where((true_depth > 0) & np.isfinite(true_depth), true_depth, np.nan)
        error = np.where(known <= cap, np.abs(prediction.depth - known), np.nan)
    if truth == "single_scan":
        known, error = -thicken(-known), thicken(error)
    visible = returns.visible_in(sample.camera)
    untrained = "" if predictor.model.trained else "   UNTRAINED NETWORK"
    name = TRUTH_NAMES[truth]
    picture = arrange(
        [
            Panel(f"Camera, {len(visible)} radar returns", image_picture(sample.image, visible)),
            Panel(f"Depth{untrained}", map_picture(prediction.depth, DEPTH_COLOURS)),
            Panel(f"Truth: {name}", map_picture(known, DEPTH_COLOURS)),
            _uncertainty_panel(prediction, predictor),
            Panel(
                f"Error against {name}{untrained}", map_picture(error, ERROR_COLOURS), ERROR_COLOURS
            ),
            Panel(f"Depth without radar{untrained}", map_picture(blind.depth, DEPTH_COLOURS)),
        ],
        columns=3,
    )
    height = round(picture.shape[0] * _PICTURE_WIDTH / picture.shape[1])
    return cv2.resize(picture, (_PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)


def _uncertainty_panel(prediction: Prediction, predictor: Predictor) -> Panel:
    model = predictor.model
    if model.calibration is not None:
        return Panel("Sigma", map_picture(prediction.sigma, SIGMA_COLOURS), SIGMA_COLOURS)
    head = "" if model.uncertainty_trained else ", head UNTRAINED"
    picture = map_picture(prediction.expected_uncertainty, (1.0, 0.0))
    return Panel(f"Expected uncertainty (not calibrated{head})", picture, (1.0, 0.0), "")


def thicken(values: np.ndarray) -> np.ndarray:
    """Each number of a sparse map (H, W) spread over 9x9 pixels, the largest on top."""
    none = np.finfo(np.float32).min
    filled = np.where(np.isnan(values), none, values).astype(np.float32)
    spread = cv2.dilate(filled, np.ones((9, 9), np.uint8))
    # OpenCV's border is no larger than that either.
    return np.where(spread > none, spread, np.float32(np.nan))
