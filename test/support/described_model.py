"""A model's description as tests need it."""

from __future__ import annotations

from typing import Any

from lircdepth_core.inference.model_description import ModelDescription, NetworkInput, SeededWeights


def describe_model(focal_length: float = 200.0, **changes: Any) -> ModelDescription:
    """A trained, uncalibrated student with random parameters.

    Args:
        focal_length: pixels, at the network's input, which takes all rows.
        changes: other fields of `ModelDescription`, or other values of these.
    """
    fields: dict[str, Any] = {
        "name": "stand-in",
        "network": "student",
        "trained": True,
        "uncertainty_trained": True,
        "max_depth": 100.0,
        "input": NetworkInput(focal_length, "area"),
        "weights": SeededWeights(1),
    }
    return ModelDescription(**(fields | changes))
