"""The ablation's teacher in a file that a repository can hold, and back.

    python experiments/ablation/kept_teacher.py keep MODEL SAMPLES    # into teacher/ here
    python experiments/ablation/kept_teacher.py restore MODEL         # from there, a new folder

A teacher in float32 has 249 MB. Kept are its large tensors as integers, rounded to a share of each
output channel's standard deviation, and compressed by LZMA: integers near 0 are frequent and take
few bits. The share is the smallest that fits. The running statistics of batch normalisation are
then estimated anew from training samples, as the rounded layers before them give other ones.

What is restored is not the teacher that was trained, but the one that the arms learn from; its
error is measured like any other's.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import lzma
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.errors import InputError
from lircdepth_core.inference.model_description import StoredWeights, format_description
from lircdepth_core.inference.model_files import (
    DESCRIPTION_FILE,
    build_network,
    load_network,
    read_description,
    write_model,
)
from lircdepth_core.network.parameters import load_parameters

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "teacher"
PACKED_FILE = "weights.safetensors.xz"
LOG_FILE = "log.jsonl"
"""Of its training: beside the model folder of a run, and beside the packed file."""
MAX_BYTES = 30_000_000
MAX_UNPACKED_BYTES = 300_000_000
SMALLEST_SHARE = 0.25
BATCHES, BATCH_SIZE = 64, 8
"""Training samples that the statistics are estimated from."""

CARD = "The teacher of docs/ablation.md, as it is kept: see experiments/ablation/kept_teacher.py.\n"
LARGE = 1024
"""Elements from which a tensor is rounded; smaller ones stay as they are."""

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
"""Of LZMA: the integers before one say nothing about it."""

State = dict[str, Tensor]


def round_to_share(state: State, share: float) -> State:
    """The tensors of a network, large ones as integers and their steps.

    Args:
        state: of a network; float32 and int64.
        share: of the standard deviation of a channel (the first axis) that one integer stands for.

    Returns:
        `name.integers` int8 in the tensor's shape and `name.steps` float32 (channels, 1, …) of the
        large ones, all others as they are.
    """
    rounded: State = {}
    for name, value in state.items():
        if value.dim() < 2 or value.numel() < LARGE:
            rounded[name] = value
            continue
        axes = tuple(range(1, value.dim()))
        deviation = value.std(axes, keepdim=True, unbiased=False)
        # No value may leave 8 bits, however far out it lies.
        steps = torch.maximum(share * deviation, value.abs().amax(axes, keepdim=True) / 127)
        rounded[f"{name}.steps"] = steps
        rounded[f"{name}.integers"] = (value / steps.clamp_min(1e-30)).round().to(torch.int8)
    return rounded


def restored(rounded: State) -> State:
    """The tensors that `round_to_share` was given, but for what it rounded away."""
    state: State = {}
    for name, value in rounded.items():
        if name.endswith(".integers"):
            whole = name.removesuffix(".integers")
            state[whole] = value.float() * rounded[f"{whole}.steps"]
        elif not name.endswith(".steps"):
            state[name] = value
    return state


def pack(state: State) -> bytes:
    """Compressed safetensors."""
    data = safetensors.torch.save({k: v.contiguous() for k, v in state.items()})
    return lzma.compress(data, format=lzma.FORMAT_XZ, filters=FILTERS)


def unpack(data: bytes) -> State:
    """What `pack` was given.

    Raises:
        ValueError: it unpacks to more than a teacher has, or to no safetensors.
    """
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    unpacked = decompressor.decompress(data, MAX_UNPACKED_BYTES)
    if not decompressor.eof:
        raise ValueError(f"is cut off, or unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return safetensors.torch.load(unpacked)


def smallest_share(state: State, max_bytes: int) -> float:
    """The smallest share, to within 2 %, at which the packed tensors fit."""
    share = SMALLEST_SHARE
    while True:
        size = len(pack(round_to_share(state, share)))
        print(f"an integer for {share:.3f} standard deviations: {size:,} bytes", flush=True)
        if size <= max_bytes:
            return share
        share *= max(1.02, (size / max_bytes) ** 2)


def estimate_statistics(network: nn.Module, batches: Iterable[Batch]) -> None:
    """Batch normalisation's running statistics, as averages over batches."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.inference_mode():
        for batch in batches:
            network(batch.image, batch.radar)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


def is_kept(folder: Path) -> bool:
    """Whether there is a teacher in a folder."""
    return (folder / DESCRIPTION_FILE).exists()


def keep(model: Path, samples: Path) -> None:
    """Keep the ablation's teacher, with statistics of samples that it was trained on."""
    seen = read_description(model).input
    spec = InputSpec(128, 224, seen.focal_length, seen.interpolation)
    batches = TrainingBatches(str(samples), spec, BATCH_SIZE)
    write_packed(model, islice(batches, BATCHES), FOLDER)


def write_packed(
    model: Path, batches: Iterable[Batch], folder: Path, max_bytes: int = MAX_BYTES
) -> None:
    """Write a teacher's packed file, a model.yaml with its hash, and the log of its training.

    Args:
        model: the folder of the teacher, in that of its run.
        batches: of training samples, for the statistics.
        folder: that the three files are written to.
        max_bytes: of the packed file.
    """
    description = read_description(model)
    network = load_network(model, description)
    # A tenth of a percent for the statistics, which the estimate changes.
    share = smallest_share(network.state_dict(), int(0.999 * max_bytes))
    rounded = round_to_share(network.state_dict(), share)
    load_parameters(network, restored(rounded), str(model))
    estimate_statistics(network, batches)
    now = network.state_dict()
    data = pack({name: now.get(name, value) for name, value in rounded.items()})
    if len(data) > max_bytes:
        raise InputError(f"{folder}: {len(data)} bytes are more than {max_bytes}")
    weights = StoredWeights(PACKED_FILE, hashlib.sha256(data).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PACKED_FILE).write_bytes(data)
    text = format_description(dataclasses.replace(description, weights=weights))
    shutil.copyfile(model.parent / LOG_FILE, folder / LOG_FILE)
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def restore(folder: Path, model: Path) -> None:
    """Write the model folder of a teacher that was kept, and beside it the log of its training.

    Raises:
        InputError: the file has another hash than model.yaml states, or the model folder exists.
    """
    description = read_description(folder)
    weights = description.weights
    assert isinstance(weights, StoredWeights)
    path = folder / weights.file
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != weights.sha256:
        raise InputError(f"{path}: has another SHA-256 than {DESCRIPTION_FILE} states")
    network = build_network(description)
    load_parameters(network, restored(unpack(data)), str(path))
    write_model(model, network, description, CARD)
    shutil.copyfile(folder / LOG_FILE, model.parent / LOG_FILE)


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping = verbs.add_parser("keep", help="a trained teacher")
    keeping.add_argument("model", type=Path, help="its model folder")
    keeping.add_argument("samples", type=Path, help="that it was trained on")
    restoring = verbs.add_parser("restore", help="the teacher that is kept here")
    restoring.add_argument("model", type=Path, help="a new model folder")
    args = parser.parse_args()
    if args.verb == "restore":
        restore(FOLDER, args.model)
        return
    keep(args.model, args.samples)


if __name__ == "__main__":
    main()
