"""Reading parameter files of torch without running what they hold, and loading them by name."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lircdepth_core.errors import InputError


def read_checkpoint(path: str | Path) -> Mapping[str, Any]:
    """Read a dict that `torch.save` wrote.

    Only tensors, NumPy arrays and plain values are taken; a file that would have anything else
    built or called is refused, and nothing in it is run.

    Raises:
        InputError: the file cannot be read, is damaged, or holds something else.
    """
    try:
        with torch.serialization.safe_globals(NUMPY_GLOBALS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give a readable file") from None
    except DAMAGED as error:
        refused = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if refused:
            raise InputError(
                f"{path}: refused, it would run {refused[1]}; give a file of tensors only"
            ) from None
        raise InputError(
            f"{path}: no checkpoint of torch, or a damaged one; get the file again"
        ) from None
    if not isinstance(checkpoint, Mapping):
        raise InputError(
            f"{path}: holds a {type(checkpoint).__name__}; give a file with a dict of parameters"
        )
    return checkpoint


def load_parameters(
    module: nn.Module,
    parameters: Mapping[str, Any],
    name: str,
    optional: Collection[str] = (),
) -> None:
    """Load parameters that fit a module exactly.

    Args:
        module: what takes them; unchanged where they do not fit.
        parameters: tensors by the module's names.
        name: where they come from, for the message.
        optional: names that may be missing, and then keep their value.

    Raises:
        InputError: names every key that is missing, unexpected or of the wrong shape.
    """
    expected = module.state_dict()
    faults = {
        "missing": [key for key in expected if key not in parameters and key not in optional],
        "unexpected": [str(key) for key in parameters if key not in expected],
        "wrong shape": [
            f"{key} ({shape(parameters[key])} instead of {shape(value)})"
            for key, value in expected.items()
            if key in parameters and shape(parameters[key]) != shape(value)
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in faults.items() if keys)
        raise InputError(f"{name}: give the parameters of this network; {listed}")
    module.load_state_dict(parameters, strict=False)


def shape(value: object) -> str:
    """A tensor's shape as 3x4, or what else the value is."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return "x".join(map(str, value.shape)) or "scalar"


DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What `torch.load` raises on bytes that are no checkpoint."""

NUMPY_GLOBALS: list[Any] = [
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["All"]},
    *(
        (build, f"{package}.multiarray.{name}")
        for build, name in (
            (np.zeros(0).__reduce__()[0], "_reconstruct"),
            (np.float64(0).__reduce__()[0], "scalar"),
        )
        for package in ("numpy.core", "numpy._core")
    ),
]
"""What a pickled array or scalar is built from, under the names of NumPy 1 and 2."""
