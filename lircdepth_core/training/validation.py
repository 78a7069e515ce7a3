"""How good a network is on the validation samples, from which the result may be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.errors import InputError
from lircdepth_core.evaluation.depth_metrics import DEPTH_METRICS, depth_metrics
from lircdepth_core.training.learner import moved
from lircdepth_core.training.processes import Processes

VALIDATION_CAP = 80.0
"""Metres; truth beyond is not compared."""


class NotFiniteDepthError(InputError):
    """A predicted depth is NaN or infinite."""


@dataclass(frozen=True)
class Validation:
    """Averages over the validation images, up to 80 m, each as `lircdepth evaluate` takes it.

    But of an image only the middle counts that is as large as the training's crops: `evaluate`,
    which takes it whole, finds other errors.

    Attributes:
        images: how many had truth.
        mae: metres.
        rmse: metres.
    """

    images: int
    mae: float
    rmse: float


def check_truth(batches: Iterable[Batch], truth: str, processes: Processes) -> None:
    """See that there is something to validate with, as far as the first image that has truth.

    Args:
        batches: of validation, this process's.
        truth: `exact`, `dense` or `single_scan`.
        processes: of which one must find some.

    Raises:
        InputError: no image has such truth, or a sample cannot be read or is too small.
    """
    with processes.together():
        found = any(_compared(getattr(batch, truth).numpy()).any() for batch in batches)
    if not processes.any(found):
        raise _without_truth(truth)


def validate(
    network: nn.Module,
    batches: Iterable[Batch],
    truth: str,
    processes: Processes,
    interrupted: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Compare a network's depth with the truth of all batches of all processes.

    Args:
        network: answers with `depth`; is in its former mode afterwards.
        batches: this process's.
        truth: `exact`, `dense` or `single_scan`.
        processes: whose results are put together.
        interrupted: whether to break off, asked before each batch.

    Returns:
        None if a process broke off.

    Raises:
        InputError: no image has such truth, or a sample cannot be read.
        NotFiniteDepthError: a predicted depth is not.
    """
    training = network.training
    network.eval()
    totals = np.zeros(1 + len(DEPTH_METRICS))
    broken_off = False
    with torch.no_grad(), processes.together():
        for batch in batches:
            if broken_off := interrupted():
                break
            here = moved(batch, processes.device)
            predicted = network(here.image, here.radar).depth.float().cpu().numpy()
            truths = getattr(batch, truth).numpy()
            for key, depth, true_depth in zip(batch.keys, predicted, truths, strict=True):
                if not np.isfinite(depth).all():
                    raise NotFiniteDepthError(f"the depth of validation sample {key} is not finite")
                valid = _compared(true_depth)
                if valid.any():
                    totals[0] += 1
                    totals[1:] += depth_metrics(depth[valid], true_depth[valid])
    network.train(training)
    if processes.any(broken_off):
        return None
    images, *sums = processes.sum(torch.from_numpy(totals)).tolist()
    if not images:
        raise _without_truth(truth)
    means = dict(zip(DEPTH_METRICS, (value / images for value in sums), strict=True))
    return Validation(int(images), means["mae"], means["rmse"])


def _without_truth(truth: str) -> InputError:
    return InputError(
        f"data.truth: no validation sample has {truth} depth up to {VALIDATION_CAP:g} m; "
        "choose another"
    )


def _compared(true_depth: np.ndarray) -> np.ndarray:
    """Which pixels of maps of truth in metres are compared."""
    return (true_depth > 0) & (true_depth <= VALIDATION_CAP)
