"""Curves of an evaluation as SVG, to stand inside an HTML page."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lircdepth_core.evaluation.tables import RADAR_NAMES

_SCORE, _ORACLE, _RANDOM = "#1b6ca8", "#2a9d5c", "#999999"
_RADAR_COLOURS = {"full": "#1b6ca8", "none": "#c8472b", "half": "#8a63b5", "shifted": "#d19a1b"}
_TITLES = {"rmse": "RMSE [m]", "mae": "MAE [m]", "abs_rel": "AbsRel"}


def sparsification_curves(uncertainty: dict[str, Any], prefix: str) -> str:
    """RMSE, MAE and AbsRel over the share of pixels removed; SVG, its ids begin with `prefix`."""
    curves = uncertainty["sparsification"]
    figure, axes = _figure(3)
    for axis, (metric, title) in zip(axes, _TITLES.items(), strict=True):
        removed = [100 * share for share in curves["removed"]]
        axis.axhline(curves[metric]["random"], color=_RANDOM, ls="--", label="at random")
        score = uncertainty["score"].replace("_", " ")
        axis.plot(removed, curves[metric]["by_score"], color=_SCORE, label=f"by {score}")
        axis.plot(removed, curves[metric]["oracle"], color=_ORACLE, label="by true error")
        _finish(axis, title, "most uncertain pixels removed [%]", xlim=(0, 100), ylim=(0, None))
    axes[0].legend(frameon=False)
    return _svg(figure, prefix)


def calibration_curves(uncertainty: dict[str, Any], prefix: str) -> str:
    """Coverage over the share it should have, coverage by sigma, and errors by sigma; as above."""
    figure, (reliability, coverage, spread) = _figure(3)
    points = uncertainty["reliability"]
    reliability.plot([0, 100], [0, 100], color=_RANDOM, ls="--", label="perfect")
    reliability.plot(
        [100 * point["share"] for point in points],
        [100 * point["coverage"] for point in points],
        "o-", color=_SCORE, label="measured",
    )  # fmt: skip
    _finish(reliability, "errors inside [%]", "interval made for [%]", (0, 100), (0, 100))
    reliability.legend(frameon=False)
    bins = uncertainty["by_sigma"]
    sigma = [row["mean_sigma"] for row in bins]
    coverage.axhline(68.3, color=_RANDOM, ls="--")
    coverage.plot(sigma, [100 * row["coverage"] for row in bins], "o-", color=_SCORE)
    coverage.set_xscale("log")
    _finish(coverage, "errors within sigma [%]", "sigma [m]", None, (0, 100))
    spread.plot(sigma, sigma, color=_RANDOM, ls="--", label="equal")
    spread.plot(sigma, [row["rmse"] for row in bins], "o-", color=_SCORE, label="RMSE")
    spread.plot(sigma, [row["mae"] for row in bins], "o-", color=_ORACLE, label="MAE")
    spread.set_xscale("log")
    spread.set_yscale("log")
    _finish(spread, "error [m]", "sigma [m]")
    spread.legend(frameon=False)
    return _svg(figure, prefix)


def range_curves(by_radar: dict[str, Any], prefix: str) -> str:
    """MAE, AbsRel and share of pixels over true depth, for every radar change; as above."""
    figure, (absolute, relative, pixels) = _figure(3)
    for change, summary in by_radar.items():
        rows = [row for row in summary["by_range"] if row["pixels"]]
        middle = [(row["from"] + row["to"]) / 2 for row in rows]
        style = {"color": _RADAR_COLOURS[change], "label": f"radar {RADAR_NAMES[change]}"}
        absolute.plot(middle, [row["mae"] for row in rows], "o-", ms=4, **style)
        relative.plot(middle, [row["abs_rel"] for row in rows], "o-", ms=4, **style)
    rows = by_radar["full"]["by_range"]
    total = sum(row["pixels"] for row in rows)
    pixels.bar(
        [(row["from"] + row["to"]) / 2 for row in rows],
        [100 * row["pixels"] / total for row in rows],
        [0.9 * (row["to"] - row["from"]) for row in rows],
        color=_RANDOM,
    )
    end = (0, rows[-1]["to"])
    _finish(absolute, "MAE [m]", "true depth [m]", end, (0, None))
    _finish(relative, "AbsRel", "true depth [m]", end, (0, None))
    _finish(pixels, "pixels [%]", "true depth [m]", end)
    absolute.legend(frameon=False)
    return _svg(figure, prefix)


def _figure(columns: int) -> tuple[Figure, Any]:
    """A figure without pyplot, which would keep it for ever, and its axes."""
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    return figure, figure.subplots(1, columns)


def _finish(
    axis: Axes,
    title: str,
    abscissa: str,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float | None] | None = None,
) -> None:
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(abscissa)
    axis.set(**{name: limits for name, limits in (("xlim", xlim), ("ylim", ylim)) if limits})
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG element; text stays text. All figures of a page share its ids."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # A fixed salt makes equal figures equal files.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lircdepth"}):
        figure.savefig(file, format="svg", metadata=nothing)
    text = file.getvalue()
    return re.sub(r'( id="|="#|url\(#)', rf"\g<1>{prefix}", text[text.index("<svg") :])
