"""Results as tables, for the terminal and the page alike."""

from __future__ import annotations

from typing import Any

from lircdepth_core.text_table import Table

NONE = "none"
"""What stands where there is no number."""

TRUTH_NAMES = {"single_scan": "single lidar scan", "exact": "exact depth"}
"""What each truth is called."""

RADAR_NAMES = {"full": "as measured", "none": "removed", "half": "halved", "shifted": "shifted"}
"""What each radar change is called."""

_METRIC_NAMES = {"rmse": "RMSE", "mae": "MAE", "abs_rel": "AbsRel"}


_PROMISES = (("by_sigma", "sigma", "Sigma"), ("by_predicted_depth", "predicted depth", "Depth"))
"""Fields of `uncertainty` with a bin in each row, what the bins are of, and their column."""


def truth_tables(truth: dict[str, Any], options: dict[str, Any]) -> list[Table]:
    """Tables of the results against one truth.

    Args:
        truth: one of `results()["truths"]` that has images.
        options: `results()["options"]`.
    """
    full = truth["by_radar"]["full"]
    last = f"{options['caps'][-1]:g}"
    tables = [_depth(full), _radar(truth["by_radar"], last, options["radar_shift"])]
    if full["uncertainty"]:
        tables += [_ranking(full["uncertainty"], last), _calibration(full["uncertainty"])]
        if full["uncertainty"]["calibrated"]:
            tables += [_promises(full["uncertainty"], *kept) for kept in _PROMISES]
    tables += [_by_range(full), _by_content(full)]
    tables += [
        _condition(condition, values, last) for condition, values in truth["by_condition"].items()
    ]
    return tables


def _depth(full: dict[str, Any]) -> Table:
    rows = [
        (
            f"up to {cap} m",
            *(_number(m[name], 3) for name in ("mae", "rmse")),
            *(_number(m[name], 4) for name in ("abs_rel",)),
            _number(m["sq_rel"], 3),
            _number(m["rmse_log"], 4),
            _number(m["log10"], 4),
            _number(m["silog"], 2),
            *(_percent(m[f"delta{i}"]) for i in (1, 2, 3)),
        )
        for cap, m in full["depth"].items()
    ]
    columns = (
        "Depth", "MAE m", "RMSE m", "AbsRel", "SqRel m", "RMSE log", "log10", "SILog", "δ1", "δ2",
        "δ3",
    )  # fmt: skip
    return Table("Depth, averages over images", columns, rows)


def _radar(by_radar: dict[str, Any], last: str, shift: float) -> Table:
    reference = by_radar["full"]["depth"][last]["mae"]
    rows = []
    for change, summary in by_radar.items():
        m, u = summary["depth"][last], summary["uncertainty"] or {}
        name = RADAR_NAMES[change] + (f" by {shift:g} s" if change == "shifted" else "")
        worse = None if change == "full" or not reference else m["mae"] / reference - 1
        rows.append(
            (
                name,
                _number(m["mae"], 3),
                "" if change == "full" else _percent(worse, sign="+"),
                _number(m["rmse"], 3),
                _number(m["abs_rel"], 4),
                _percent(m["delta1"]),
                _number(u.get("mean_score"), 3),
                _number(u.get("ause", {}).get("rmse"), 3),
                _percent(u.get("within_sigma")),
            )
        )
    columns = (
        "Radar", "MAE m", "MAE change", "RMSE m", "AbsRel", "δ1", "mean uncertainty", "AUSE RMSE m",
        "within σ",
    )  # fmt: skip
    return Table(
        f"What radar is worth, up to {last} m; averages over images, σ's over pixels", columns, rows
    )


def _ranking(uncertainty: dict[str, Any], last: str) -> Table:
    parts = ("ause", "ause_normalised", "aurg", "aurg_normalised")
    rows = [
        (name, *(_number(uncertainty[part][metric], 4) for part in parts))
        for metric, name in _METRIC_NAMES.items()
    ]
    score = uncertainty["score"].replace("_", " ")
    title = (
        f"Uncertainty as a ranking ({score}), up to {last} m; "
        f"Spearman {_number(uncertainty['spearman'], 3)}"
    )
    columns = ("Metric", "AUSE", "AUSE normalised", "AURG", "AURG normalised")
    return Table(title, columns, rows)


def _calibration(uncertainty: dict[str, Any]) -> Table:
    title = "Uncertainty in metres, over all pixels"
    columns = ("Interval for", "holds")
    if not uncertainty["calibrated"]:
        return Table(f"{title}: none, the model is not calibrated", columns, [("coverage", NONE)])
    rows = [
        (f"{float(share):.1%}", _percent(value)) for share, value in uncertainty["coverage"].items()
    ]
    rows += [
        ("calibration error", _percent(uncertainty["calibration_error"])),
        ("NLL, Laplace", _number(uncertainty["nll_laplace"], 3)),
        ("NLL, normal", _number(uncertainty["nll_gaussian"], 3)),
    ]
    return Table(title, columns, rows)


def _promises(uncertainty: dict[str, Any], field: str, name: str, column: str) -> Table:
    rows = [
        (
            _span(row["from"], row["to"]),
            f"{row['pixels']:,}",
            _percent(row["coverage"]),
            _percent(row["interval_coverage"]),
            _number(row["mean_sigma"], 3),
            _number(row["mae"], 3),
            _number(row["rmse"], 3),
        )
        for row in uncertainty[field]
    ]
    shares = [share for share, held in uncertainty["coverage"].items() if held is not None]
    interval = f"within interval({shares[-1]})" if shares else "within interval"
    columns = (column, "pixels", "within σ", interval, "mean σ m", "MAE m", "RMSE m")
    return Table(
        f"By {name}, truth as far as the network sees: 68.3 % should be within, in every row",
        columns,
        rows,
    )


def _by_range(full: dict[str, Any]) -> Table:
    rows = [(_span(row["from"], row["to"]), *_cell(row)) for row in full["by_range"]]
    return Table("By true depth, over all pixels", ("Range", *_CELL_COLUMNS), rows)


def _by_content(full: dict[str, Any]) -> Table:
    title, columns = "By content, over all pixels", ("Content", *_CELL_COLUMNS)
    if full["by_content"] is None:
        row = ("object", *[NONE] * len(_CELL_COLUMNS))
        return Table(f"{title}: none, the data is not annotated", columns, [row])
    rows = [(content, *_cell(row)) for content, row in full["by_content"].items()]
    return Table(title, columns, rows)


_CELL_COLUMNS = ("pixels", "MAE m", "RMSE m", "AbsRel", "within σ")


def _cell(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['pixels']:,}",
        _number(row["mae"], 3),
        _number(row["rmse"], 3),
        _number(row["abs_rel"], 4),
        _percent(row["coverage"]),
    )


def _condition(condition: str, values: dict[str, Any], last: str) -> Table:
    rows = []
    for value, summary in values.items():
        m, u = summary["depth"][last], summary["uncertainty"] or {}
        rows.append(
            (
                value,
                f"{summary['scenes']:,}",
                f"{summary['images']:,}",
                _number(m["mae"], 3),
                _number(m["rmse"], 3),
                _number(m["abs_rel"], 4),
                _percent(m["delta1"]),
                _number(u.get("ause", {}).get("rmse"), 3),
                _percent(u.get("within_sigma")),
            )
        )
    columns = (
        condition.capitalize(), "scenes", "images", "MAE m", "RMSE m", "AbsRel", "δ1",
        "AUSE RMSE m", "within σ",
    )  # fmt: skip
    return Table(
        f"By {condition}, up to {last} m; averages over images, σ's over pixels", columns, rows
    )


def _span(low: float, high: float | None) -> str:
    return f"{low:g} m or more" if high is None else f"{low:g} to {high:g} m"


def _number(value: float | None, digits: int) -> str:
    # Adding 0 turns -0 into 0.
    return NONE if value is None else f"{round(value, digits) + 0:.{digits}f}"


def _percent(value: float | None, sign: str = "") -> str:
    return NONE if value is None else f"{round(value, 3) + 0:{sign}.1%}"
