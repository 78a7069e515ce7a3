"""Model folders: model.yaml, weights.safetensors and README.md; found, read and written.

Weights are data: safetensors, checked by the SHA-256 that model.yaml states. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sys
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from lircdepth_core.errors import InputError, first_line
from lircdepth_core.inference.artefacts import locked
from lircdepth_core.inference.backends.onnx_files import Int8Network
from lircdepth_core.inference.model_description import (
    Int8Form,
    ModelDescription,
    SeededWeights,
    StoredWeights,
    format_description,
    parse_description,
)
from lircdepth_core.input_file import read_input_file
from lircdepth_core.network import NETWORKS
from lircdepth_core.network.parameters import load_parameters
from lircdepth_core.result_files import naming_file, write_atomically
from lircdepth_core.unfinished_folder import unfinished_folder

DESCRIPTION_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"
INT8_FILE = "int8.onnx"
CARD_FILE = "README.md"

_MAX_DESCRIPTION_BYTES = 1_000_000
_MAX_WEIGHTS_BYTES = 2_000_000_000
_DTYPES = (torch.float16, torch.float32, torch.int64)


def find_model(name_or_path: str | Path) -> Path:
    """The folder of a model.

    Looked up as a path, then by name (`lircdepth` or `models/lircdepth`) in the ROS package's
    share, the installed data, and the source tree.

    Raises:
        InputError: there is no such folder; the message lists where it was looked for.
    """
    try:
        given = Path(name_or_path).expanduser()
    except RuntimeError as error:  # ~name of nobody here
        raise InputError(f"model {name_or_path}: {first_line(error)}; give a path") from error
    candidates = [given]
    if not given.is_absolute():
        parts = given.parts[1:] if given.parts[:1] == ("models",) else given.parts
        candidates += [root.joinpath(*parts) for root in _model_roots()]
    for folder in candidates:
        with contextlib.suppress(OSError):  # a name longer than any can be
            if (folder / DESCRIPTION_FILE).is_file():
                return folder
    raise InputError(
        f"model {name_or_path}: no {DESCRIPTION_FILE} in "
        f"{', '.join(str(folder) for folder in candidates)}; give the path of a model folder"
    )


def read_description(folder: Path) -> ModelDescription:
    """What the model in a folder is.

    Raises:
        InputError: model.yaml is missing, too large, or does not hold what it should.
    """
    path = folder / DESCRIPTION_FILE
    data = _read(path, _MAX_DESCRIPTION_BYTES)
    try:
        return parse_description(data.decode("utf-8"))
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def load_network(folder: Path, description: ModelDescription) -> torch.nn.Module:
    """The model's network on the CPU, in float32, ready for inference.

    Raises:
        InputError: the weights are missing, have another hash, or do not fit the network.
    """
    weights = description.weights
    if isinstance(weights, SeededWeights):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(weights.seed)  # the CPU's only
            return build_network(description).eval()
    path = folder / weights.file
    state = read_weights(path, weights.sha256)
    network = build_network(description)
    load_parameters(network, state, str(path))  # copies, so float16 becomes float32
    return network.eval()


def int8_network(folder: Path, description: ModelDescription) -> Int8Network | None:
    """The model's network in 8-bit integers, not read yet; None if there is none."""
    form, weights = description.int8, description.weights
    if form is None:
        return None
    of_these = isinstance(weights, StoredWeights) and form.weights == weights.sha256
    return Int8Network(folder / form.file, form.sha256, of_these)


def read_weights(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Args:
        path: the file.
        sha256: that it must have, 64 hexadecimal digits.

    Raises:
        InputError: it is missing, has another hash, is damaged, or holds what no weights are.
    """
    data = _read(path, _MAX_WEIGHTS_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path}: SHA-256 is {found}, {DESCRIPTION_FILE} says {sha256} in "
            "weights.sha256; fetch the model again"
        )
    try:
        state = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); fetch it again") from error
    for key, value in state.items():
        if value.dtype not in _DTYPES or not torch.isfinite(value).all():
            raise InputError(
                f"{path}: {key} is not finite, or none of float16, float32 and int64; "
                "take another model"
            )
    return state


def build_network(description: ModelDescription) -> torch.nn.Module:
    """The network that a description names, with fresh parameters."""
    return NETWORKS[description.network]()


def write_model(
    folder: Path,
    network: torch.nn.Module,
    description: ModelDescription,
    card: str,
    half: bool = False,
) -> ModelDescription:
    """Write a new model folder; it appears complete or not at all.

    Args:
        folder: must not exist yet.
        network: its parameters are stored.
        description: what the model is; its `weights` are replaced by those written, and it is
            not quantised.
        card: text of README.md.
        half: store float16 instead of float32 (half the size), but for what it cannot hold.

    Returns:
        The description with the stored weights' name and hash.

    Raises:
        InputError: the folder exists, or a parameter is not finite.
    """
    if folder.exists():
        raise InputError(f"{folder}: exists already; give a new folder")
    data = safetensors.torch.save(_stored_state(network, half))
    weights = StoredWeights(WEIGHTS_FILE, hashlib.sha256(data).hexdigest())
    description = dataclasses.replace(description, weights=weights, int8=None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_folder(folder.parent, f".{folder.name}.unfinished-")
    with naming_file(folder), unfinished as staging:
        (staging / WEIGHTS_FILE).write_bytes(data)
        (staging / CARD_FILE).write_text(card, encoding="utf-8")
        text = format_description(description)
        parse_description(text)
        (staging / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
        staging.chmod(0o755)
        staging.rename(folder)
    return description


def write_description(folder: Path, description: ModelDescription) -> None:
    """Replace model.yaml of an existing model in one step, as after calibration.

    Raises:
        InputError: the description is not one that `read_description` would accept.
    """
    text = format_description(description)
    parse_description(text)
    write_atomically(folder / DESCRIPTION_FILE, text.rstrip("\n"))


def change_description(
    folder: Path, known: ModelDescription, **changes: object
) -> ModelDescription:
    """Replace some fields of an existing model's model.yaml, as it is by now.

    Other commands may have changed others of its fields since it was read.

    Args:
        folder: of the model.
        known: its description as it was when the work began that the changes come of.
        changes: fields and their new values.

    Returns:
        The new description.

    Raises:
        InputError: it has other weights by now, or the description is not one that
            `read_description` would accept.
    """
    with locked(folder):
        now = read_description(folder)
        if now.weights != known.weights:
            raise InputError(f"{folder}: has got other weights meanwhile; run the command again")
        changed = dataclasses.replace(now, **changes)  # type: ignore[arg-type]
        write_description(folder, changed)
    return changed


def add_int8(folder: Path, description: ModelDescription, quantised: Path) -> ModelDescription:
    """Take a quantised network, an ONNX file, into an existing model folder.

    Args:
        folder: of the model; its model.yaml is replaced.
        description: the model's, with stored weights, of which the network was made.
        quantised: is moved into the folder.

    Returns:
        The new description.
    """
    assert isinstance(description.weights, StoredWeights)
    sha256 = hashlib.sha256(quantised.read_bytes()).hexdigest()
    # A model.yaml that names another file than is there would be refused, so what is there goes.
    if (folder / INT8_FILE).exists():
        change_description(folder, description, int8=None)
    quantised.replace(folder / INT8_FILE)
    form = Int8Form(INT8_FILE, sha256, description.weights.sha256)
    return change_description(folder, description, int8=form)


def _model_roots() -> list[Path]:
    """Folders that hold models by name, in the order in which they are searched."""
    roots = [
        Path(sys.prefix) / "share" / "lircdepth" / "models",
        Path(__file__).resolve().parents[2] / "models",
    ]
    # ROS may be absent, not sourced, or there without this package.
    with contextlib.suppress(ImportError, LookupError, OSError):
        from ament_index_python.packages import get_package_share_directory

        roots.insert(0, Path(get_package_share_directory("lircdepth")) / "models")
    return roots


def _read(path: Path, largest: int) -> bytes:
    """A file's bytes."""
    try:
        return read_input_file(path, largest)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; fetch the model again") from error


def _stored_state(network: torch.nn.Module, half: bool) -> dict[str, torch.Tensor]:
    """The network's state on the CPU, floating-point numbers in the stored precision."""
    state = {}
    for key, value in network.state_dict().items():
        stored = value.detach().cpu().contiguous()
        if stored.is_floating_point():
            stored = stored.to(torch.float32)
        if not torch.isfinite(stored).all():
            raise InputError(f"{key}: not finite as {stored.dtype}; do not use this network")
        halved = stored.to(torch.float16) if half and stored.is_floating_point() else stored
        # Variances of activations may be more than half precision holds.
        state[key] = halved if torch.isfinite(halved).all() else stored
    return state
