"""Which device runs the network."""

from __future__ import annotations

import gc
import re
from contextlib import suppress

import torch

from lircdepth_core.errors import InputError


def cuda_devices() -> int:
    """How many CUDA devices this machine has."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def release_device_memory() -> None:
    """Give back what torch keeps of CUDA devices' memory for tensors to come."""
    gc.collect()  # an error and what raised it may hold each other
    # A card that is lost has nothing to give back, and says so.
    with suppress(RuntimeError):
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def choose_device(request: str, available: int) -> str:
    """The device to run on.

    Args:
        request: `auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:N`.
        available: number of CUDA devices.

    Returns:
        `cpu` or `cuda:N`.

    Raises:
        InputError: the request is none of these, or names a device that is not there.
    """
    if request == "auto":
        return "cuda:0" if available else "cpu"
    if request == "cpu":
        return "cpu"
    match = re.fullmatch(r"cuda(?::([0-9]{1,4}))?", request)
    if not match:
        raise InputError(f"device: {request!r:.40} is unknown; give auto, cpu, cuda or cuda:N")
    index = int(match[1] or 0)
    if index >= available:
        raise InputError(
            f"device: {request} is not there, this machine has {available} CUDA devices; "
            "give auto or cpu"
        )
    return f"cuda:{index}"
