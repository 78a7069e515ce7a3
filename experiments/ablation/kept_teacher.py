"""The ablation's teacher in a file that a repository can hold, and back.

    python experiments/ablation/kept_teacher.py keep RUN FOLDER
    python experiments/ablation/kept_teacher.py restore FOLDER RUN

RUN is the folder of a teacher's training, FOLDER one of `teachers/`.

A teacher in float32 has 249 MB. Kept are its large tensors as integers, rounded to a share of each
output channel's standard deviation, and packed by Huffman's code (1 % above their entropy; LZMA
comes to 5 %): integers near 0 are frequent and take few bits. The share is the smallest that fits.
Rounded, the teacher learns a little more, on the samples and by the losses that it learned from
before: its forward pass sees rounded parameters, and their gradient moves the ones behind them.
Then the running statistics of batch normalisation are estimated anew.

What is restored is not the teacher that was trained, but the one that the arms learn from; its
error is measured like any other's.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.distillation.tasks import TeacherTask
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
from lircdepth_core.network.teacher import Teacher
from lircdepth_core.training.batch_statistics import estimate_statistics
from lircdepth_core.training.command import TeacherTraining
from lircdepth_core.training.config import Data
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.disturbed_batches import DisturbedBatches
from lircdepth_core.training.freed_memory import keep_freed_memory
from lircdepth_core.training.learner import moved
from lircdepth_core.training.precision import denormals_flushed
from lircdepth_core.training.records import LOG_FILE
from lircdepth_core.training.run_folder import CONFIG_FILE

PACKED_FILE = "weights.safetensors.gz"
MODEL = "model"
"""The model folder of a run."""
RESTORED_FROM = "kept.yaml"
"""In a run's folder, model.yaml of the teacher that was kept."""
MAX_BYTES = 30_000_000
MAX_UNPACKED_BYTES = 300_000_000
SMALLEST_SHARE = 0.25
ROOM = 0.97
"""Share of the bytes that the estimate may take, before it learns more."""

STEPS, LEARNING_RATE = 200, 1e-4
"""With rounded parameters: updates, and the rate that falls to 0 over them."""
STATISTICS_BATCHES = 128
"""Training batches that batch normalisation's statistics are estimated from."""

CARD = "The teacher of docs/ablation.md, as it is kept: see experiments/ablation/kept_teacher.py.\n"
LARGE = 1024
"""Elements from which a tensor is rounded; smaller ones stay as they are."""

GZIP = 31
"""zlib's name for gzip's format."""

State = dict[str, Tensor]


def steps_of(state: State, share: float) -> State:
    """What one integer stands for, of each channel of the large tensors.

    Args:
        state: of a network; float32 and int64.
        share: of the standard deviation of a channel (the first axis).

    Returns:
        float32 (channels, 1, ...) by the tensors' names.
    """
    steps: State = {}
    for name, value in state.items():
        if value.dim() < 2 or value.numel() < LARGE:
            continue
        axes = tuple(range(1, value.dim()))
        deviation = value.std(axes, keepdim=True, unbiased=False)
        # No value may leave 8 bits, however far out it lies.
        steps[name] = torch.maximum(share * deviation, value.abs().amax(axes, keepdim=True) / 127)
    return steps


def integers(value: Tensor, steps: Tensor) -> Tensor:
    """A tensor in units of its channels' steps, within 8 bits, as floats."""
    return (value / steps.clamp_min(1e-30)).round().clamp(-127, 127)


def rounded(state: State, steps: State) -> State:
    """The tensors of a network, large ones as integers and their steps.

    Returns:
        `name.integers` int8 in the tensor's shape and `name.steps` of those that have steps, all
        others as they are.
    """
    kept: State = {}
    for name, value in state.items():
        if name in steps:
            kept[f"{name}.steps"] = steps[name]
            kept[f"{name}.integers"] = integers(value, steps[name]).to(torch.int8)
        else:
            kept[name] = value
    return kept


def restored(kept: State) -> State:
    """The tensors that `rounded` was given, but for what it rounded away."""
    state: State = {}
    for name, value in kept.items():
        if name.endswith(".integers"):
            whole = name.removesuffix(".integers")
            state[whole] = value.float() * kept[f"{whole}.steps"]
        elif not name.endswith(".steps"):
            state[name] = value
    return state


def pack(state: State) -> bytes:
    """Compressed safetensors."""
    data = safetensors.torch.save({k: v.contiguous() for k, v in state.items()})
    # The integers before one say nothing about it, so nothing is looked for in them.
    packer = zlib.compressobj(9, zlib.DEFLATED, GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(data) + packer.flush()


def unpack(data: bytes) -> State:
    """What `pack` was given.

    Raises:
        ValueError: it unpacks to more than a teacher has, or to no safetensors.
    """
    unpacker = zlib.decompressobj(GZIP)
    unpacked = unpacker.decompress(data, MAX_UNPACKED_BYTES)
    if not unpacker.eof:
        raise ValueError(f"is cut off, or unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    try:
        return safetensors.torch.load(unpacked)
    except safetensors.SafetensorError as error:
        raise ValueError(f"holds no safetensors ({error})") from error


def packed_bytes(kept: State) -> float:
    """What `pack` comes to, but for a percent or two: of integers the entropy of their tensor."""
    total = 0.0
    for value in kept.values():
        if value.dtype == torch.int8:
            counts = torch.bincount(value.flatten().int() + 128, minlength=256).double()
            shares = counts[counts > 0] / value.numel()
            total += float(-(shares * shares.log2()).sum()) * value.numel() / 8
        else:
            total += value.nbytes
    return total


def smallest_share(state: State, max_bytes: float) -> float:
    """The smallest share, to within 2 %, at which the packed tensors should fit."""
    share = SMALLEST_SHARE
    while packed_bytes(rounded(state, steps_of(state, share))) > max_bytes:
        share *= 1.02
    return share


class Rounding(nn.Module):
    """Forward a parameter's rounded value, backward the gradient as if it were not."""

    def __init__(self, steps: Tensor) -> None:
        super().__init__()
        self.register_buffer("steps", steps)

    def forward(self, value: Tensor) -> Tensor:
        """In and out of the same shape."""
        nearest = integers(value, self.steps) * self.steps
        return value + (nearest - value).detach()


def learn_rounded(
    task: TeacherTask, steps: State, batches: Iterable[Batch], updates: int, rate: float
) -> None:
    """Let a network learn with rounded parameters; they are left rounded.

    Args:
        task: its network learns.
        steps: of the tensors that are rounded.
        batches: at least one for each update.
        updates: how many.
        rate: of learning; falls linearly to 0.
    """
    network = task.network.train()
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    layers = []
    for name, value in list(network.named_parameters()):
        if name in steps and value.requires_grad:
            layer, field = network.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            parametrize.register_parametrization(layer, field, Rounding(steps[name]))
            layers.append((layer, field))
    trained = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=0, fused=True)
    for update, batch in enumerate(islice(batches, updates)):
        optimiser.param_groups[0]["lr"] = rate * (1 - update / updates)
        losses = task(batch)
        optimiser.zero_grad()
        losses.total.backward()
        nn.utils.clip_grad_norm_(trained, 10.0)
        optimiser.step()
        if update % 20 == 0:
            terms = ", ".join(f"{name} {value:.3f}" for name, value in losses.terms.items())
            print(f"{update} of {updates}: {terms}", flush=True)
    for layer, field in layers:
        parametrize.remove_parametrizations(layer, field, leave_parametrized=True)


def training_batches(data: Data, seed: int) -> Iterator[Batch]:
    """Batches as a run learns from, without end."""
    batches = TrainingBatches(
        data.train, data.spec, data.batch_size, seed=seed, dense_from=data.dense_from
    )
    source = DisturbedBatches(batches, data, seed)
    for epoch in count():
        source.set_epoch(epoch)
        for batch in source:
            yield moved(batch, torch.device("cpu"))


def keep(run: Path, folder: Path, max_bytes: int = MAX_BYTES, updates: int = STEPS) -> None:
    """Write a teacher's packed file, a model.yaml with its hash, its configuration and its log.

    The log is without validations: they are of the teacher before it was rounded.

    Args:
        run: folder of its training.
        folder: that the files are written to.
        max_bytes: of the packed file.
        updates: with rounded parameters.

    Raises:
        InputError: the run has no teacher or did not come to its end, or what the teacher came to
            does not fit.
    """
    description = read_description(run / MODEL)
    network = load_network(run / MODEL, description)
    if not isinstance(network, Teacher):
        raise InputError(f"{run}: a {description.network}; give a teacher's")
    events = [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]
    if events[-1]["event"] != "end" or events[-1]["stopped_by"]:
        raise InputError(f"{run}: did not come to its end; let it go on first")
    # The ResNets' classifiers serve for nothing.
    for value in network.parameters():
        if not value.requires_grad and value.numel() >= LARGE:
            value.zero_()
    config = read_config(TeacherTraining, run / CONFIG_FILE)
    batches = training_batches(config.data, config.seed + 1)  # in another order than before
    state = network.state_dict()
    share = smallest_share(state, ROOM * max_bytes)
    print(f"an integer for {share:.3f} standard deviations", flush=True)
    steps = steps_of(state, share)
    task = TeacherTask(network, config.loss)
    learn_rounded(task, steps, batches, updates, LEARNING_RATE)
    estimate_statistics(network, islice(batches, STATISTICS_BATCHES))
    data = pack(rounded(network.state_dict(), steps))
    print(f"packed: {len(data):,} bytes", flush=True)
    if len(data) > max_bytes:
        raise InputError(f"{folder}: {len(data)} bytes are more than {max_bytes}")
    weights = StoredWeights(PACKED_FILE, hashlib.sha256(data).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PACKED_FILE).write_bytes(data)
    learned = events[-1]["image_steps"] + updates * config.data.batch_size
    log = [event for event in events if event["event"] != "validation"]
    log[-1] |= {"image_steps": learned}
    (folder / LOG_FILE).write_text("".join(json.dumps(event) + "\n" for event in log))
    configuration = (run / CONFIG_FILE).read_text().replace(str(run.resolve().parents[1]), "OUT")
    (folder / CONFIG_FILE).write_text(configuration)
    seen = dataclasses.replace(description.input, crop=None)
    description = dataclasses.replace(description, name="kept_teacher", weights=weights, input=seen)
    text = format_description(description)
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def restore(folder: Path, run: Path) -> None:
    """Write the run folder of a teacher that was kept: its model, configuration and log.

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
    run.mkdir(parents=True, exist_ok=True)
    for file in (CONFIG_FILE, LOG_FILE):
        shutil.copyfile(folder / file, run / file)
    shutil.copyfile(folder / DESCRIPTION_FILE, run / RESTORED_FROM)
    write_model(run / MODEL, network, description, CARD)


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, fields in (("keep", ("run", "folder")), ("restore", ("folder", "run"))):
        arguments = verbs.add_parser(verb)
        for field in fields:
            arguments.add_argument(field, type=Path)
    args = parser.parse_args()
    if args.verb == "restore":
        restore(args.folder, args.run)
        return
    keep_freed_memory()
    with denormals_flushed():
        keep(args.run, args.folder)


if __name__ == "__main__":
    main()
