"""The precisions that networks are run in while training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.training.config import Precision

Usable = Literal["fp32", "bf16", "fp16"]

DTYPES: Mapping[Usable, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def usable_precision(name: str, precision: Precision, device: torch.device) -> Usable:
    """What a precision means on a device.

    `auto` is bf16 on a GPU that has it and on a CPU with AMX or AVX-512's bf16, else fp16 on a
    GPU and fp32 on a CPU: where a CPU must emulate it, a student in bf16 takes 1.3 times as long, a
    teacher 1.6 times.

    Args:
        name: of the setting, for the error.
        precision: what it asks for.
        device: what the networks run on.

    Raises:
        InputError: fp16 on another device than CUDA.
    """
    on_gpu = device.type == "cuda"
    if precision == "auto":
        if on_gpu:
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        return "bf16" if _cpu_computes_bf16() else "fp32"
    if precision == "fp16" and not on_gpu:
        raise InputError(f"{name}: fp16 on {device.type}; take auto, bf16 or fp32")
    return precision


def _cpu_computes_bf16() -> bool:
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Take numbers below 1.2e-38 for 0, as a GPU does, in this thread and those begun meanwhile.

    Many gradients and moments of AdamW become that small, and a CPU computes with them many times
    slower. Enter before the first computation: torch's own threads begin with it.
    """
    for kind in (np.float16, np.float32, np.float64):
        np.finfo(kind)  # NumPy finds it out once, and warns if denormals are flushed then
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
