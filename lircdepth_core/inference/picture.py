"""One picture that shows what went into a prediction and what came out."""

from __future__ import annotations

import cv2
import numpy as np

from lircdepth_core.inference.colour import colourise
from lircdepth_core.inference.model_description import ModelDescription
from lircdepth_core.inference.predictor import Prediction
from lircdepth_core.radar import VisibleReturns

DEPTH_COLOURS = (0.0, 80.0)
"""Metres that are drawn red and blue."""

SIGMA_COLOURS = (10.0, 0.0)
"""Metres that are drawn red and blue."""

_PANEL_WIDTH = 800
_TEXT_HEIGHT = 36
_BAR_HEIGHT = 18
_GAP = 8
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)


def side_by_side(
    image: np.ndarray, visible: VisibleReturns, prediction: Prediction, model: ModelDescription
) -> np.ndarray:
    """Draw the image with the radar in it, the depth and its uncertainty, each with its scale.

    Args:
        image: (H, W, 3) uint8 RGB.
        visible: the radar returns in the image.
        prediction: what the model says.
        model: what the model is; an untrained or uncalibrated one is labelled so.

    Returns:
        (h, 2416, 3) uint8 RGB. Uncertainty is sigma in metres, or without calibration the head's
        expected uncertainty; what is uncertain is red.
    """
    scale = _PANEL_WIDTH / image.shape[1]
    size = (_PANEL_WIDTH, max(round(image.shape[0] * scale), 1))
    untrained = "" if model.trained else "   UNTRAINED NETWORK"
    if model.calibration is None:
        head = "" if model.uncertainty_trained else ", head UNTRAINED"
        uncertainty, colours, unit = prediction.expected_uncertainty, (1.0, 0.0), ""
        title = f"Expected uncertainty 0..1 (not calibrated{head})"
    else:
        uncertainty, colours, unit = prediction.sigma, SIGMA_COLOURS, " m"
        title = "Sigma: half-width that holds 68.3 % of errors"
    with_radar = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _draw_returns(with_radar, visible, scale)
    depth = _coloured(prediction.depth, size, DEPTH_COLOURS)
    panels = [
        _panel(with_radar, f"Camera, {len(visible)} radar returns", DEPTH_COLOURS, " m"),
        _panel(depth, f"Depth{untrained}", DEPTH_COLOURS, " m"),
        _panel(_coloured(uncertainty, size, colours), title, colours, unit),
    ]
    gap = np.zeros((len(panels[0]), _GAP, 3), np.uint8)
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)


def _coloured(
    values: np.ndarray, size: tuple[int, int], colours: tuple[float, float]
) -> np.ndarray:
    """A map in colours at the panel's size; NaN keeps its edges."""
    return colourise(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST), *colours)


def _draw_returns(panel: np.ndarray, visible: VisibleReturns, scale: float) -> None:
    """Dots at the returns, coloured by depth, the nearest on top."""
    order = np.argsort(-visible.depth)
    centres = np.rint((visible.uv[order] + 0.5) * scale - 0.5).astype(int)
    colours = colourise(visible.depth[order][None], *DEPTH_COLOURS)[0]
    for centre, colour in zip(centres.tolist(), colours.tolist(), strict=True):
        cv2.circle(panel, centre, 6, _BLACK, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(panel, centre, 4, colour, cv2.FILLED, cv2.LINE_AA)


def _panel(picture: np.ndarray, title: str, colours: tuple[float, float], unit: str) -> np.ndarray:
    """A picture with its title above and its scale below, which rises from left to right."""
    low, high = sorted(colours)
    height, width = picture.shape[:2]
    panel = np.zeros((_TEXT_HEIGHT + height + _BAR_HEIGHT + _TEXT_HEIGHT, width, 3), np.uint8)
    panel[_TEXT_HEIGHT : _TEXT_HEIGHT + height] = picture
    ramp = colourise(np.linspace(low, high, width)[None], *colours)
    bar = _TEXT_HEIGHT + height
    panel[bar : bar + _BAR_HEIGHT] = ramp
    _write(panel, title, (10, 25), 0.65)
    for share in np.linspace(0, 1, 5):
        label = f"{low + share * (high - low):g}{unit}"
        (length, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        left = int(np.clip(share * width - length / 2, 5, width - length - 5))
        _write(panel, label, (left, bar + _BAR_HEIGHT + 24), 0.5)
    return panel


def _write(panel: np.ndarray, text: str, place: tuple[int, int], size: float) -> None:
    """White text; `place` is its lower left corner."""
    cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, _WHITE, 1, cv2.LINE_AA)
