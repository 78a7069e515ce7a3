"""The teacher's depth where there is no truth; LiRCDepth has no such stream."""

from __future__ import annotations

from torch import Tensor

from lircdepth_core.distillation.pixels import check_same_shape, is_measured, sample_mean


def teacher_depth_loss(
    depth: Tensor, teacher_depth: Tensor, dense: Tensor, single_scan: Tensor
) -> Tensor:
    """Mean |depth - teacher's depth| over the pixels without dense depth and single scan.

    Lidar measures a part of the image only, above all its lower half; the rest of a network's
    output is learned from nothing else.

    Args:
        depth: (N, 1, H, W) metres, predicted.
        teacher_depth: the same, by the teacher.
        dense: the same, 0 where there is none.
        single_scan: the same.

    Returns:
        (N,) metres, 0 for a sample with truth everywhere.

    Raises:
        InputError: the shapes differ.
    """
    check_same_shape(depth=depth, teacher_depth=teacher_depth, dense=dense, single_scan=single_scan)
    unknown = ~(is_measured(dense) | is_measured(single_scan))
    return sample_mean((depth.float() - teacher_depth.float()).abs(), unknown)
