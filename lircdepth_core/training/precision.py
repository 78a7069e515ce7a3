"""The precisions that networks are run in while training."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from lircdepth_core.errors import InputError
from lircdepth_core.training.config import Precision

DTYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def check_precision(name: str, precision: Precision, device: torch.device) -> None:
    """Refuse fp16 where it is of no use.

    Args:
        name: of the setting, for the error.
        precision: what it asks for.
        device: what the networks run on.

    Raises:
        InputError: fp16 on another device than CUDA.
    """
    if precision == "fp16" and device.type != "cuda":
        raise InputError(f"{name}: fp16 on {device.type}; take bf16 or fp32")
