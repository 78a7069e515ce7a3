"""Calibration needs the extra `train`."""

from __future__ import annotations

import pytest

for package in ("sklearn", "webdataset"):
    pytest.importorskip(package, reason=f"{package} is not installed: the extra 'train'")
