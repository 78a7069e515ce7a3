"""One picture that shows what went into a prediction and what came out."""

from __future__ import annotations

from dataclasses import dataclass

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

PANEL_WIDTH = 800
_TEXT_HEIGHT = 36
_BAR_HEIGHT = 18
_GAP = 8
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Panel:
    """A titled picture with its colour scale.

    Attributes:
        title: text above.
        picture: (h, PANEL_WIDTH, 3) uint8 RGB, as `image_picture` and `map_picture` make it.
        colours: the values drawn red and blue.
        unit: of the scale.
    """

    title: str
    picture: np.ndarray
    colours: tuple[float, float] = DEPTH_COLOURS
    unit: str = " m"


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
    untrained = "" if model.trained else "   UNTRAINED NETWORK"
    if model.calibration is None:
        head = "" if model.uncertainty_trained else ", head UNTRAINED"
        uncertainty, colours, unit = prediction.expected_uncertainty, (1.0, 0.0), ""
        title = f"Expected uncertainty 0..1 (not calibrated{head})"
    else:
        uncertainty, colours, unit = prediction.sigma, SIGMA_COLOURS, " m"
        title = "Sigma: half-width that holds 68.3 % of errors"
    panels = [
        Panel(f"Camera, {len(visible)} radar returns", image_picture(image, visible)),
        Panel(f"Depth{untrained}", map_picture(prediction.depth, DEPTH_COLOURS)),
        Panel(title, map_picture(uncertainty, colours), colours, unit),
    ]
    return arrange(panels, columns=3)


def arrange(panels: list[Panel], columns: int) -> np.ndarray:
    """Draw panels of one size in rows of `columns`; (h, w, 3) uint8 RGB."""
    drawn = [_draw(panel) for panel in panels]
    drawn += [np.zeros_like(drawn[0])] * (-len(drawn) % columns)
    gap = np.zeros((len(drawn[0]), _GAP, 3), np.uint8)
    rows = []
    for first in range(0, len(drawn), columns):
        row = [part for panel in drawn[first : first + columns] for part in (panel, gap)]
        rows.append(np.concatenate(row[:-1], axis=1))
    return np.concatenate(rows)


def image_picture(image: np.ndarray, visible: VisibleReturns) -> np.ndarray:
    """An image (H, W, 3) uint8 RGB at panel size, with radar returns as dots coloured by depth."""
    scale = PANEL_WIDTH / image.shape[1]
    picture = cv2.resize(image, _panel_size(image), interpolation=cv2.INTER_AREA)
    _draw_returns(picture, visible, scale)
    return picture


def map_picture(values: np.ndarray, colours: tuple[float, float]) -> np.ndarray:
    """A map (H, W) in colours at panel size, NaN black; `colours` are the red and blue values."""
    # Nearest, because NaN keeps its edges.
    resized = cv2.resize(values, _panel_size(values), interpolation=cv2.INTER_NEAREST)
    return colourise(resized, *colours)


def _panel_size(values: np.ndarray) -> tuple[int, int]:
    """Width and height of a picture in a panel."""
    height, width = values.shape[:2]
    return PANEL_WIDTH, max(round(height * PANEL_WIDTH / width), 1)


def _draw_returns(panel: np.ndarray, visible: VisibleReturns, scale: float) -> None:
    """Dots at the returns, coloured by depth, the nearest on top."""
    order = np.argsort(-visible.depth)
    centres = np.rint((visible.uv[order] + 0.5) * scale - 0.5).astype(int)
    colours = colourise(visible.depth[order][None], *DEPTH_COLOURS)[0]
    for centre, colour in zip(centres.tolist(), colours.tolist(), strict=True):
        cv2.circle(panel, centre, 6, _BLACK, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(panel, centre, 4, colour, cv2.FILLED, cv2.LINE_AA)


def _draw(panel: Panel) -> np.ndarray:
    """A picture with its title above and its scale below, which rises from left to right."""
    low, high = sorted(panel.colours)
    height, width = panel.picture.shape[:2]
    canvas = np.zeros((_TEXT_HEIGHT + height + _BAR_HEIGHT + _TEXT_HEIGHT, width, 3), np.uint8)
    canvas[_TEXT_HEIGHT : _TEXT_HEIGHT + height] = panel.picture
    bar = _TEXT_HEIGHT + height
    canvas[bar : bar + _BAR_HEIGHT] = colourise(np.linspace(low, high, width)[None], *panel.colours)
    _write(canvas, panel.title, (10, 25), 0.65)
    for share in np.linspace(0, 1, 5):
        label = f"{low + share * (high - low):g}{panel.unit}"
        (length, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        left = int(np.clip(share * width - length / 2, 5, width - length - 5))
        _write(canvas, label, (left, bar + _BAR_HEIGHT + 24), 0.5)
    return canvas


def _write(panel: np.ndarray, text: str, place: tuple[int, int], size: float) -> None:
    """White text; `place` is its lower left corner."""
    cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, _WHITE, 1, cv2.LINE_AA)
