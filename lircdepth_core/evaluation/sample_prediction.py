"""What a model predicts for a sample."""

from __future__ import annotations

import numpy as np

from lircdepth_core.dataset.sample import Sample
from lircdepth_core.errors import NonFiniteError
from lircdepth_core.inference import Prediction, Predictor
from lircdepth_core.radar import RadarReturns


def predict_sample(
    predictor: Predictor,
    sample: Sample,
    radar: RadarReturns | None,
    image: np.ndarray | None = None,
) -> Prediction:
    """Predict a sample.

    Args:
        predictor: the model.
        sample: of which the camera is used, and the image.
        radar: what to show of it; None for none.
        image: (H, W, 3) uint8 RGB to show instead of the sample's own.

    Raises:
        InputError: see `Predictor`.
        NonFiniteError: the network answered with NaN or infinity, in depth or in part of the
            uncertainty; names the sample.
    """
    try:
        prediction = predictor(sample.image if image is None else image, sample.camera, radar)
    except NonFiniteError as error:
        raise NonFiniteError(f"sample {sample.key}: {error}") from error
    if predictor.model.calibration is None:  # else the predictor has seen to it
        known = np.isfinite(prediction.expected_uncertainty[np.isfinite(prediction.depth)])
        if known.any() and not known.all():
            raise NonFiniteError(
                f"sample {sample.key}: the network: uncertainty is not finite at "
                f"{known.size - known.sum()} of {known.size} pixels; give another device or back "
                "end, or train its head again"
            )
    return prediction
