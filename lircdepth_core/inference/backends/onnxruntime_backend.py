"""The network in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lircdepth_core.errors import InputError
from lircdepth_core.extras import install_command
from lircdepth_core.inference.artefacts import cleared_by_hand, proven_files
from lircdepth_core.inference.backends.backend import NetworkMaps, NotInstalledError
from lircdepth_core.inference.backends.example import example
from lircdepth_core.inference.backends.onnx_files import NetworkFiles, waits_for
from lircdepth_core.inference.backends.recent import RecentSizes
from lircdepth_core.inference.onnx_export import INPUTS, OUTPUTS

ENGINES = "tensorrt"

_FOREIGN_ENGINE = "could not deserialize engine"
"""What ONNX Runtime says of one that another TensorRT built, where the file's name tells only which
TensorRT ONNX Runtime was made for; and of a good one, where the card has no memory left."""


class OnnxRuntimeBackend:
    """Runs a network's ONNX files, one session for each of the sizes it met last.

    Args:
        files: of the network.
        device: `cpu` or `cuda:N`.
        tensorrt: have TensorRT build engines in half precision; they are kept beside the files.

    Raises:
        NotInstalledError: the installed ONNX Runtime was made without what this needs.
    """

    def __init__(self, files: NetworkFiles, device: str, *, tensorrt: bool = False) -> None:
        self._files, self._tensorrt = files, tensorrt
        kind, _, number = device.partition(":")
        self._device_id = int(number or 0)
        self._needed = "CPUExecutionProvider"
        if kind == "cuda":
            self._needed = "TensorrtExecutionProvider" if tensorrt else "CUDAExecutionProvider"
        if self._needed not in onnxruntime.get_available_providers():
            raise NotInstalledError(
                f"backend: the installed onnxruntime has no {self._needed}; "
                f"pip uninstall onnxruntime, {install_command('onnxruntime-gpu>=1.20')}, or take "
                "another back end"
            )
        self._sessions: RecentSizes[onnxruntime.InferenceSession] = RecentSizes()

    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run the network, see `Backend`."""
        session = self._sessions.get(image.shape[0], image.shape[1], self._session)
        return self._run(session, image, radar)

    @staticmethod
    def _run(
        session: onnxruntime.InferenceSession, image: np.ndarray, radar: np.ndarray
    ) -> NetworkMaps:
        output = session.run(OUTPUTS, dict(zip(INPUTS, (image[None], radar[None]), strict=True)))
        return NetworkMaps(*(values[0] for values in output))

    def _session(self, rows: int, columns: int) -> onnxruntime.InferenceSession:
        path = self._files.of_size(rows, columns)
        options = onnxruntime.SessionOptions()
        # Waiting threads sleep: they would take the processors from the node's other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings: dict[str, Any] = {}
        if self._needed != "CPUExecutionProvider":
            settings["device_id"] = self._device_id
        if not self._tensorrt:
            return self._opened(path, options, settings)
        engines = path.parent / ENGINES
        settings |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(engines),
            "trt_fp16_enable": True,
        }

        def tried() -> onnxruntime.InferenceSession:
            session = self._opened(path, options, settings)
            # What TensorRT builds only at a first run is to be listed too.
            image, radar = example(rows, columns)
            self._run(session, image, radar)
            return session

        with proven_files(engines, waits_for(engines, self._files)):
            try:
                return tried()
            except Exception as error:  # ONNX Runtime's own are plain Exceptions
                if _FOREIGN_ENGINE not in str(error):
                    raise
                self._files.report("the TensorRT engine that was kept does not load, building one")
                with _engines_aside(engines):
                    return tried()

    def _opened(
        self, path: Path, options: onnxruntime.SessionOptions, settings: dict[str, Any]
    ) -> onnxruntime.InferenceSession:
        # It would go on on the CPU where a provider fails, unasked and for ever.
        session = onnxruntime.InferenceSession(
            path, options, providers=[(self._needed, settings)], enable_fallback=0
        )
        # A provider whose libraries cannot be loaded it leaves out all the same.
        if self._needed not in session.get_providers():
            raise InputError(
                f"backend: onnxruntime cannot load its {self._needed}; install the CUDA, cuDNN and "
                "TensorRT that it names above, or take another back end"
            )
        return session


@contextmanager
def _engines_aside(folder: Path) -> Iterator[None]:
    """Without the engines of a folder, which are gone in the end, or back if the body fails.

    Raises:
        CacheError: they cannot be moved.
    """
    aside = {engine.with_suffix(".aside"): engine for engine in folder.glob("*.engine")}
    try:
        for path, engine in aside.items():
            engine.replace(path)
    except OSError as error:
        raise cleared_by_hand(folder, error) from error
    try:
        yield
    except BaseException:
        for path, engine in aside.items():
            path.replace(engine)
        raise
    for path in aside:
        path.unlink()
