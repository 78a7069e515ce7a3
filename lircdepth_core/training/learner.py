"""A network that learns: one update after another, and all that a checkpoint must hold of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.errors import InputError
from lircdepth_core.network.parameters import load_parameters
from lircdepth_core.training.config import Optimiser
from lircdepth_core.training.optimiser import make_optimiser, set_learning_rate
from lircdepth_core.training.precision import DTYPES, usable_precision
from lircdepth_core.training.processes import Processes

if TYPE_CHECKING:
    from lircdepth_core.distillation import TaskLosses

_LONGEST_SEARCH = 30
"""Updates in a row that fp16 may leave out while it looks for a scale: from 2^16 down to 2^-14."""


class NotFiniteError(InputError):
    """A loss or a gradient is NaN or infinite."""


class LearningTask(Protocol):
    """What is minimised.

    Attributes:
        network: what learns.
    """

    network: nn.Module

    def __call__(self, batch: Batch) -> TaskLosses:
        """The losses of a batch."""
        ...


class Learner:
    """The network of a task, its optimiser, and the moving average of its parameters.

    Args:
        task: its network is moved to the process's device and put in training mode.
        config: how it learns.
        processes: that learn together.
        seed: of whatever a forward pass draws.

    Attributes:
        precision: that the network runs in.

    Raises:
        InputError: the precision is not to be had on this device.
    """

    def __init__(
        self, task: LearningTask, config: Optimiser, processes: Processes, seed: int
    ) -> None:
        self.precision = usable_precision("optimiser.precision", config.precision, processes.device)
        self._config, self._processes, self._seed = config, processes, seed
        # Channels last: a fifth faster on a CPU, in float32 and bf16 alike.
        self.network = task.network.to(processes.device).train()
        nn.utils.convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        # The whole task is wrapped, not the network: what of its answer serves no loss would
        # otherwise keep DistributedDataParallel waiting.
        self._losses = processes.share(_Losses(task))
        self._optimiser = make_optimiser(self.network, config)
        self._scaler = torch.amp.GradScaler(processes.device.type, enabled=self.precision == "fp16")
        self._left_out = 0
        self._average: AveragedModel | None = None
        if config.ema_decay is not None:
            self._average = AveragedModel(
                self.network,
                multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay),
                use_buffers=True,
            )

    @property
    def result(self) -> nn.Module:
        """What is validated and exported: the moving average, if there is one."""
        return self._average.module if self._average else self.network

    def begin(self, step: int, learning_rate: float) -> None:
        """Begin an update, without what an unfinished one left."""
        self._optimiser.zero_grad(set_to_none=True)
        set_learning_rate(self._optimiser, learning_rate)
        # A resumed run draws what an uninterrupted one would.
        seeds = np.random.SeedSequence([self._seed, step, self._processes.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))

    def add(self, batch: Batch, last: bool) -> dict[str, Tensor]:
        """Add a batch's gradient to the update.

        Args:
            batch: of this process.
            last: whether it is the update's last, after which processes share their gradients.

        Returns:
            The means of the terms, and `total`.

        Raises:
            NotFiniteError: a term is not finite, here or in another process.
        """
        batch = moved(batch, self._processes.device)
        losses = self._losses
        alone: AbstractContextManager[None] = nullcontext()
        if isinstance(losses, DistributedDataParallel) and not last:
            alone = losses.no_sync()
        with alone:
            with torch.autocast(
                self._processes.device.type,
                DTYPES[self.precision],
                enabled=self.precision != "fp32",
            ):
                total, terms = losses(batch)
            fault = _not_finite_term({**terms, "total": total.detach()}, batch.keys)
            # All know before they share gradients: those that go on would wait for one that ended.
            if self._processes.any(bool(fault)):
                raise NotFiniteError(fault or "a loss term of another process is not finite")
            self._scaler.scale(total / self._config.accumulate).backward()
        means = {name: values.mean() for name, values in terms.items()}
        return {"total": total.detach(), **means}

    def finish(self) -> float:
        """Update the parameters.

        Returns:
            The norm of the gradient before it was clipped.

        Raises:
            NotFiniteError: a gradient is, in fp16 whatever its scale; nothing is changed then.
        """
        self._scaler.unscale_(self._optimiser)
        trained = [p for p in self.network.parameters() if p.grad is not None]
        total_norm = nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        norm = float(total_norm)
        finite = math.isfinite(norm)
        # With a scaler this is how it finds its scale: it leaves the update out.
        self._left_out = 0 if finite else self._left_out + 1
        if self._left_out > (_LONGEST_SEARCH if self._scaler.is_enabled() else 0):
            raise NotFiniteError(_not_finite_gradient(self.network))
        if self._config.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(trained, self._config.clip_norm, total_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average and finite:
            self._average.update_parameters(self.network)
        return norm

    def gather(self) -> None:
        """Give every process the same running statistics, before they are used."""
        self._processes.average_statistics(self.network)
        if self._average:
            self._processes.average_statistics(self._average)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All tensors by name, and the rest as JSON values."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self._average:
            average = self._average.state_dict()
            tensors |= {f"average.{name}": value for name, value in average.items()}
        for number, values in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
        # Tensors that share memory, or do not lie in a row, cannot be stored.
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        return stored, {"scaler": self._scaler.state_dict(), "precision": self.precision}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any], name: str) -> None:
        """Go on from a state.

        Args:
            tensors: of `state()`.
            values: of `state()`.
            name: where they come from, for errors.

        Raises:
            InputError: it is of another network or configuration, or of another precision, as
                where `auto` means another on this device.
        """
        before = values.get("precision", self.precision)
        if before != self.precision:
            raise InputError(
                f"{name}: of a run in {before}, here optimiser.precision "
                f"{self._config.precision} is {self.precision}; go on with it on a device like "
                "that, or begin a new run"
            )
        load_parameters(self.network, part(tensors, "network"), name)
        if self._average:
            load_parameters(self._average, part(tensors, "average"), name)
        state = self._optimiser.state_dict()
        state["state"] = {}
        for full_name, value in part(tensors, "optimiser").items():
            number, _, key = full_name.partition(".")
            # In the parameters' memory format, or updates would round differently.
            if value.dim() == 4:
                value = value.contiguous(memory_format=torch.channels_last)
            state["state"].setdefault(int(number), {})[key] = value
        self._optimiser.load_state_dict(state)
        self._scaler.load_state_dict(values["scaler"])


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, what the networks take with channels last."""
    there = Batch(batch.keys, *(values.to(device, non_blocking=True) for values in batch[1:]))
    image, radar = (
        values.contiguous(memory_format=torch.channels_last)
        for values in (there.image, there.radar)
    )
    return there._replace(image=image, radar=radar)


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `name.`, without it."""
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


class _Losses(nn.Module):
    """The losses of a task as a module whose parameters are those that learn."""

    def __init__(self, task: LearningTask) -> None:
        super().__init__()
        self.network = task.network
        self._task = [task]  # in a list, so that a teacher in it is no part of this module

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, with gradient, and each term's values per sample, without."""
        losses = self._task[0](batch)
        terms = {name: values.detach() for name, values in losses.per_sample.items()}
        return losses.total, terms


def _not_finite_term(terms: Mapping[str, Tensor], keys: list[str]) -> str:
    """The first term that is not finite and its samples, in words; empty if all are."""
    finite = torch.stack([torch.isfinite(values).all() for values in terms.values()]).tolist()
    for (name, values), fine in zip(terms.items(), finite, strict=True):
        if not fine:
            bad = torch.isfinite(values).logical_not().cpu().broadcast_to(len(keys)).tolist()
            samples = [key for key, is_bad in zip(keys, bad, strict=True) if is_bad]
            return f"the loss term {name} is not finite for {', '.join(samples)}"
    return ""


def _not_finite_gradient(network: nn.Module) -> str:
    """Which gradient is not finite, or makes the norm of all overflow, in words."""
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    for name, gradient in gradients.items():
        if not torch.isfinite(gradient).all():
            return f"the gradient of {name} is not finite"
    largest = max(gradients, key=lambda name: float(gradients[name].abs().max()))
    return f"the gradient's norm overflows; the largest is that of {largest}"
