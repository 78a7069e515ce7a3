"""A model folder without weights, for tests that are not about depth."""

from __future__ import annotations

from pathlib import Path

from described_model import describe_model

from lircdepth_core.inference.model_description import NetworkInput
from lircdepth_core.inference.model_files import write_description


def write_untrained_model(folder: Path, focal_length: float) -> str:
    """Make a folder of a student with random parameters; its path as the node takes it.

    Args:
        folder: to be made.
        focal_length: pixels, at the network's input.
    """
    folder.mkdir()
    description = describe_model(
        name="untrained",
        trained=False,
        uncertainty_trained=False,
        input=NetworkInput(focal_length, "area_linear"),
    )
    write_description(folder, description)
    return str(folder)
