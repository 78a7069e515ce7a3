"""A model folder without weights, for tests that are not about depth."""

from __future__ import annotations

from pathlib import Path

from lircdepth_core.inference.model_description import ModelDescription, NetworkInput, SeededWeights
from lircdepth_core.inference.model_files import write_description
from lircdepth_core.network import MAX_DEPTH


def write_untrained_model(folder: Path, focal_length: float) -> str:
    """Make a folder of a student with random parameters; its path as the node takes it.

    Args:
        folder: to be made.
        focal_length: pixels, at the network's input.
    """
    folder.mkdir()
    description = ModelDescription(
        name="untrained",
        network="student",
        trained=False,
        uncertainty_trained=False,
        max_depth=MAX_DEPTH,
        input=NetworkInput(focal_length, "area_linear"),
        weights=SeededWeights(1),
    )
    write_description(folder, description)
    return str(folder)
