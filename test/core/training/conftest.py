from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("tensorboard", reason="needs the extra 'train'")
pytest.importorskip("webdataset", reason="needs the extra 'train'")

from training_rig import CONFIG, write_shards

from lircdepth_core.training.processes import Processes


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 11 training and 5 validation samples; read them, do not change them."""
    folder = tmp_path_factory.mktemp("tiny")
    write_shards(folder / "train", [4, 4, 3])
    write_shards(folder / "validation", [5], first=100)
    return folder


@pytest.fixture
def tiny_config(tiny_data: Path, tmp_path: Path) -> Path:
    """A configuration of 10 steps of 2 images, 5 steps an epoch."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG.format(folder=tiny_data))
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A forked process may not use more, and another number gives other roundings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def alone() -> Processes:
    """The only process, on the CPU."""
    return Processes(0, 1, torch.device("cpu"))
