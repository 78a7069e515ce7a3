from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference import CpuFallback
from lircdepth_core.inference.cpu_fallback import is_device_failure

IMAGE = np.zeros((2, 3, 3), np.uint8)


class MadePredictor:
    """Answers with its device's name, or fails."""

    description, backend = "made", "torch"

    def __init__(self, device: str, error: Exception | None = None) -> None:
        self.device, self.error, self.calls = device, error, 0

    def warm_up(self, width: int, height: int) -> None:
        self(IMAGE, None, None)

    def __call__(self, image, camera, radar, out=None) -> SimpleNamespace:
        self.calls += 1
        if self.error:
            raise self.error
        return SimpleNamespace(device=self.device)


LOST = RuntimeError("CUDA error: an illegal memory access was encountered")
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.parametrize("error", [LOST, OUT_OF_MEMORY])
@pytest.mark.parametrize("while_warming_up", [False, True])
def test_the_image_at_which_a_device_fails_is_answered_by_the_cpu(error, while_warming_up):
    told: list[str] = []
    broken, cpu = MadePredictor("cuda:0", error), MadePredictor("cpu")
    predictor = CpuFallback(broken, lambda: cpu, told.append)
    assert predictor.device == "cuda:0"
    if while_warming_up:
        predictor.warm_up(3, 2)
    assert predictor(IMAGE, None, None).device == "cpu"
    assert predictor(IMAGE, None, None).device == "cpu"
    assert predictor.device == "cpu"
    assert broken.calls == 1
    assert len(told) == 1
    assert "cuda:0 failed (CUDA" in told[0]


def test_other_errors_are_no_failure_of_the_device():
    for error in (InputError("image: of another size"), RuntimeError("shapes differ")):
        predictor = CpuFallback(MadePredictor("cuda:0", error), pytest.fail, pytest.fail)
        with pytest.raises(type(error)):
            predictor(IMAGE, None, None)
    assert not is_device_failure(ValueError("cuda"))


def test_a_cpu_that_fails_too_is_not_replaced():
    loads: list[int] = []

    def load() -> MadePredictor:
        loads.append(1)
        return MadePredictor("cpu", OUT_OF_MEMORY)

    predictor = CpuFallback(MadePredictor("cuda:0", LOST), load, lambda text: None)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            predictor(IMAGE, None, None)
    assert loads == [1]
