"""The folder of a run: which configuration it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from lircdepth_core.errors import InputError
from lircdepth_core.output_folder import output_folder
from lircdepth_core.training.checkpoints import CHOSEN_FILE, Checkpoints
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import differences, format_config, read_config
from lircdepth_core.training.processes import Processes

CONFIG_FILE = "config.yaml"
CHECKPOINT_FOLDER = "checkpoints"
CHOSEN_CHECKPOINT = f"{CHECKPOINT_FOLDER}/{CHOSEN_FILE}"

MAY_CHANGE = (
    "record.",
    "data.workers",
    "data.train",
    "data.validation",
    "teacher",
    "optimiser.accumulate",
)
"""Fields that a resumed run may have changed, whole or by the beginning of their names: two
processes may take the place of one that accumulates twice as many batches; data and teacher may
lie elsewhere now, and the checkpoint knows whether they are the same."""

IS_TOLD = ("optimiser.learning_rate", "optimiser.clip_norm")
"""Fields that may have changed too, as where a loss was not finite."""

_SECTIONS_THAT_MAY_CHANGE = tuple(name for name in MAY_CHANGE if name.endswith("."))

_UNFINISHED = "config.new"  # left by a process killed just then

Config = TypeVar("Config", bound=TrainingConfig)


def check_folder(config: TrainingConfig, out: Path) -> list[str]:
    """See that the folder is new, or that of a run with this configuration or without a checkpoint.

    Returns:
        Fields of `IS_TOLD` that a run with a checkpoint had other values of.

    Raises:
        InputError: it holds something else, or a run of another configuration.
    """
    path = out / CONFIG_FILE
    if path.exists():
        changed = [
            name
            for name in differences(read_config(type(config), path), config)
            if not (name in MAY_CHANGE or name.startswith(_SECTIONS_THAT_MAY_CHANGE))
        ]
        checkpoints = Checkpoints(out / CHECKPOINT_FOLDER, 1)
        if not (checkpoints.newest() or checkpoints.chosen.exists()):
            return []
        if refused := [name for name in changed if name not in IS_TOLD]:
            raise InputError(
                f"{path}: the run was begun with another {', '.join(refused)}; give the same "
                "values to go on, or a new --out"
            )
        return changed
    if out.is_dir() and any(found.name != _UNFINISHED for found in out.iterdir()):
        raise InputError(f"{out}: holds something else; give a new --out")
    return []


def keep_config(config: TrainingConfig, out: Path, processes: Processes) -> None:
    """Write the configuration into the folder.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    path = out / CONFIG_FILE
    processes.wait()  # no process may find what the leading one writes
    if processes.leads:
        with output_folder(out):
            temporary = out / _UNFINISHED
            try:
                temporary.write_text(format_config(config), encoding="utf-8")
                temporary.replace(path)
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be written ({error.strerror}); free some space and run the "
                    "same command again"
                ) from error
            finally:
                temporary.unlink(missing_ok=True)
    processes.wait()
