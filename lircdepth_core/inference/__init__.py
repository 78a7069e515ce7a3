"""Models, and what they predict for an image and its radar returns."""

from lircdepth_core.inference.calibration import Calibration
from lircdepth_core.inference.cpu_fallback import CpuFallback
from lircdepth_core.inference.device import release_device_memory
from lircdepth_core.inference.model_description import ModelDescription
from lircdepth_core.inference.model_files import find_model, write_description, write_model
from lircdepth_core.inference.predictor import MAX_NETWORK_PIXELS, Prediction, Predictor
from lircdepth_core.inference.published import load_published

__all__ = [
    "MAX_NETWORK_PIXELS",
    "Calibration",
    "CpuFallback",
    "ModelDescription",
    "Prediction",
    "Predictor",
    "find_model",
    "load_published",
    "release_device_memory",
    "write_description",
    "write_model",
]
