"""The training loop: updates, validations and checkpoints until the end, or until it must stop."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.output_folder import output_folder
from lircdepth_core.sole_process import sole_process
from lircdepth_core.training.checkpoints import Checkpoint, Checkpoints, read_checkpoint
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.data import check_apart, check_shared_memory, load
from lircdepth_core.training.disturbed_batches import DisturbedBatches
from lircdepth_core.training.learner import Learner, LearningTask, NotFiniteError
from lircdepth_core.training.meter import Meter
from lircdepth_core.training.optimiser import learning_rate
from lircdepth_core.training.processes import Processes
from lircdepth_core.training.records import Records, progress_line
from lircdepth_core.training.run_folder import CHECKPOINT_FOLDER, check_folder, keep_config
from lircdepth_core.training.run_progress import Chosen, Outcome, Progress
from lircdepth_core.training.stopping import MAX_STEPS, REASONS, Stop
from lircdepth_core.training.validation import (
    NotFiniteDepthError,
    Validation,
    check_truth,
    validate,
)


def train(
    config: TrainingConfig,
    task: LearningTask,
    out: Path,
    processes: Processes,
    *,
    time_limit: float | None = None,
    max_steps: int | None = None,
    teacher: str | None = None,
    report: Callable[[str], None] = print,
) -> Outcome:
    """Train a task's network, from the newest checkpoint in `out` if there is one.

    On a CPU and from shards on disk, a run that was killed and goes on ends with the same
    parameters as one that was not, bit by bit, with the same number of threads and processes.

    Args:
        config: see there; it is saved in `out`.
        task: what is minimised, and the network, its parameters as they should be at first.
        out: folder of the run, which all processes see: `config.yaml`, `checkpoints/`,
            `log.jsonl` and `tensorboard/`.
        processes: that train together.
        time_limit: seconds, after which it stops with a checkpoint.
        max_steps: step after which it stops with a checkpoint; the learning rate keeps to
            `config.length`.
        teacher: SHA-256 of the weights that the task learns from; a run does not go on with others.
        report: takes lines for the user, in the leading process.

    Raises:
        InputError: the data or `out` cannot be used; or a loss or gradient is not finite, and then
            names it, its samples, and the last good checkpoint; or the disk is full; or another
            run works in `out`. Once it is under way it is a `BrokenOffError`.
    """
    stop = Stop(time_limit, max_steps)
    check_folder(config, out)
    run = _Run(config, task, out, processes, stop, teacher, report)
    # Only now: what cannot begin has not claimed the folder.
    with stop.heeding_signals(), _claimed(out, processes):
        with processes.together():
            changed = check_folder(config, out)  # again, now that it is this run's alone
        run.resume(changed)
        # Only now: what may not go on has changed nothing there.
        keep_config(config, out, processes)
        if changed and processes.leads:
            report(f"{out}: goes on with another {', '.join(changed)}")
        try:
            return run.go()
        except InputError as error:
            raise BrokenOffError(str(error), run.kept_outcome()) from error


class BrokenOffError(InputError):
    """A run under way cannot go on.

    Attributes:
        outcome: what it reached.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@contextmanager
def _claimed(out: Path, processes: Processes) -> Iterator[None]:
    """The folder is there, and no other run works in it: each would delete the other's files."""
    with ExitStack() as stack:
        with processes.together():
            if processes.leads:
                stack.enter_context(output_folder(out))
                stack.enter_context(sole_process(out))
        yield


class _Run:
    """A run under way."""

    def __init__(
        self,
        config: TrainingConfig,
        task: LearningTask,
        out: Path,
        processes: Processes,
        stop: Stop,
        teacher: str | None,
        report: Callable[[str], None],
    ) -> None:
        self._config, self._out, self._processes = config, out, processes
        self._stop, self._teacher, self._report = stop, teacher, report
        data = config.data
        check_apart(data.train, data.validation)
        self._batches = TrainingBatches(
            data.train,
            data.spec,
            data.batch_size,
            seed=config.seed,
            dense_from=data.dense_from,
            rank=processes.rank,
            ranks=processes.ranks,
        )
        self._validation = TrainingBatches(
            data.validation,
            data.spec,
            data.batch_size,
            training=False,
            dense_from=None,
            rank=processes.rank,
            ranks=processes.ranks,
        )
        check_shared_memory(data.batch_bytes, data.workers, processes.on_this_machine)
        # Now, and not when it has learned until the first validation.
        batches = load(self._validation, data.workers, processes.device)
        check_truth(batches, data.truth, processes)
        self._samples = None if self._batches.streams else self._batches.samples
        content = (self._batches.content(), self._validation.content())
        self._content = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._images_per_step = data.batch_size * processes.ranks * config.optimiser.accumulate
        self._steps_per_epoch = self._batches.samples // self._images_per_step
        if not self._steps_per_epoch:
            raise InputError(
                f"data.train: {self._batches.samples} samples are less than the "
                f"{self._images_per_step} images of an update; lower batch_size or accumulate"
            )
        self._total_steps = config.length.total_steps(self._steps_per_epoch, self._images_per_step)
        self._checkpoints = Checkpoints(out / CHECKPOINT_FOLDER, config.record.keep)
        self._learner = Learner(task, config.optimiser, processes, config.seed)
        self._progress = Progress()
        self._meter = Meter()
        self._records: Records | None = None
        self._resumed = False

    @property
    def outcome(self) -> Outcome:
        """What was reached so far, not stopped by anything."""
        return Outcome(self._progress, self._total_steps, None)

    def kept_outcome(self) -> Outcome:
        """The same, but what was chosen is what is on the disk, if anything is."""
        chosen: Chosen | None = None
        with suppress(InputError, KeyError, TypeError):
            values = read_checkpoint(self._checkpoints.chosen).values["progress"]["chosen"]
            chosen = Chosen(**values)
        progress = dataclasses.replace(self._progress, chosen=chosen)
        return dataclasses.replace(self.outcome, progress=progress)

    def go(self) -> Outcome:
        """Train to the end, or until it must stop."""
        done_again = "validation" if self._validation_is_due else None
        with ExitStack() as stack:
            with self._processes.together():
                if self._processes.leads:
                    records = Records(self._out, self._progress.step, done_again)
                    self._records = stack.enter_context(records)
                    self._say_what_begins(self._records)
            outcome = self._train()
            with self._processes.together():
                if self._records:
                    self._records.write(
                        "end",
                        self._progress.step,
                        {"stopped_by": outcome.stopped_by, **dataclasses.asdict(self._progress)},
                    )
            return outcome

    def _train(self) -> Outcome:
        stopped_by = None
        if self._validation_is_due:
            with self._meter.paused():
                stopped_by = self._validate()
        if stopped_by is None and self._progress.step < self._total_steps:
            # Of the reasons to stop this one holds before any update too.
            stopped_by = MAX_STEPS if self._stop.is_far_enough(self._progress.step) else None
        while self._progress.step < self._total_steps and stopped_by is None:
            stopped_by = self._rest_of_epoch()
        return dataclasses.replace(self.outcome, stopped_by=stopped_by)

    def _rest_of_epoch(self) -> str | None:
        """Make the updates that are left of an epoch; why it was broken off, if it was."""
        source = DisturbedBatches(self._batches, self._config.data, self._config.seed)
        accumulate = self._config.optimiser.accumulate
        source.set_epoch(self._progress.epoch, self._progress.step_in_epoch * accumulate)
        batches = load(source, self._config.data.workers, self._processes.device)
        while self._batches.streams or self._progress.step_in_epoch < self._steps_per_epoch:
            if not self._update(batches):
                break
            with self._meter.paused():
                stopped_by = self._after_update()
            if stopped_by or self._progress.step == self._total_steps:
                return stopped_by
        if not self._progress.step_in_epoch:
            raise InputError(
                "data.train: the streamed shards give a process less than the images of an "
                "update; lower batch_size, accumulate or workers"
            )
        self._advance(epoch=self._progress.epoch + 1, step_in_epoch=0)
        return None

    def _update(self, batches: Iterator[Batch]) -> bool:
        """Update the parameters once; False if there is not enough data left."""
        step, accumulate = self._progress.step, self._config.optimiser.accumulate
        losses: dict[str, Tensor] = {}
        with self._naming_the_step(), self._naming_what_memory_lacks(step + 1):
            self._learner.begin(step, self._learning_rate(step))
            for number in range(1, accumulate + 1):
                with self._processes.together(), self._meter.waiting():
                    batch = next(batches, None)
                if batch is None:
                    return False
                for name, loss in self._learner.add(batch, last=number == accumulate).items():
                    losses[name] = losses.get(name, 0) + loss / accumulate
            norm = self._learner.finish()
        self._meter.add({**losses, "gradient_norm": norm})
        self._advance(
            step=step + 1,
            step_in_epoch=self._progress.step_in_epoch + 1,
            image_steps=self._progress.image_steps + self._images_per_step,
        )
        return True

    def _after_update(self) -> str | None:
        """Log, validate and write a checkpoint where they are due; why the run must stop."""
        step, record = self._progress.step, self._config.record
        ends = step == self._total_steps
        stopped_by = None if ends else self._agreed_stop(step)
        if ends or stopped_by or step % record.log_every == 0:
            self._log()
        if self._validation_is_due:
            # A validation takes long, and whoever stops the run may not wait for its end.
            self._write_checkpoint(delete_old=False)
            if stopped_by in (None, MAX_STEPS):
                stopped_by = self._validate() or stopped_by
        elif stopped_by or step % record.checkpoint_every == 0:
            self._write_checkpoint()
        return stopped_by

    @property
    def _validation_is_due(self) -> bool:
        step = self._progress.step
        due = step == self._total_steps or step % self._config.record.validate_every == 0
        return due and step > 0 and self._progress.validated != step

    def _agreed_stop(self, step: int) -> str | None:
        """Why the run must stop, the same in all processes: a signal may reach only one."""
        reason = self._stop.reason(step)
        given = torch.tensor([float(reason == known) for known in REASONS])
        processes = self._processes.sum(given).tolist()
        return next((known for known, n in zip(REASONS, processes, strict=True) if n), None)

    def _log(self) -> None:
        step = self._progress.step
        means = self._meter.take(self._processes, self._images_per_step)
        left = self._meter.seconds_left(self._total_steps - step)
        with self._processes.together():
            self._record_step(means, left)

    def _record_step(self, means: dict[str, float], left: float) -> None:
        step = self._progress.step
        if self._records:
            values = {
                "epoch": self._progress.epoch,
                "image_steps": self._progress.image_steps,
                "learning_rate": self._learning_rate(step - 1),
                **means,
            }
            self._records.write("step", step, values)
            self._report(progress_line(step, self._total_steps, means, left))

    def _validate(self) -> str | None:
        """Validate, choose and write a checkpoint; why it was broken off, if it was."""
        step = self._progress.step
        self._learner.gather()
        with self._naming_what_memory_lacks(step), self._naming_what_to_delete():
            result = validate(
                self._learner.result,
                load(self._validation, self._config.data.workers, self._processes.device),
                self._config.data.truth,
                self._processes,
                lambda: self._stop.signal is not None,
            )
        if result is None:
            return self._agreed_stop(step)
        self._advance(validated=step)
        by_error = self._config.record.chosen_by_error
        before = self._progress.chosen
        is_best = by_error and (before is None or result.mae < before.mae)
        if is_best or not by_error:
            self._advance(chosen=Chosen(step, result.mae, result.rmse, result.images))
        with self._processes.together():
            self._record_validation(result, is_best)
        self._write_checkpoint()
        return None

    def _record_validation(self, result: Validation, is_best: bool) -> None:
        step = self._progress.step
        if self._records:
            self._records.write("validation", step, dataclasses.asdict(result))
            self._report(
                f"step {step}/{self._total_steps}  validation: MAE {result.mae:.3f} m, RMSE "
                f"{result.rmse:.3f} m, {result.images} images{', the best' if is_best else ''}"
            )

    def _write_checkpoint(self, *, delete_old: bool = True) -> None:
        self._learner.gather()
        with self._processes.together():
            if self._processes.leads:
                tensors, values = self._learner.state()
                values["progress"] = dataclasses.asdict(self._progress)
                values["images_per_step"] = self._images_per_step
                values["samples"] = self._samples
                values["streams"] = self._batches.streams
                values["data"] = self._content
                values["teacher"] = self._teacher
                checkpoint = Checkpoint(tensors, values)
                self._checkpoints.write(self._progress.step, checkpoint, delete_old=delete_old)
                self._mark_chosen()

    def _mark_chosen(self) -> None:
        """Keep the checkpoint just written or read as the chosen one, if it is."""
        if self._progress.chosen and self._progress.chosen.step == self._progress.step:
            self._checkpoints.mark_chosen(self._progress.step)

    def resume(self, changed: Sequence[str] = ()) -> None:
        """Go on from the newest checkpoint, if there is one.

        Args:
            changed: fields that may have changed, and have.
        """
        with self._processes.together():
            path = self._checkpoints.newest()
            try:
                if path is not None:
                    self._restore(read_checkpoint(path), path, changed)
            except InputError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{path}: not a checkpoint of such a run ({first_line(error)}); delete it to "
                    "go on from another"
                ) from error
        if not self._processes.agree(self._progress.step):
            raise InputError(
                f"{self._out}: the processes do not find the same checkpoint there; give an --out "
                "that all of them share"
            )
        with self._processes.together():
            if path is not None and self._processes.leads:
                self._mark_chosen()
        chosen = self._progress.chosen
        if chosen and not self._checkpoints.has_chosen(chosen.step):
            # As where newer checkpoints were deleted: it is of one of those.
            self._advance(chosen=None, validated=0)
            if self._processes.leads:
                self._report(
                    f"{self._checkpoints.chosen}: not the parameters of step {chosen.step}, which "
                    "were chosen; the next validation chooses anew"
                )
        self._resumed = path is not None

    def _restore(self, checkpoint: Checkpoint, path: Path, changed: Sequence[str]) -> None:
        images = checkpoint.values["images_per_step"]
        if images != self._images_per_step:
            raise InputError(
                f"{path}: of updates with {images} images, now it would be "
                f"{self._images_per_step}; change accumulate or the number of processes"
            )
        streams = checkpoint.values.get("streams", self._batches.streams)
        if streams != self._batches.streams:
            now, then = ("streamed", "files") if self._batches.streams else ("files", "streamed")
            raise InputError(
                f"{path}: the shards of data.train were {then}, now they are {now}, and come in "
                "another order; give them as before to go on, or a new --out"
            )
        samples = checkpoint.values.get("samples")  # checkpoints of before do not tell
        if samples not in (None, self._samples):
            raise InputError(
                f"{path}: of a run on {samples} training samples, now there are {self._samples}; "
                "give the same data to go on, or a new --out"
            )
        known = checkpoint.values.get("data")  # nor of this
        moved = [name for name in ("data.train", "data.validation") if name in changed]
        if known != self._content and (known is not None or moved):
            raise InputError(
                f"{path}: of a run on shards of other names, sizes or order, for training or "
                "validation; give the same data to go on, or a new --out"
            )
        if checkpoint.values.get("teacher", self._teacher) != self._teacher:
            raise InputError(
                f"{path}: of a run with other parameters of its teacher; give the same teacher to "
                "go on, or a new --out"
            )
        self._learner.restore(checkpoint.tensors, checkpoint.values, str(path))
        progress = dict(checkpoint.values["progress"])
        chosen = progress.pop("chosen")
        progress.setdefault("validated", progress["step"])  # checkpoints of before came after it
        self._progress = Progress(**progress, chosen=chosen and Chosen(**chosen))

    def _say_what_begins(self, records: Records) -> None:
        device = self._processes.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
        facts = {
            "torch": torch.__version__,
            "device": f"{device.type} {name}",
            "precision": self._learner.precision,
            "threads": torch.get_num_threads(),
            "ranks": self._processes.ranks,
            "images_per_step": self._images_per_step,
            "steps_per_epoch": self._steps_per_epoch,
            "total_steps": self._total_steps,
        }
        step = self._progress.step
        records.write("resume" if self._resumed else "start", step, facts)
        self._report(
            f"{self._out}: {f'goes on after step {step}' if self._resumed else 'begins'}; "
            f"{self._total_steps} steps of {self._images_per_step} images, {device.type}"
        )
        if self._config.optimiser.warmup_steps > self._total_steps:
            self._report(
                f"optimiser.warmup_steps: {self._config.optimiser.warmup_steps}, more than there "
                "are; the learning rate stays below optimiser.learning_rate"
            )
        if self._processes.ranks > 1:
            optimiser, data = self._config.optimiser, self._config.data
            self._report(
                f"an update is of {self._images_per_step} images, {data.batch_size} of each of "
                f"{self._processes.ranks} processes x accumulate {optimiser.accumulate}; "
                f"learning_rate {optimiser.learning_rate:g} is taken as it is"
            )
        if self._resumed and self._batches.streams and self._progress.step_in_epoch:
            self._report(
                "the shards are streamed: the epoch goes on at the start of a shard, some of its "
                "samples are left out or seen again"
            )

    def _learning_rate(self, step: int) -> float:
        return learning_rate(step, self._total_steps, self._config.optimiser)

    def _advance(self, **changes: Any) -> None:
        self._progress = dataclasses.replace(self._progress, **changes)

    @contextmanager
    def _naming_what_memory_lacks(self, step: int) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            where = ", with a new --out" if self._checkpoints.newest() else ""
            raise InputError(
                f"step {step}: {self._processes.device} has too little memory for a batch of "
                f"{self._config.data.batch_size} images ({first_line(error)}); lower "
                f"data.batch_size and raise optimiser.accumulate by as much{where}"
            ) from error

    @contextmanager
    def _naming_the_step(self) -> Iterator[None]:
        try:
            yield
        except NotFiniteError as error:
            raise InputError(
                f"step {self._progress.step + 1}: {error}; {self._checkpoints.describe_newest()}; "
                "lower optimiser.learning_rate or give a clip_norm to go on from there, or look at "
                "the data"
            ) from error

    @contextmanager
    def _naming_what_to_delete(self) -> Iterator[None]:
        """The checkpoint that is validated was written before: going on would end here again."""
        try:
            yield
        except NotFiniteDepthError as error:
            several = len(self._checkpoints.steps()) > 1
            then = "go on from the checkpoint before it" if several else "begin again"
            raise InputError(
                f"step {self._progress.step}: {error}; delete {self._checkpoints.newest()} and "
                f"lower optimiser.learning_rate to {then}"
            ) from error
