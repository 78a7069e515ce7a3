"""Going on on the CPU where a graphics card fails in the middle of work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lircdepth_core.camera import Camera
from lircdepth_core.inference.predictor import Prediction, Predictor
from lircdepth_core.radar import RadarReturns

_WORDS = ("cuda", "cudnn", "cublas", "gpu", "tensorrt", "device-side", "out of memory")
"""What errors of a device say in those back ends that have no type for them."""


class CpuFallback:
    """A predictor that is replaced by one on the CPU once its device fails.

    The image at which it fails is answered by the CPU. There is no way back: a card that is lost
    mostly stays lost until the process ends.

    Args:
        predictor: on a device.
        load_on_cpu: gives the same model on the CPU.
        tell: is told why, once.
    """

    def __init__(
        self,
        predictor: Predictor,
        load_on_cpu: Callable[[], Predictor],
        tell: Callable[[str], None],
    ) -> None:
        self._predictor = predictor
        self._load_on_cpu = load_on_cpu
        self._tell = tell

    @property
    def description(self) -> str:
        """Of the predictor in use."""
        return self._predictor.description

    @property
    def device(self) -> str:
        """Of the predictor in use."""
        return self._predictor.device

    @property
    def backend(self) -> str:
        """Of the predictor in use."""
        return self._predictor.backend

    def warm_up(self, width: int, height: int) -> None:
        """See `Predictor.warm_up`."""
        self._on_failure(lambda: self._predictor.warm_up(width, height))

    def output_camera(self, camera: Camera) -> Camera:
        """See `Predictor.output_camera`."""
        return self._predictor.output_camera(camera)

    def __call__(
        self,
        image: np.ndarray,
        camera: Camera,
        radar: RadarReturns | None,
        out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Prediction:
        """See `Predictor.__call__`."""
        predictions: list[Prediction] = []
        self._on_failure(lambda: predictions.append(self._predictor(image, camera, radar, out)))
        return predictions[0]

    def _on_failure(self, work: Callable[[], None]) -> None:
        """Do it, and again on the CPU if the device fails."""
        try:
            work()
        except Exception as error:  # what a device's failure is called differs by back end
            if self.device == "cpu" or not is_device_failure(error):
                raise
            reason = " ".join(str(error).split())[:200]
            self._tell(f"{self.device} failed ({reason}); from now on the CPU answers, slower")
            self._predictor = self._load_on_cpu()
            work()


def is_device_failure(error: Exception) -> bool:
    """Whether an error is a device's: out of memory, or lost."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    known = getattr(torch, "AcceleratorError", None)  # since torch 2.8
    if known is not None and isinstance(error, known):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in _WORDS)
