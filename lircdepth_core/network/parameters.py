"""Reading parameter files of torch without running what they hold, and loading them by name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lircdepth_core.errors import InputError
from lircdepth_core.input_file import open_input_file
from lircdepth_core.network.checkpoint_scan import check_checkpoint

MAX_CHECKPOINT_BYTES = 4 << 30


def read_checkpoint(path: str | Path) -> Mapping[str, Any]:
    """Read a dict that `torch.save` wrote.

    Only tensors and plain values are read, NumPy's values as `NumPyValue`; a file that would have
    anything else built or called is refused, and nothing in it is run. What is built takes about
    as much memory as the file has bytes.

    Raises:
        InputError: the file cannot be read, is larger than `MAX_CHECKPOINT_BYTES`, damaged, or
            holds something else.
    """
    path = Path(path)
    try:
        with open_input_file(path, MAX_CHECKPOINT_BYTES) as file:
            try:
                check_checkpoint(file, os.fstat(file.fileno()).st_size)
            except InputError as error:
                raise InputError(
                    f"{path}: {error}; nothing was run, give the file as published"
                ) from None
            file.seek(0)
            with torch.serialization.safe_globals(NUMPY_GLOBALS):
                checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give a readable file") from None
    except Exception as error:  # noqa: BLE001 - damaged bytes raise any type inside torch.load
        refused = re.search(r"Unsupported global: GLOBAL ([\w.]+)", str(error))
        if refused:
            raise InputError(
                f"{path}: refused, it asks for {refused[1]}, which is no parameter; "
                "nothing was run, give the file as published"
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
        listed = " ".join(listed.split())  # a name may hold anything
        raise InputError(f"{name}: give the parameters of this network; {listed}")
    module.load_state_dict(parameters, strict=False)


def parameters_hash(network: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def shape(value: object) -> str:
    """A tensor's shape as 3x4, or what else the value is."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return "x".join(map(str, value.shape)) or "scalar"


class NumPyValue:
    """Stands in for NumPy's arrays and scalars, which published checkpoints hold beside parameters.

    They are not needed, and a file could make NumPy build one on memory that is not its own.
    """

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


NUMPY_GLOBALS: list[Any] = [
    (NumPyValue, f"numpy.{name}")
    for name in (
        "ndarray",
        "dtype",
        "core.multiarray._reconstruct",
        "core.multiarray.scalar",
        "_core.multiarray._reconstruct",
        "_core.multiarray.scalar",
    )
]
"""What they are pickled as, by NumPy 1 and 2."""
