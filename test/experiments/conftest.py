"""What the tests of the experiments share."""

from __future__ import annotations

from pathlib import Path

import pytest

for package in ("matplotlib", "scipy", "sklearn", "tensorboard", "torchmetrics", "webdataset"):
    pytest.importorskip(package, reason="needs the extra 'train'")


@pytest.fixture
def kept_teacher() -> Path:
    """Folder of the ablation's kept teacher, which is not there before it is trained."""
    folder = Path(__file__).resolve().parents[2] / "experiments" / "ablation" / "teachers"
    folder /= "128x64"
    if not (folder / "model.yaml").exists():
        pytest.skip("no teacher is kept yet; experiments/ablation/run.py makes it")
    return folder
