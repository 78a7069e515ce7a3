"""What goes wrong in a loader process is said in a line."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import IterableDataset, get_worker_info

from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.errors import InputError
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.data import check_apart, check_shared_memory, load

CPU = torch.device("cpu")


class Failing(IterableDataset[Batch]):
    """Fails at once, or kills the loader process."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def __iter__(self) -> Iterator[Batch]:
        if self._error:
            raise self._error
        assert get_worker_info() is not None
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_reads_the_same_from_a_loader_process(workers):
    with pytest.raises(InputError) as error:
        next(load(Failing(InputError("shard.tar: cut off; fetch it again")), workers, CPU))
    assert str(error.value) == "shard.tar: cut off; fetch it again"


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(RuntimeError, match="fault"):
        next(load(Failing(RuntimeError("fault")), 1, CPU))


def test_a_loader_process_that_dies_is_said():
    with pytest.raises(InputError, match=r"a loader process died.*lower data\.workers"):
        next(load(Failing(None), 1, CPU))


def test_too_little_shared_memory_is_said_before_anything_waits_for_it(monkeypatch):
    """With 64 MB of it torch 2.13 waits without end."""
    free = SimpleNamespace(free=64_000_000)
    monkeypatch.setattr("lircdepth_core.training.data.shutil.disk_usage", lambda path: free)
    check_shared_memory(6_000_000, workers=2, processes=1)  # 10 batches
    for processes in (1, 2):
        batch = 60_000_000 // 8 // processes
        with pytest.raises(
            InputError, match=r"data\.workers: 2 want 75 MB.*--ipc=host.*size=1g.*0 for"
        ):
            check_shared_memory(batch, workers=2, processes=processes)
    check_shared_memory(60_000_000, workers=0, processes=1)


def test_a_batch_is_as_large_as_it_is_said_to_be(tiny_config, tiny_data):
    data = read_config(TrainingConfig, tiny_config).data
    batch = next(iter(TrainingBatches([str(tiny_data / "train")], data.spec, data.batch_size)))
    maps = (batch.image, batch.radar, batch.single_scan, batch.dense, batch.exact)
    assert data.batch_bytes == sum(values.nbytes for values in maps)


BLURRED = """
import time
import cv2, numpy, torch
from torch.utils.data import IterableDataset
from lircdepth_core.training.data import load

class One(IterableDataset):
    def __iter__(self):
        yield "loaded"

cv2.setNumThreads(2)
cv2.GaussianBlur(numpy.zeros((2000, 2000, 3), numpy.uint8), (31, 31), 9)  # its threads begin
time.sleep(1)  # and sleep
print(next(load(One(), 1, torch.device("cpu"))), cv2.getNumThreads())
"""


def test_a_loader_process_does_not_wait_for_opencvs_threads_which_it_has_not():
    done = subprocess.run(
        [sys.executable, "-c", BLURRED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["loaded", "2"], done.stderr


def test_shards_by_another_path_are_the_same(tiny_data, monkeypatch):
    monkeypatch.chdir(tiny_data)
    check_apart((str(tiny_data / "train"),), (str(tiny_data / "validation"),))
    with pytest.raises(InputError, match=r"scene-1\.tar is of a scene that is in data\.train"):
        check_apart((str(tiny_data / "train"),), ("train/scene-1.tar",))


def test_a_scene_is_not_validated_on_as_a_copy_packed_anew_or_from_another_camera(tmp_path):
    def shard(name: str, *keys: str) -> str:
        path = tmp_path / f"{name}.tar"
        with tarfile.open(path, "w") as tar:
            for key in keys:
                tar.addfile(tarfile.TarInfo(f"{key}.json"), io.BytesIO())
        return str(path)

    train = shard("train", "scene-1__a1__CAM_FRONT", "scene-1__a2__CAM_FRONT")
    same_name_other_drive = shard("drive", "scene-1__b1__CAM_FRONT")
    check_apart((train,), (same_name_other_drive,))
    for name, key in (
        ("packed_anew", "scene-1__a1__CAM_FRONT"),
        ("camera", "scene-1__a1__CAM_BACK"),
    ):
        with pytest.raises(InputError, match=rf"{name}\.tar is of a scene .*train\.tar\)"):
            check_apart((train,), (same_name_other_drive, shard(name, key)))


def test_what_cannot_be_read_or_is_elsewhere_is_told_when_it_is_read(tmp_path):
    (tmp_path / "damaged.tar").write_bytes(b"no tar")
    check_apart((str(tmp_path / "damaged.tar"),), ("http://localhost:1/scene.tar",))
    with pytest.raises(InputError, match=r"http://localhost:1/scene\.tar is of a scene"):
        check_apart(("http://localhost:1/scene.tar",), ("http://localhost:1/scene.tar",))
