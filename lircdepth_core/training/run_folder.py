"""The folder of a run: which configuration it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from lircdepth_core.errors import InputError
from lircdepth_core.sole_process import LOCK_FILE
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
    "optimiser.accumulate",
)
"""Fields that a resumed run may have changed, whole or by the beginning of their names: two
processes may take the place of one that accumulates twice as many batches."""

IS_TOLD = ("optimiser.learning_rate", "optimiser.clip_norm")
"""Fields that may have changed too, as where a loss was not finite."""

IS_CHECKED = ("data.train", "data.validation", "teacher")
"""Fields that may name another place, but not other things, which checkpoints know: the teacher by
its parameters, the shards by their names and sizes."""

_SECTIONS_THAT_MAY_CHANGE = tuple(name for name in MAY_CHANGE if name.endswith("."))

_UNFINISHED = "config.new"  # left by a process killed just then
_NOTHING = (_UNFINISHED, LOCK_FILE)

Config = TypeVar("Config", bound=TrainingConfig)


def check_folder(config: TrainingConfig, out: Path) -> list[str]:
    """See that the folder is new, or that of a run with this configuration or without a checkpoint.

    Returns:
        Fields of `IS_TOLD` and `IS_CHECKED` that a run with a checkpoint had other values of.

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
        if refused := [name for name in changed if name not in IS_TOLD + IS_CHECKED]:
            raise InputError(
                f"{path}: the run was begun with another {', '.join(refused)}; give the same "
                "values to go on, or a new --out"
            )
        return changed
    if out.is_dir() and any(found.name not in _NOTHING for found in out.iterdir()):
        raise InputError(f"{out}: holds something else; give a new --out")
    return []


def keep_config(config: TrainingConfig, out: Path, processes: Processes) -> None:
    """Write the configuration into the folder.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = out / CONFIG_FILE
    with processes.together():
        if processes.leads:
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
