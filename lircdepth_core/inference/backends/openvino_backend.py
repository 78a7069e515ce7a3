"""The network in OpenVINO, on a CPU."""

from __future__ import annotations

import numpy as np
import openvino

from lircdepth_core.inference.artefacts import proven_files
from lircdepth_core.inference.backends.backend import NetworkMaps
from lircdepth_core.inference.backends.onnx_files import NetworkFiles, waits_for
from lircdepth_core.inference.backends.recent import RecentSizes
from lircdepth_core.inference.onnx_export import INPUTS, OUTPUTS

ENGINES = "openvino"


class OpenVinoBackend:
    """Runs a network's ONNX files, each compiled for this processor and kept beside the file.

    In memory are those of the sizes it met last.

    Args:
        files: of the network.
        half: in bfloat16, for processors that have it in hardware.
    """

    def __init__(self, files: NetworkFiles, *, half: bool = False) -> None:
        self._files = files
        self._core = openvino.Core()
        self._settings = {
            # Otherwise OpenVINO takes bfloat16 where the processor has it.
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._requests: RecentSizes[openvino.InferRequest] = RecentSizes()

    def __call__(self, image: np.ndarray, radar: np.ndarray) -> NetworkMaps:
        """Run the network, see `Backend`."""
        request = self._requests.get(image.shape[0], image.shape[1], self._request)
        output = request.infer(
            dict(zip(INPUTS, (image[None], radar[None]), strict=True)), share_inputs=True
        )
        return NetworkMaps(*(output[name][0] for name in OUTPUTS))

    def _request(self, rows: int, columns: int) -> openvino.InferRequest:
        path = self._files.of_size(rows, columns)
        # OpenVINO names what it keeps by its own version, the processor and the settings.
        engines = path.parent / ENGINES
        settings = {"CACHE_DIR": str(engines), **self._settings}
        with proven_files(engines, waits_for(engines, self._files)):
            return self._core.compile_model(path, "CPU", settings).create_infer_request()
