"""Radar removed, halved and shifted in time, to show what radar is worth."""

from __future__ import annotations

import zlib

import numpy as np

from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.radar import RadarReturns


def change_radar(
    returns: RadarReturns, change: str, key: str, options: EvaluationOptions
) -> RadarReturns | None:
    """Change an image's radar returns.

    `full` leaves them. `none` takes all away. `half` keeps half of them, rounded up, drawn by
    (seed, key), so that neither order nor number of processes matters. `shifted` puts every return
    where it stood `radar_shift` seconds before: its position less velocity times the shift, on the
    plane that the camera looks along, height and velocity unchanged. As nuScenes' velocity is
    relative to the moving radar, this is a sweep that is that much too old, without compensation of
    ego motion or of the objects' own; with a negative shift, one that comes from the future. A
    prepared sample holds the returns inside its image, so a shift moves some out and none in.

    Args:
        returns: in the camera's optical frame.
        change: one of `RADAR_CHANGES`.
        key: the sample's key.
        options: seed and shift.
    """
    if change == "none":
        return None
    if change == "half":
        rng = np.random.default_rng([options.seed, zlib.crc32(key.encode())])
        kept = np.sort(rng.permutation(len(returns))[: (len(returns) + 1) // 2])
        return RadarReturns(
            returns.position[kept], returns.rcs[kept], returns.velocity[kept], returns.stamp
        )
    if change == "shifted":
        forward, left = returns.velocity.T.astype(np.float64)
        motion = np.stack([-left, np.zeros_like(left), forward], axis=1)
        position = returns.position - motion * options.radar_shift
        return RadarReturns(position, returns.rcs, returns.velocity, returns.stamp)
    return returns
