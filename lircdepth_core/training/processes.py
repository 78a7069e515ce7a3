"""The processes that train together under torchrun, or the only one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lircdepth_core.errors import InputError, first_line
from lircdepth_core.inference.device import choose_device, cuda_devices

# Kept until the process ends. An error's traceback can keep DDP alive longer than anything else
# that owns its group; torch then frees the group while it holds the GIL and waits for a thread that
# may need it, and the process hangs instead of ending with the error (one in six, 2.13 with gloo).
_GROUPS: list[distributed.ProcessGroup] = []


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes:
        rank: its number, from 0.
        ranks: how many there are.
        device: where it computes.
        on_this_machine: how many of them are.
    """

    rank: int
    ranks: int
    device: torch.device
    on_this_machine: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def share(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over processes; BN statistics stay each one's own."""
        if self.ranks == 1:
            return module
        with warnings.catch_warnings():
            # torch 2.13 warns that an option has a new name, which 2.6 does not know.
            warnings.simplefilter("ignore", FutureWarning)
            # Not every parameter serves every loss: a plain student's uncertainty head, for one.
            return DistributedDataParallel(
                module, find_unused_parameters=True, broadcast_buffers=False
            )

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.sum(torch.tensor([float(flag)]))[0])

    def agree(self, number: int) -> bool:
        """Whether it is the same in all processes."""
        mean = float(self.sum(torch.tensor([number], dtype=torch.float64))[0]) / self.ranks
        return not self.any(number != mean)

    @contextmanager
    def together(self) -> Iterator[None]:
        """All leave the block, or all end: none waits for one that cannot go on.

        Processes may not wait for each other within the block.

        Raises:
            InputError: that of the block, or that another process had one.
        """
        fault: InputError | None = None
        try:
            yield
        except InputError as error:
            fault = error
        if self.any(fault is not None):
            raise fault or InputError("another process could not go on; see its error")

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        if self.ranks == 1:
            return values
        total = values.to(self.device)
        distributed.all_reduce(total)
        return total.to(values.device)

    def average_statistics(self, module: nn.Module) -> None:
        """Give every process the mean of the running statistics of all."""
        if self.ranks == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.ranks

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.ranks > 1:
            distributed.barrier()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did; gloo on the CPU, nccl on CUDA.

    Args:
        device: `auto`, `cpu`, `cuda` or, of the only process, `cuda:N`; of several, each takes the
            CUDA device of its local rank.

    Raises:
        InputError: the device is not there, all processes would be on one, or the variables that
            torchrun sets are there in part, or are no numbers.
    """
    ranks = _number("WORLD_SIZE", "1")
    if "RANK" not in os.environ or ranks == 1:
        yield Processes(0, 1, _usable(device))
        return
    if device.startswith("cuda:"):
        raise InputError(
            f"--device {device}: all {ranks} processes would use this one; give cuda, and which "
            "of them in the variable CUDA_VISIBLE_DEVICES"
        )
    if device in ("auto", "cuda") and cuda_devices():
        device = f"cuda:{_own_cuda_device()}"
    chosen = _usable(device)
    try:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    except ValueError as error:
        raise InputError(
            f"$RANK and $WORLD_SIZE ask for {ranks} processes that train together, but they cannot "
            f"find each other ({first_line(error)}); start them with torchrun"
        ) from error
    _GROUPS.extend(filter(None, [distributed.group.WORLD]))
    try:
        here = _number("LOCAL_WORLD_SIZE", os.environ.get("SLURM_NTASKS_PER_NODE", "1"))
        yield Processes(distributed.get_rank(), ranks, chosen, here)
    finally:
        distributed.destroy_process_group()


def _own_cuda_device() -> int:
    """Which of the devices that are to be seen is this process's."""
    rank, devices = _number("LOCAL_RANK", os.environ.get("SLURM_LOCALID")), cuda_devices()
    if rank < devices:
        return rank
    # Slurm shows each of its tasks its own alone, if it is asked for one per task.
    if devices == 1 and "LOCAL_RANK" not in os.environ:
        return 0
    raise InputError(
        f"--device: process {rank} of this machine has no CUDA device of its own, there are "
        f"{devices}; start as many processes as that, or give cpu"
    )


def _number(name: str, otherwise: str | None) -> int:
    """That of a variable of the environment."""
    value = os.environ.get(name, otherwise)
    if value is None:
        raise InputError(f"${name}: not set, but $RANK is; start the processes with torchrun")
    try:
        return int(value)
    except ValueError:
        raise InputError(
            f"${name}: {value!r:.40} is no number; start the processes with torchrun"
        ) from None


def _usable(request: str) -> torch.device:
    device = torch.device(choose_device(request, cuda_devices()))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # Images are of one size: the fastest kernel for each convolution is worth looking for.
        torch.backends.cudnn.benchmark = True
    return device
