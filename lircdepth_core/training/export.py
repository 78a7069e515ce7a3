"""The chosen parameters of a run as a model folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference import ModelDescription, write_model
from lircdepth_core.inference.model_description import NetworkInput, StoredWeights
from lircdepth_core.inference.model_files import CARD_FILE, load_network, read_description
from lircdepth_core.network import MAX_DEPTH
from lircdepth_core.network.parameters import load_parameters, parameters_hash
from lircdepth_core.result_files import write_atomically
from lircdepth_core.training.checkpoints import read_checkpoint
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import format_config
from lircdepth_core.training.learner import part
from lircdepth_core.training.run_folder import CHOSEN_CHECKPOINT
from lircdepth_core.training.run_progress import Chosen, Outcome
from lircdepth_core.training.validation import VALIDATION_CAP

MODEL_FOLDER = "model"


def export_chosen(
    network: torch.nn.Module,
    out: Path,
    config: TrainingConfig,
    outcome: Outcome,
    *,
    kind: str,
    uncertainty_trained: bool,
    seen: NetworkInput,
    report: Callable[[str], None],
) -> Path:
    """Write `model/` in the folder of a run, in place of an earlier one of other parameters.

    One of the same parameters stays as it is, with what `calibrate` and `quantise` added to it.

    Args:
        network: of the run; it is given the chosen parameters.
        out: folder of a run that was validated.
        config: of the run.
        outcome: of the run.
        kind: one of `NETWORKS`.
        uncertainty_trained: whether the uncertainty head has learned.
        seen: what its depth was taught with.
        report: is told what an earlier model loses.

    Raises:
        InputError: the chosen checkpoint cannot be read.
    """
    chosen = outcome.progress.chosen
    assert chosen is not None
    path = out / CHOSEN_CHECKPOINT
    checkpoint = read_checkpoint(path)
    average = part(checkpoint.tensors, "average.module")
    load_parameters(network, average or part(checkpoint.tensors, "network"), str(path))
    description = ModelDescription(
        name=out.resolve().name[:64],
        network=kind,
        trained=True,
        uncertainty_trained=uncertainty_trained,
        max_depth=MAX_DEPTH,
        input=seen,
        weights=StoredWeights("", ""),
    )
    folder, fresh = out / MODEL_FOLDER, out / f"{MODEL_FOLDER}.new"
    if earlier := _earlier(folder):
        added = [name for name in ("calibration", "int8") if getattr(earlier, name) is not None]
        same = earlier.uncertainty_trained == uncertainty_trained
        if added and same and _parameters_of(folder, earlier) == parameters_hash(network):
            card = _card(earlier, config, outcome, chosen)
            write_atomically(folder / CARD_FILE, card)
            return folder
        if added:
            report(
                f"{folder}: another model than before; its {' and '.join(added)} went with that "
                "one, run lircdepth calibrate (and quantise) again"
            )
    shutil.rmtree(fresh, ignore_errors=True)
    write_model(fresh, network, description, _card(description, config, outcome, chosen))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def _earlier(folder: Path) -> ModelDescription | None:
    """What a run's model is, if there is one."""
    try:
        return read_description(folder) if folder.is_dir() else None
    except InputError:  # damaged, and written anew
        return None


def _parameters_of(folder: Path, description: ModelDescription) -> str | None:
    """The hash of a model's parameters; None for a damaged one."""
    try:
        return parameters_hash(load_network(folder, description))
    except InputError:
        return None


def _card(
    description: ModelDescription, config: TrainingConfig, outcome: Outcome, chosen: Chosen
) -> str:
    """The README.md of a trained model."""
    step, total = outcome.progress.step, outcome.total_steps
    by_it = "; the parameters were chosen by it" if config.record.chosen_by_error else ""
    sigma = "calibrated" if description.calibration else "not calibrated: NaN"
    crop = description.input.crop
    rows = f"{crop.height} rows as in training" if crop else "all rows, padded to a multiple of 32"
    head = "trained" if description.uncertainty_trained else "**not trained**: it means nothing"
    return f"""# {description.name}

Trained by `lircdepth train {description.network}`; these are the parameters after step
{chosen.step} of {total}, {config.record.chosen_name} of those validated up to step {step}.

| | |
|---|---|
| network | {description.network} |
| input | focal length {description.input.focal_length:g} px, scaled by \
{description.input.interpolation}, {rows} |
| validation | MAE {chosen.mae:.3f} m, RMSE {chosen.rmse:.3f} m against {config.data.truth} depth \
up to {VALIDATION_CAP:g} m, {chosen.images} images, of each the middle \
{config.data.width}×{config.data.height} px{by_it} |
| uncertainty head | {head} |
| σ | {sigma} |

The configuration:

```yaml
{format_config(config)}```
"""
