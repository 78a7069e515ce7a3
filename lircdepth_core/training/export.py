"""The chosen parameters of a run as a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from lircdepth_core.inference import ModelDescription, write_model
from lircdepth_core.inference.model_description import NetworkInput, StoredWeights
from lircdepth_core.network import MAX_DEPTH
from lircdepth_core.network.parameters import load_parameters
from lircdepth_core.training.checkpoints import read_checkpoint
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import format_config
from lircdepth_core.training.learner import part
from lircdepth_core.training.loop import Chosen, Outcome
from lircdepth_core.training.run_folder import CHOSEN_CHECKPOINT
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
) -> Path:
    """Write `model/` in the folder of a run, in place of an earlier one.

    Args:
        network: of the run; it is given the chosen parameters.
        out: folder of a run that was validated.
        config: of the run.
        outcome: of the run.
        kind: one of `NETWORKS`.
        uncertainty_trained: whether the uncertainty head has learned.
        seen: what images its depth was taught with.

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
    shutil.rmtree(fresh, ignore_errors=True)
    write_model(fresh, network, description, _card(description, config, outcome, chosen))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def _card(
    description: ModelDescription, config: TrainingConfig, outcome: Outcome, chosen: Chosen
) -> str:
    """The README.md of a trained model."""
    step, total = outcome.progress.step, outcome.total_steps
    by_it = "; the parameters were chosen by it" if config.record.chosen_by_error else ""
    head = "trained" if description.uncertainty_trained else "**not trained**: it means nothing"
    return f"""# {description.name}

Trained by `lircdepth train {description.network}`; these are the parameters after step
{chosen.step} of {total}, {config.record.chosen_name} of those validated up to step {step}.

| | |
|---|---|
| network | {description.network} |
| input | focal length {description.input.focal_length:g} px, scaled by \
{description.input.interpolation} |
| validation | MAE {chosen.mae:.3f} m, RMSE {chosen.rmse:.3f} m against {config.data.truth} depth \
up to {VALIDATION_CAP:g} m, {chosen.images} images{by_it} |
| uncertainty head | {head} |
| σ | not calibrated: NaN |

The configuration:

```yaml
{format_config(config)}```
"""
