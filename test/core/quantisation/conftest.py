"""Quantisation needs the extra `quantise`."""

from __future__ import annotations

import pytest

for package in ("onnx", "onnxruntime", "onnxscript", "webdataset"):
    pytest.importorskip(package, reason=f"{package} is not installed: the extra 'quantise'")
