"""What runs a network: torch, ONNX Runtime, OpenVINO."""

from lircdepth_core.inference.backends.backend import Backend, NetworkMaps
from lircdepth_core.inference.backends.catalogue import BACKENDS, open_backend, requested_backend
from lircdepth_core.inference.backends.choice import fastest

__all__ = ["BACKENDS", "Backend", "NetworkMaps", "fastest", "open_backend", "requested_backend"]
