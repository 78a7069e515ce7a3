"""What a predictor's stages cost around the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.inference import Predictor
from lircdepth_core.inference.usual_camera import USUAL_FOCAL_LENGTH, USUAL_SIZE
from lircdepth_core.radar import RadarReturns

WIDTH, HEIGHT = USUAL_SIZE
RETURNS = 300


def predictor_stages(model: Path, device: str, backend: str, runs: int) -> dict[str, float]:
    """Medians over runs on images as of nuScenes' front camera, 1600x900, with 300 radar returns.

    The network's input is of the size that the model's focal length makes of them.

    Args:
        model: its folder.
        device: `cpu` or `cuda:N`.
        backend: of `BACKENDS`.
        runs: how many, after a first one that does not count.

    Returns:
        Seconds of `prepare` (scale the image, draw the radar), `infer` and `restore` (enlarge, look
        sigma up).

    Raises:
        InputError: the model or the back end cannot be had.
        NonFiniteError: the network answered with NaN or infinity.
    """
    rng = np.random.default_rng(0)
    K = np.array(
        [[USUAL_FOCAL_LENGTH, 0, WIDTH / 2], [0, USUAL_FOCAL_LENGTH, HEIGHT / 2], [0, 0, 1]]
    )
    camera = Camera(K, WIDTH, HEIGHT)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    depth = rng.uniform(5, 90, RETURNS)
    across = depth[:, None] * rng.uniform([-0.6, -0.05], [0.6, 0.1], (RETURNS, 2))
    radar = RadarReturns(
        np.column_stack([across, depth]),
        rng.uniform(-5, 30, RETURNS),
        rng.uniform(-10, 10, (RETURNS, 2)),
    )
    predictor = Predictor.load(model, device=device, backend=backend)
    seconds = [predictor(image, camera, radar).stage_seconds for _ in range(1 + runs)][1:]
    return {name: float(np.median([run[name] for run in seconds])) for name in seconds[0]}
