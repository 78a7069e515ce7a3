"""What runs a network: torch, ONNX Runtime, OpenVINO."""

from lircdepth_core.inference.backends.automatic import AutomaticBackend, nothing_kept
from lircdepth_core.inference.backends.backend import Backend, NetworkMaps
from lircdepth_core.inference.backends.catalogue import BACKENDS, open_backend, requested_backend
from lircdepth_core.inference.backends.choice import fastest
from lircdepth_core.inference.backends.onnx_files import Int8Network
from lircdepth_core.inference.backends.recent import RecentSizes

__all__ = [
    "BACKENDS",
    "AutomaticBackend",
    "Backend",
    "Int8Network",
    "NetworkMaps",
    "RecentSizes",
    "fastest",
    "nothing_kept",
    "open_backend",
    "requested_backend",
]
