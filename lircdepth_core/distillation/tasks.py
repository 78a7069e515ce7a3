"""Tasks: a network, a batch, and what of it is to be minimised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from lircdepth_core.distillation.confidence_loss import ConfidenceLoss
from lircdepth_core.distillation.configuration import StudentTaskConfig, TeacherTaskConfig
from lircdepth_core.distillation.depth_loss import (
    DepthLoss,
    DepthTerms,
    inter_depth_l1,
    plain_l1,
)
from lircdepth_core.distillation.feature_distillation import image_feature_loss, radar_feature_loss
from lircdepth_core.distillation.inter_depth_distillation import InterDepthDistillation
from lircdepth_core.distillation.pixels import dense_only
from lircdepth_core.distillation.sky_loss import sky_loss
from lircdepth_core.distillation.smoothness import smoothness
from lircdepth_core.distillation.structure_distillation import StructureDistillation
from lircdepth_core.distillation.uncertainty_loss import uncertainty_loss
from lircdepth_core.errors import InputError
from lircdepth_core.network import StudentOutput, TeacherOutput

if TYPE_CHECKING:
    from lircdepth_core.dataset.reader import Batch


@dataclass(frozen=True, eq=False)
class TaskLosses:
    """The losses of a batch.

    Attributes:
        total: scalar with gradient: the mean over the samples of the weighted sum of the terms.
        per_sample: each term's (N,) values by its name, not weighted, without gradient.
    """

    total: Tensor
    per_sample: Mapping[str, Tensor]

    @property
    def terms(self) -> dict[str, Tensor]:
        """Each term's mean over the samples, a scalar, not weighted, without gradient."""
        return {name: values.mean() for name, values in self.per_sample.items()}


class Task(Protocol):
    """What a training loop drives.

    Attributes:
        network: what is trained and saved.
    """

    network: nn.Module

    def __call__(self, batch: Batch) -> TaskLosses:
        """The losses of a batch on the network's device."""
        ...


class StudentTask:
    """The student learns from truth and from a teacher.

    The teacher is frozen, in eval mode, and no part of `network`; it runs only if a term needs it.
    Under autocast the networks run as it says, the losses in float32.

    Args:
        student: becomes `network`.
        teacher: on the same device; is frozen. None without distillation.
        config: what to optimise.
        teacher_dtype: the teacher runs in; None: as the student, under the same autocast.

    Raises:
        InputError: `config` distils and there is no teacher.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | None,
        config: StudentTaskConfig,
        teacher_dtype: torch.dtype | None = None,
    ) -> None:
        if config.distils and teacher is None:
            raise InputError(
                "teacher: none, but a distillation weight is not 0; "
                "give its weights or set image_feature, radar_feature, structure, inter_depth to 0"
            )
        self.network = student
        self.config = config
        self._teacher: nn.Module | None = None
        self._teacher_dtype = teacher_dtype
        if teacher is not None and config.distils:
            self._teacher = teacher.eval().requires_grad_(False)
        self._depth = DepthLoss(config.rectified, config.detach_uncertainty)
        self._structure = StructureDistillation(config.pooling, config.detach_norm)
        self._inter_depth = InterDepthDistillation(config.detach_uncertainty)

    def __call__(self, batch: Batch) -> TaskLosses:
        """The losses of a batch on the network's device."""
        student = self.network(batch.image, batch.radar)
        losses = self._own_losses(student, batch)
        if self._teacher is not None:
            losses |= self._distillation_losses(student, self._taught(batch), batch)
        return combine(losses, self.config.weights, batch.image.device)

    def _taught(self, batch: Batch) -> StudentOutput | TeacherOutput:
        assert self._teacher is not None
        dtype, device = self._teacher_dtype, batch.image.device.type
        precision: AbstractContextManager[object] = nullcontext()
        if dtype is not None:
            precision = torch.autocast(device, dtype, enabled=dtype != torch.float32)
        with torch.no_grad(), precision:
            taught: StudentOutput | TeacherOutput = self._teacher(batch.image, batch.radar)
        return taught

    def _own_losses(self, student: StudentOutput, batch: Batch) -> Losses:
        @cache
        def depth() -> DepthTerms:
            return self._depth(student.depth, batch.dense, batch.single_scan)

        return {
            "depth_dense": lambda: depth().dense,
            "depth_single": lambda: depth().single,
            "smoothness": lambda: smoothness(student.depth, batch.image),
            "sky": lambda: sky_loss(student.depth, batch.exact),
            "uncertainty": lambda: uncertainty_loss(
                student.uncertainty, student.depth, batch.dense, batch.single_scan, batch.exact
            ),
        }

    def _distillation_losses(
        self, student: StudentOutput, teacher: StudentOutput | TeacherOutput, batch: Batch
    ) -> Losses:
        return {
            "image_feature": lambda: image_feature_loss(
                student.image_features, teacher.image_features
            ),
            "radar_feature": lambda: radar_feature_loss(
                student.radar_features, teacher.radar_features
            ),
            "structure": lambda: self._structure(
                student.decoder_features, teacher.decoder_features
            ),
            "inter_depth": lambda: self._inter_depth(
                student.inter_depths,
                teacher.inter_depths,
                dense_only(batch.dense, batch.single_scan),
            ),
        }


class TeacherTask:
    """The teacher learns from truth. Each sample weighs the same, however much truth it has.

    Under autocast the network runs as it says, the losses in float32.

    Args:
        teacher: becomes `network`.
        config: what to optimise.
    """

    def __init__(self, teacher: nn.Module, config: TeacherTaskConfig) -> None:
        self.network = teacher
        self.config = config
        self._confidence = ConfidenceLoss(
            config.match_tolerance, config.window_rows, config.window_columns
        )

    def __call__(self, batch: Batch) -> TaskLosses:
        """The losses of a batch on the network's device."""
        teacher: TeacherOutput = self.network(batch.image, batch.radar)
        losses: Losses = {
            "depth_dense": lambda: plain_l1(teacher.depth, batch.dense),
            "depth_single": lambda: plain_l1(teacher.depth, batch.single_scan),
            "radar_depth": lambda: plain_l1(teacher.radar_depth, batch.dense),
            "confidence": lambda: self._confidence(
                teacher.confidence, batch.dense, batch.returns, batch.boxes
            ),
            "inter_depth": lambda: inter_depth_l1(teacher.inter_depths, batch.dense),
            "smoothness": lambda: smoothness(teacher.depth, batch.image),
        }
        return combine(losses, self.config.weights, batch.image.device)


Losses = dict[str, Callable[[], Tensor]]
"""How each term's (N,) values are computed."""


def combine(losses: Losses, weights: Mapping[str, float], device: torch.device) -> TaskLosses:
    """Compute the terms whose weight is not 0, and add them up."""
    # Sums over a whole image have no place in half precision.
    with torch.autocast(device.type, enabled=False):
        per_sample = {name: losses[name]() for name, weight in weights.items() if weight}
        weighted = [weights[name] * values.mean() for name, values in per_sample.items()]
        total = torch.stack(weighted).sum()
    return TaskLosses(total, {name: values.detach() for name, values in per_sample.items()})
