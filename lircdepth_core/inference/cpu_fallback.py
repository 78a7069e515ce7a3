"""Going on on the CPU where a graphics card fails in the middle of work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.inference.backends import requested_backend
from lircdepth_core.inference.device import choose_device, cuda_devices, release_device_memory
from lircdepth_core.inference.predictor import Prediction, Predictor
from lircdepth_core.radar import RadarReturns

_WORDS = (
    "cuda",
    "cudnn",
    "cublas",
    "gpu",
    "tensorrt",
    "device-side",
    "out of memory",
    "failed to allocate memory",
)
"""What errors of a device say in those back ends that have no type for them."""

_ONNXRUNTIME = "onnxruntime"
_ONNXRUNTIME_DEVICE = ("EPFail", "EngineError", "DeviceReset")
_ONNXRUNTIME_ANY = ("Fail", "RuntimeException")
"""ONNX Runtime's errors, which are plain Exceptions, each of a type of its own: those of what runs
on a device, and those that may be anything's."""


class Loader(Protocol):
    """Gives a model on a device with a back end, see `Predictor.load`."""

    def __call__(self, *, device: str, backend: str) -> Predictor:
        """Load it."""
        ...


class CpuFallback:
    """A predictor that is replaced by one on the CPU once its device fails.

    The image at which it fails is answered by the CPU. There is no way back: a card that is lost
    mostly stays lost until the process ends. `load` also goes on where it fails while loading, or
    is not there at all.

    Args:
        predictor: on a device.
        load_on_cpu: gives the same model on the CPU.
        tell: is told why, once.
        note: what it is told besides.
    """

    def __init__(
        self,
        predictor: Predictor,
        load_on_cpu: Callable[[], Predictor],
        tell: Callable[[str], None],
        note: str = "",
    ) -> None:
        self._predictor = predictor
        self._load_on_cpu = load_on_cpu
        self._tell = tell
        self._note = note

    @classmethod
    def load(
        cls, load: Loader, device: str, backend: str, tell: Callable[[str], None]
    ) -> Predictor | CpuFallback:
        """A predictor as asked for, with a replacement on the CPU if it is on another device.

        Args:
            load: gives the model.
            device: as `Predictor` takes it.
            backend: as `Predictor` takes it. The CPU's is `auto`, which `$LIRCDEPTH_BACKEND` may
                decide; torch where that names what the CPU cannot run.
            tell: is told why the CPU took over, and what runs the network there if it is not what
                the environment names; once.

        Raises:
            InputError: the model or an argument cannot be used.
        """
        cpu_backend, note = _cpu_backend()
        available = cuda_devices()
        if not available and device.startswith("cuda"):
            # What was asked for is checked as where there is one.
            requested_backend(backend, choose_device(device, sys.maxsize))
            tell(_told(device, InputError("this machine has no CUDA devices"), note))
            return load(device="cpu", backend=cpu_backend)
        chosen = choose_device(device, available)
        failed = ""
        try:
            predictor = load(device=device, backend=backend)
        except Exception as error:  # what a device's failure is called differs by back end
            if chosen == "cpu" or not is_device_failure(error):
                raise
            failed = _told(chosen, error, note)
        if failed:  # only now, that the error no longer holds what was loaded
            release_device_memory()
            tell(failed)
            return load(device="cpu", backend=cpu_backend)
        if predictor.device == "cpu":
            return predictor
        return cls(predictor, lambda: load(device="cpu", backend=cpu_backend), tell, note)

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

    def warm_up(self, width: int | None = None, height: int | None = None) -> None:
        """See `Predictor.warm_up`."""
        self._on_failure(lambda: self._predictor.warm_up(width, height))

    def is_ready_for(self, camera: Camera) -> bool:
        """See `Predictor.is_ready_for`."""
        return self._predictor.is_ready_for(camera)

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
            return
        except Exception as error:  # what a device's failure is called differs by back end
            if self.device == "cpu" or not is_device_failure(error):
                raise
            self._tell(_told(self.device, error, self._note))
        # Only now, that the error no longer holds what ran: the card's memory is others' to use.
        self._predictor = self._load_on_cpu()
        release_device_memory()
        work()


def is_device_failure(error: Exception) -> bool:
    """Whether an error is a device's: out of memory, or lost."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    known = getattr(torch, "AcceleratorError", None)  # since torch 2.8
    if known is not None and isinstance(error, known):
        return True
    kind = type(error)
    # By name: ONNX Runtime may not be installed, and has no common type.
    of_onnxruntime = kind.__module__.partition(".")[0] == _ONNXRUNTIME
    if of_onnxruntime and kind.__name__ in _ONNXRUNTIME_DEVICE:
        return True
    may_be = isinstance(error, RuntimeError) or (
        of_onnxruntime and kind.__name__ in _ONNXRUNTIME_ANY
    )
    text = str(error).lower()
    return may_be and any(word in text for word in _WORDS)


def _cpu_backend() -> tuple[str, str]:
    """What the CPU is asked to run a network with, and why where it is not what `auto` means."""
    try:
        requested_backend("auto", "cpu")
    except InputError as error:
        return "torch", f", with torch ({error})"
    return "auto", ""


def _told(device: str, error: Exception, note: str) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"{device} failed ({reason}); from now on the CPU answers, slower{note}"
