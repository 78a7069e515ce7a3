"""Samples and a model that worker processes can make again; not in conftest, which they lack."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from described_model import describe_model

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import encode_sample
from lircdepth_core.errors import InputError
from lircdepth_core.inference import Calibration, Predictor

WIDTH, HEIGHT = 96, 64
CAMERA = Camera(np.array([[200.0, 0, 47.5], [0, 200, 31.5], [0, 0, 1]]), WIDTH, HEIGHT)

SHARES = (0.5, 0.683, 0.9, 0.95)


def make_sample(number: int, **changes: object) -> Sample:
    """A sample of noise: radar, a sparse scan, exact depth with sky, one box, weather."""
    rng = np.random.default_rng(number)
    exact = rng.uniform(2, 100, (HEIGHT, WIDTH)).astype(np.float32)
    exact[:8] = np.inf
    single = np.where(rng.uniform(size=exact.shape) < 0.1, exact, 0).astype(np.float32)
    single[:8] = 0
    radar = np.column_stack(
        [
            rng.uniform(5, WIDTH - 5, 9),
            rng.uniform(20, 40, 9),
            rng.uniform(5, 60, 9),
            rng.uniform(-5, 20, 9),
            rng.uniform(-12, -8, 9),
            rng.uniform(-1, 1, 9),
            np.zeros(9),
        ]
    ).astype(np.float32)
    fields = {
        "key": f"scene-{number // 4}/sample-{number}/CAM_FRONT",
        "scene": f"scene-{number // 4}",
        "channel": "CAM_FRONT",
        "stamp": 500_000 * number,
        "image": rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        "camera": CAMERA,
        "radar": radar,
        "single_scan": single,
        "accumulated": None,
        "dense": None,
        "exact": exact,
        "boxes": np.array([[10, 20, 30, 40]], np.float32),
        "conditions": {"weather": "rain" if number % 3 else "clear"},
    }
    return Sample(**(fields | changes))  # type: ignore[arg-type]


def write_shard(path: Path, samples: Mapping[str, Sample]) -> None:
    """A shard of samples by their keys in it."""
    with tarfile.open(path, "w") as tar:
        for key, sample in samples.items():
            for extension, data in encode_sample(sample).items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@dataclass(frozen=True)
class MadeSamples:
    """The first samples of `make_sample`; some lie in a shard that cannot be read."""

    count: int
    lost: range = range(0)

    def __call__(
        self, wanted: Callable[[int], bool], damaged: Callable[[InputError], None]
    ) -> Iterator[tuple[int, Sample]]:
        if any(map(wanted, self.lost)):
            damaged(InputError("lost.tar: cannot be read"))
        for number in range(self.count):
            if wanted(number) and number not in self.lost:
                yield number, make_sample(number)


class BrightnessNetwork(torch.nn.Module):
    """Depth from red, uncertainty from green, and radar's mean depth on top."""

    def forward(self, image: torch.Tensor, radar: torch.Tensor) -> SimpleNamespace:
        red, green = image[:, :1].sigmoid(), image[:, 1:2].sigmoid()
        depth = 100 * red + radar[:, :1].mean()
        return SimpleNamespace(depth=depth, uncertainty=green)


def brightness_model(calibrated: bool = True, trained: bool = True) -> Predictor:
    """A predictor with that network; sigma is 20 m times the uncertainty."""
    half_width = np.array([0.6, 1, 1.7, 2])[:, None, None] * np.array([0.0, 20])
    calibration = Calibration(
        np.array(SHARES),
        np.array([0.0, 100]),
        np.array([0.0, 1]),
        np.broadcast_to(half_width, (4, 2, 2)),
    )
    model = describe_model(
        name="brightness", trained=trained, calibration=calibration if calibrated else None
    )
    return Predictor(model, BrightnessNetwork(), device="cpu")
