"""What the tasks optimise: the weight of every loss term, and how it is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lircdepth_core.errors import InputError


@dataclass(frozen=True)
class StudentTaskConfig:
    """What the student optimises; a weight of 0 leaves the term out, uncomputed.

    The defaults are LiRCDepth's (arXiv 2412.16380), with the uncertainty head, which it has not.

    Attributes:
        depth_dense: weight of the depth loss on dense depth, metres.
        depth_single: weight of the depth loss on the single scan, metres.
        image_feature: weight of the image feature distillation.
        radar_feature: weight of the radar feature distillation.
        structure: weight of the structure-guided decoding distillation.
        inter_depth: weight of the uncertainty-aware inter-depth distillation, in 100 m.
        smoothness: weight of the smoothness, metres per pixel.
        sky: weight of the sky being far, metres; not published, and learned of generated drives
            alone, which know where it is.
        uncertainty: weight of the uncertainty head's loss. It shares no parameter with the others
            unless the student's `uncertainty_shapes_features`. At 0 the head has no gradient, of
            which DDP must be told (`find_unused_parameters`).
        rectified: whether uncertainty rectifies the depth loss; plain L1 if not.
        detach_uncertainty: whether the weights by uncertainty, in the depth loss and the
            inter-depth distillation, carry no gradient; published they do.
        pooling: share of height and width of a pooled pixel in the structure distillation.
        detach_norm: whether its gradient takes the pixels' norms as given, as published.

    Raises:
        InputError: a weight is negative or not finite, all are 0, or the pooling is not in 0..1.
    """

    depth_dense: float = 1.0
    depth_single: float = 1.0
    image_feature: float = 1.0
    radar_feature: float = 1.0
    structure: float = 1.0
    inter_depth: float = 1.0
    smoothness: float = 0.001
    sky: float = 0.0
    uncertainty: float = 1.0
    rectified: bool = True
    detach_uncertainty: bool = False
    pooling: float = 0.2
    detach_norm: bool = True

    def __post_init__(self) -> None:
        check_weights(self.weights)
        if not 0 < self.pooling <= 1:
            raise InputError(f"pooling: {self.pooling}, give a share above 0 and up to 1")

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every term, by its name."""
        return {
            "depth_dense": self.depth_dense,
            "depth_single": self.depth_single,
            "image_feature": self.image_feature,
            "radar_feature": self.radar_feature,
            "structure": self.structure,
            "inter_depth": self.inter_depth,
            "smoothness": self.smoothness,
            "sky": self.sky,
            "uncertainty": self.uncertainty,
        }

    @property
    def distils(self) -> bool:
        """Whether a term needs a teacher."""
        return any((self.image_feature, self.radar_feature, self.structure, self.inter_depth))

    def without_distillation(self) -> StudentTaskConfig:
        """The same without what needs a teacher."""
        return replace(self, image_feature=0.0, radar_feature=0.0, structure=0.0, inter_depth=0.0)


@dataclass(frozen=True)
class TeacherTaskConfig:
    """What the teacher optimises; a weight of 0 leaves the term out, uncomputed.

    The defaults are CaFNet's (arXiv 2407.00697), with the single scan that LiRCDepth adds.

    Attributes:
        depth_dense: weight of L1 of the depth against dense depth, metres.
        depth_single: weight of L1 of the depth against the single scan, metres.
        radar_depth: weight of L1 of the coarse radar depth against dense depth, metres.
        confidence: weight of the confidence's cross-entropy.
        inter_depth: weight of L1 of the intermediate depths against dense depth, metres. CaFNet has
            no such term: its intermediate depths are whatever helps the last one, and no depths
            that a student could learn from.
        smoothness: weight of the smoothness, metres per pixel.
        match_tolerance: see `ConfidenceLoss.tolerance`.
        window_rows: see `ConfidenceLoss`; in pixels, so it goes with the focal length.
        window_columns: the same.

    Raises:
        InputError: a weight is negative or not finite, all are 0, or a window is negative.
    """

    depth_dense: float = 1.0
    depth_single: float = 1.0
    radar_depth: float = 0.5
    confidence: float = 1.0
    inter_depth: float = 0.0
    smoothness: float = 0.001
    match_tolerance: float = 0.4
    window_rows: int = 50
    window_columns: int = 150

    def __post_init__(self) -> None:
        check_weights(self.weights)
        for name in ("match_tolerance", "window_rows", "window_columns"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: {getattr(self, name)}, give 0 or more")

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every term, by its name."""
        return {
            "depth_dense": self.depth_dense,
            "depth_single": self.depth_single,
            "radar_depth": self.radar_depth,
            "confidence": self.confidence,
            "inter_depth": self.inter_depth,
            "smoothness": self.smoothness,
        }


def check_weights(weights: dict[str, float]) -> None:
    """Refuse weights that make no loss.

    Raises:
        InputError: one is negative or not finite, or all are 0.
    """
    for name, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise InputError(f"{name}: weight {weight}, give 0 or a positive number")
    if not any(weights.values()):
        raise InputError(f"{', '.join(weights)}: every weight is 0, give one that is not")
