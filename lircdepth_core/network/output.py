"""What the networks answer. Shapes are (N, C, H, W)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

MAX_DEPTH = 100.0
"""Metres; depth is this times a sigmoid."""


class StudentOutput(NamedTuple):
    """The student's answer.

    Attributes:
        depth: (N, 1, H, W) metres along the optical axis, 0..100.
        uncertainty: (N, 1, H, W) in 0..1, the expected U = 1 - exp(-5 |D - depth| / (D + depth))
            against the true depth D.
        inter_depths: d8, d4, d2, each (N, 1, H, W) in units of 100 m, not negative, unbounded (the
            small student's up to 1). Depths only where they were taught by a teacher's.
        decoder_features: 512, 128, 128, 64, 32 channels at 1/16, 1/8, 1/4, 1/2, 1/1; the small
            student's 128, 80, 48, 32, 32, the last at 1/2.
        image_features: 64, 64, 128, 256, 512 channels at 1/2 ... 1/32; the small student's 32, 48,
            80, 128, 192.
        radar_features: 64, 128, 128, 512, 512 channels at 1/2 ... 1/32; the small student's as its
            image features.
    """

    depth: Tensor
    uncertainty: Tensor
    inter_depths: tuple[Tensor, ...]
    decoder_features: tuple[Tensor, ...]
    image_features: tuple[Tensor, ...]
    radar_features: tuple[Tensor, ...]


class TeacherOutput(NamedTuple):
    """The teacher's answer.

    Attributes:
        depth: (N, 1, H, W) metres along the optical axis, 0..100.
        inter_depths: d8, d4, d2, each (N, 1, H, W) in units of 100 m, of either sign and unbounded.
        decoder_features: 512, 128, 128, 64, 32 channels at 1/16, 1/8, 1/4, 1/2, 1/1.
        image_features: 64, 64, 128, 256, 512 channels at 1/2 ... 1/32.
        radar_features: gated, deepest first: 512, 512, 128, 128, 64 channels at 1/32 ... 1/2.
        confidence: (N, 1, H, W) in 0..1, whether the radar's depth holds there.
        radar_depth: (N, 1, H, W) metres, the coarse stage's depth, 0..100.
    """

    depth: Tensor
    inter_depths: tuple[Tensor, ...]
    decoder_features: tuple[Tensor, ...]
    image_features: tuple[Tensor, ...]
    radar_features: tuple[Tensor, ...]
    confidence: Tensor
    radar_depth: Tensor
