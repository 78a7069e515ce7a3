"""How wrong a model is with a back end, on a few samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.sample_prediction import predict_sample
from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.inference import Predictor

CAP = 80.0
"""Metres; truth beyond is not used."""


def spread_samples(locations: Sequence[str], count: int) -> list[Sample]:
    """So many samples, spread evenly over a data set.

    Raises:
        InputError: one of them cannot be read, or there is none.
    """
    source = PreparedSamples(tuple(locations))
    total = source.count()
    if total is None:
        raise InputError(f"{' '.join(locations)}: give a folder with an index, as prepare writes")
    chosen = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())

    def damaged(error: InputError) -> None:
        raise error

    samples = [sample for _, sample in source(chosen.__contains__, damaged)]
    if not samples:
        raise InputError(f"{' '.join(locations)}: no samples")
    return samples


def has_truth(sample: Sample) -> bool:
    """Whether a sample has depth that a prediction can be compared with."""
    truth = _truth(sample)
    return bool(((truth > 0) & (truth <= CAP)).any())


def _truth(sample: Sample) -> np.ndarray:
    """(H, W) metres, 0 or +Inf where there is none."""
    return sample.single_scan if sample.exact is None else sample.exact


@dataclass(frozen=True)
class SampledError:
    """How wrong a model is.

    Attributes:
        mae: mean absolute error against exact depth, else the single scan, averaged over images;
            metres.
        within_sigma: share of the same pixels' errors that sigma holds, which should be 0.683; NaN
            for a model without calibration.
    """

    mae: float
    within_sigma: float


def sampled_error(
    model: Path, device: str, backend: str, samples: Sequence[Sample]
) -> SampledError:
    """The error of a model with a back end.

    Raises:
        InputError: the back end cannot be had, or no sample has truth.
        NonFiniteError: the network answered with NaN or infinity; names the sample.
    """
    predictor = Predictor.load(model, device=device, backend=backend)
    means, held, pixels = [], 0, 0
    for sample in samples:
        prediction = predict_sample(predictor, sample, sample.radar_returns())
        truth = _truth(sample)
        known = (truth > 0) & (truth <= CAP) & np.isfinite(prediction.depth)
        if not known.any():
            continue
        errors = np.abs(prediction.depth - truth)[known]
        means.append(errors.mean())
        held += int((errors <= prediction.sigma[known]).sum())
        pixels += len(errors)
    if not means:
        raise InputError("no sample has truth; check how the data was prepared")
    calibrated = predictor.model.calibration is not None
    return SampledError(float(np.mean(means)), held / pixels if calibrated else np.nan)
