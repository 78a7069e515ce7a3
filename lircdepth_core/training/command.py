"""`lircdepth train`: teach a network on prepared samples."""

from __future__ import annotations

import argparse
import functools
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from lircdepth_core.distillation import (
    StudentTask,
    StudentTaskConfig,
    TeacherTask,
    TeacherTaskConfig,
)
from lircdepth_core.errors import InputError, naming
from lircdepth_core.extras import not_installed
from lircdepth_core.inference.model_description import NetworkInput
from lircdepth_core.network import NETWORKS, StudentNetwork
from lircdepth_core.network.parameters import parameters_hash
from lircdepth_core.training.config import Data, Precision, TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.freed_memory import keep_freed_memory
from lircdepth_core.training.networks import TEACHERS, load_teacher, starting_network
from lircdepth_core.training.precision import DTYPES, denormals_flushed, usable_precision
from lircdepth_core.training.processes import Processes, joined
from lircdepth_core.training.run_progress import Outcome
from lircdepth_core.training.stopping import SIGNALS, Stop
from lircdepth_core.training.taught_rows import taught_rows


@dataclass(frozen=True, kw_only=True)
class StudentTraining(TrainingConfig):
    """What `lircdepth train student` and `small_student` are told.

    Attributes:
        teacher: model folder or published checkpoint; a small student's may also be a student's
            folder. null needs a loss without distillation.
        teacher_precision: what the teacher runs in; null: as the student.
        loss: what the student optimises.
        learns: all of it, or the uncertainty head alone, which gives it to any student whose
            depth is to stay as it is.

    Raises:
        InputError: the head is to learn alone, without a model or with a loss besides its own; or
            something is to be taught by dense depth where there is the single scan alone.
    """

    teacher: str | None
    teacher_precision: Precision | None = None
    loss: StudentTaskConfig = field(default_factory=StudentTaskConfig)
    learns: Literal["all", "uncertainty"] = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("inter_depth", "depth_dense"):
            if self.data.dense_from == "single_scan" and self.loss.weights[name]:
                raise InputError(
                    f"loss.{name}: {self.loss.weights[name]:g}, but it is learned where there is "
                    "dense depth and no single scan, and with data.dense_from: single_scan there "
                    "is no such place; give 0"
                )
        if self.learns == "all":
            return
        if self.start.model is None:
            raise InputError("start.model: null; give the model whose uncertainty is to be learned")
        for name, weight in self.loss.weights.items():
            if (weight != 0) != (name == "uncertainty"):
                change = "1" if name == "uncertainty" else "0, its depth stays as it is"
                raise InputError(f"loss.{name}: {weight:g}; learns: uncertainty wants {change}")


@dataclass(frozen=True, kw_only=True)
class TeacherTraining(TrainingConfig):
    """What `lircdepth train teacher` is told.

    Attributes:
        loss: what the teacher optimises.
    """

    loss: TeacherTaskConfig = field(default_factory=TeacherTaskConfig)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth train`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _DESCRIPTION
    parser.add_argument("network", choices=sorted(NETWORKS), help="which network learns")
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="YAML; share/lircdepth/config/train_*.yaml are examples",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help="fields to change, such as optimiser.learning_rate=1e-4 data.train=[shards/training]",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the run, to be made"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="MINUTES",
        help="stop with a checkpoint when it is up (default: none)",
    )
    parser.add_argument(
        "--max-steps",
        type=int,
        metavar="N",
        help="stop with a checkpoint after step N; the schedule keeps to the configuration's "
        "length (default: none)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; under torchrun cuda, each process takes its own device "
        "(default: %(default)s)",
    )


_DESCRIPTION = """\
Teach a network on prepared samples.

DIR holds config.yaml, log.jsonl, tensorboard/, checkpoints/ and in the end model/, the parameters
that were best on the validation samples, or the last with --set record.choose=last. The same
command again goes on from the newest checkpoint, whether the run was killed, stopped by Ctrl-C
or SIGTERM, or by --time-limit.
With several processes: torchrun --nproc-per-node 2 -m lircdepth_core.cli train student ...
The exit status is 0 at the end, and after --time-limit or --max-steps; 130 after Ctrl-C, 143
after SIGTERM."""


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth train`; errors are raised as `InputError`."""
    if args.time_limit is not None and not 0 < args.time_limit < math.inf:
        raise InputError(f"--time-limit {args.time_limit:g}: give a positive number of minutes")
    if args.max_steps is not None and args.max_steps < 1:
        raise InputError(f"--max-steps {args.max_steps}: give 1 or more")
    keep_freed_memory()
    with denormals_flushed(), joined(args.device) as processes:
        if args.network == "teacher":
            teacher = read_config(TeacherTraining, args.config, args.set)
            return _train_teacher(teacher, args, processes)
        student = read_config(StudentTraining, args.config, args.set)
        return _train_student(student, args, processes)


def _train_student(config: StudentTraining, args: argparse.Namespace, processes: Processes) -> int:
    if args.network == "small_student":
        for name in ("image_feature", "radar_feature"):
            if config.loss.weights[name]:
                raise InputError(
                    f"loss.{name}: a small student's features are narrower than a teacher's; give 0"
                )
    network, before = starting_network(args.network, config.start, config.seed)
    assert isinstance(network, StudentNetwork)
    depth_saw = None
    if config.learns == "uncertainty":
        network.freeze_depth()
        if before is not None:
            if not before.trained:
                raise InputError(
                    f"start.model: {config.start.model} is not trained, and its depth would stay "
                    "as it is; train it first"
                )
            depth_saw, data = before.input, config.data
            if not math.isclose(depth_saw.focal_length, data.focal_length, rel_tol=1e-3):
                raise InputError(
                    f"data.focal_length: {data.focal_length:g} px; {config.start.model} learned "
                    f"its depth with {depth_saw.focal_length:g} px, give this"
                )
            if depth_saw.interpolation != data.interpolation:
                raise InputError(
                    f"data.interpolation: {data.interpolation}; {config.start.model} learned its "
                    f"depth with {depth_saw.interpolation}, give this"
                )
    teacher, teacher_dtype, teacher_hash = None, None, None
    if config.loss.distils:
        if config.teacher is None:
            raise InputError(
                "teacher: null, but a distillation weight in loss is not 0; give a model folder"
            )
        if asked := config.teacher_precision:
            usable = usable_precision("teacher_precision", asked, processes.device)
            teacher_dtype = DTYPES[usable]
        kinds = TEACHERS[args.network]
        teacher = load_teacher(config.teacher, config.data.focal_length, kinds)
        if isinstance(teacher, StudentNetwork) and config.loss.inter_depth:
            raise InputError(
                f"loss.inter_depth: {config.teacher} is a student, whose intermediate depths are "
                "depths only if it was taught so; give 0"
            )
        teacher_hash = parameters_hash(teacher)
        teacher.to(processes.device)
        nn.utils.convert_conv2d_weight_memory_format(teacher, torch.channels_last)
    task = StudentTask(network, teacher, config.loss, teacher_dtype)
    return _train(
        *(config, task, args, processes),
        # One that was trained before reads features that change now.
        uncertainty_trained=config.loss.uncertainty > 0,
        depth_saw=depth_saw,
        teacher_hash=teacher_hash,
    )


def _train_teacher(config: TeacherTraining, args: argparse.Namespace, processes: Processes) -> int:
    network, _ = starting_network("teacher", config.start, config.seed)
    task = TeacherTask(network, config.loss)
    return _train(config, task, args, processes, uncertainty_trained=False)


def _seen(data: Data) -> NetworkInput:
    """What a network is to see that learns its depth from such data.

    Also with padding: a network that had been taught some erred nearly twice as much below it.

    Raises:
        InputError: the data cannot be read.
    """
    with naming("data.train"):
        rows = taught_rows(data.train, data.spec)
    return NetworkInput(data.focal_length, data.interpolation, rows)


def _rows(seen: NetworkInput) -> str:
    """In words."""
    return f"{seen.crop.height} rows of an image (input.crop)" if seen.crop else "whole images"


def _train(
    config: TrainingConfig,
    task: StudentTask | TeacherTask,
    args: argparse.Namespace,
    processes: Processes,
    *,
    uncertainty_trained: bool,
    depth_saw: NetworkInput | None = None,
    teacher_hash: str | None = None,
) -> int:
    try:
        from lircdepth_core.training.export import export_chosen
        from lircdepth_core.training.loop import BrokenOffError, train
    except ImportError as error:
        raise InputError(not_installed(error.name, "train")) from error
    report: Any = functools.partial(print, flush=True)
    seen = depth_saw
    # Now: in the end the data may be gone, or be why the run was broken off.
    with processes.together():
        if processes.leads and seen is None:
            seen = _seen(config.data)

    def export(outcome: Outcome) -> None:
        chosen = outcome.progress.chosen
        if not (processes.leads and chosen):
            return
        assert seen is not None
        folder = export_chosen(
            task.network,
            args.out,
            config,
            outcome,
            kind=args.network,
            uncertainty_trained=uncertainty_trained,
            seen=seen,
            report=report,
        )
        report(
            f"{folder}: {config.record.chosen_name}, of step {chosen.step}, "
            f"validation MAE {chosen.mae:.3f} m; it is shown {_rows(seen)}"
        )

    try:
        outcome = train(
            config,
            task,
            args.out,
            processes,
            time_limit=None if args.time_limit is None else 60 * args.time_limit,
            max_steps=args.max_steps,
            teacher=teacher_hash,
            report=report,
        )
    except BrokenOffError as error:
        # What was chosen before is as good as ever; that it cannot be written is no news then.
        # The other processes have ended, and torchrun wants this one to.
        with Stop().heeding_signals(), suppress(InputError, OSError):
            export(error.outcome)
        raise
    export(outcome)
    if not processes.leads:
        return 0
    if outcome.stopped_by:
        report(
            f"stopped after step {outcome.progress.step} of {outcome.total_steps} "
            f"({outcome.stopped_by}); the same command goes on from there"
        )
    return next((128 + n for n, name in SIGNALS.items() if name == outcome.stopped_by), 0)
