"""The results of an evaluation as one dictionary, which is also the JSON file."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from lircdepth_core.evaluation.evaluate import Evaluation
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.model_description import ModelDescription
from lircdepth_core.network import MAX_DEPTH

FORMAT = 1

BREAKDOWNS = ("by_range", "by_content")
"""Parts of a summary that are given for all images only, not by condition."""

CURVES = ("sparsification", "by_sigma", "reliability")
"""Parts of a summary's uncertainty that are given for all images with all radar only."""


def results(evaluation: Evaluation, predictor: Predictor, data: str) -> dict[str, Any]:
    """All results and what they mean; only JSON's own types, None where there is no number.

    Args:
        evaluation: what was measured.
        predictor: of the model that was evaluated.
        data: where the samples come from, in words.
    """
    options, shares, model = evaluation.options, evaluation.shares, predictor.model
    truths: dict[str, Any] = {}
    for truth in evaluation.truths:
        by_radar = evaluation.totals.get(truth, {})
        truths[truth] = {
            "left_out": evaluation.left_out.get(truth, []),
            "by_radar": {
                change: _without(
                    totals.summary(options, shares), () if change == "full" else CURVES
                )
                for change, totals in by_radar.items()
                if totals.images
            },
            "by_condition": {
                condition: {
                    value: {
                        "scenes": len(evaluation.condition_scenes[truth][condition][value]),
                        **_without(totals.summary(options, shares), (*BREAKDOWNS, *CURVES)),
                    }
                    for value, totals in values.items()
                    if totals.images
                }
                for condition, values in evaluation.by_condition.get(truth, {}).items()
                if condition != "camera" or len(values) > 1
            },
            "per_image": evaluation.rows.get(truth, []),
        }
    found = {
        "format": FORMAT,
        "model": {
            "name": model.name,
            "network": model.network,
            "trained": model.trained,
            "uncertainty_trained": model.uncertainty_trained,
            "calibrated": model.calibration is not None,
            "weights": dataclasses.asdict(model.weights),
            "device": predictor.device,
            "backend": ", ".join(evaluation.backends),
            "max_network_pixels": predictor.max_network_pixels,
            "notes": _model_notes(model, evaluation),
        },
        "data": {
            "source": data,
            "images": evaluation.images,
            "scenes": len(evaluation.scenes),
            "skipped": evaluation.skipped,
            "notes": [
                f"{count} of {evaluation.images} images: {note}"
                for note, count in evaluation.notes.items()
            ],
        },
        "options": {
            "caps": list(options.caps),
            "range_step": options.range_step,
            "coverage_shares": list(options.coverage_shares),
            "radar": list(options.radar),
            "radar_shift": options.radar_shift,
            "seed": options.seed,
            "clamp_to_cap": options.clamp_to_cap,
        },
        "definitions": definitions(options),
        "truths": truths,
    }
    return _plain(found)


def definitions(options: EvaluationOptions) -> dict[str, str]:
    """What the numbers mean, in words."""
    last = f"{options.caps[-1]:g} m"
    clamped = "limited to the cap" if options.clamp_to_cap else "not limited to the cap"
    return {
        "pixels": "those with truth above 0 and up to the cap, and a prediction; sky has none. "
        "answered is the share of the truth's pixels that have a prediction, per image, then "
        "averaged over all images with truth, those without any prediction too.",
        "depth": "taken per image, then averaged over images, as published. e = prediction - "
        f"truth; predictions are {clamped}. mae: mean |e| in m; rmse: root of mean e² in m; "
        "abs_rel: mean |e|/truth; sq_rel: mean e²/truth in m; rmse_log: root of mean squared "
        "difference of natural logarithms; log10: mean |difference of decimal logarithms|; silog: "
        "100 × standard deviation of the difference of natural logarithms; delta<i>: share of "
        "pixels with max(prediction/truth, truth/prediction) < 1.25^i.",
        "by_range, by_content": f"over the pixels of all images together, truth up to {last}. An "
        "object is all that lies inside a 2-D box of the prepared sample, what is seen behind it "
        "included: the boxes of annotated cars, motorcycles, bicycles, buses, trucks, trailers and "
        "adult pedestrians in view, at most the 35 nearest of an image. All else is background, "
        "annotated or not; in scenes without any annotation content is unknown.",
        "score": "what ranks pixels by uncertainty: sigma in m if the model is calibrated, else "
        "the head's expected uncertainty, 0..1, which is relative to depth.",
        "sparsification": f"per image, truth up to {last}, then averaged: the metric over the "
        "pixels that stay when the share 'removed' is taken away, the most uncertain first "
        "(by_score), the most wrong first (oracle: |e|; for abs_rel |e|/truth), or at random.",
        "ause": "area between the curves by_score and oracle over the share removed from 0 to 1, "
        "in the metric's unit, not normalised; 0 is best. ause_normalised: per image divided by "
        "the metric over all its pixels.",
        "aurg": "area between the curves random and by_score, in the same unit; above 0 is better "
        "than no uncertainty. aurg_normalised: divided likewise.",
        "spearman": "rank correlation of score and |e| per image, then averaged.",
        "coverage": f"share of all pixels, truth up to {last}, with |e| up to the half-width that "
        "is to hold that share; None for a model that is not calibrated.",
        "calibration_error": "mean of |coverage - share| over the shares of coverage.",
        "nll_laplace": "mean negative log-likelihood in nats over all pixels, e in m, for a "
        "Laplace distribution around the prediction with 68.3 % within sigma.",
        "nll_gaussian": "the same for a normal distribution of standard deviation sigma.",
        "by_sigma": "coverage of sigma (to hold 68.3 %) over the pixels with sigma in a bin, truth "
        f"up to {max(options.caps[-1], MAX_DEPTH):g} m: a nearer cap on the truth would leave, of "
        "predictions beyond it, those alone that are too far. interval_coverage: of the widest "
        "interval asked for.",
        "by_predicted_depth": "the same over the pixels with the predicted depth in a bin.",
        "by_radar": "full: as measured; none: no radar; half: every second return at random "
        f"(seed {options.seed}); shifted: every return where its velocity says that it was "
        f"{options.radar_shift:g} s before, a sweep that much too old and not compensated.",
    }


def _model_notes(model: ModelDescription, evaluation: Evaluation) -> list[str]:
    """What a reader must know of the model."""
    notes = []
    if not model.trained:
        notes.append("the model is UNTRAINED: its depth is meaningless")
    if model.calibration is None:
        notes.append(
            "the model is not calibrated: sigma does not exist, so coverage, calibration error "
            "and likelihood are none"
        )
    missing = [
        share for share in evaluation.options.coverage_shares if share not in evaluation.shares
    ]
    if evaluation.shares and missing:
        notes.append(
            f"the calibration holds no interval for {', '.join(f'{share:g}' for share in missing)}"
            ": coverage there and the calibration error are none"
        )
    if not model.uncertainty_trained:
        notes.append("the uncertainty head is UNTRAINED: its uncertainty is meaningless")
    return notes


def _without(summary: dict[str, Any], parts: tuple[str, ...]) -> dict[str, Any]:
    """The summary, and its uncertainty, without some parts."""
    kept = {name: value for name, value in summary.items() if name not in parts}
    if kept["uncertainty"]:
        kept["uncertainty"] = {
            name: value for name, value in kept["uncertainty"].items() if name not in parts
        }
    return kept


def _plain(value: Any) -> Any:
    """The same with Python's own numbers, and None for those that are not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
