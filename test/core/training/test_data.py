"""What goes wrong in a loader process is said in a line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import IterableDataset, get_worker_info

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.errors import InputError
from lircdepth_core.training.data import check_apart, load

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
    with pytest.raises(InputError, match=r"is in data\.train too"):
        check_apart((str(tiny_data / "train"),), ("train/scene-1.tar",))


def test_a_copy_of_a_shard_is_not_validated_on(tiny_data, tmp_path):
    train = tiny_data / "train"
    copy = tmp_path / "other.tar"
    content = (train / "scene-1.tar").read_bytes()
    copy.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.tar is a copy of .*scene-1\.tar in data\.train"):
        check_apart((str(train),), (str(copy),))
    as_large = tmp_path / "another.tar"
    as_large.write_bytes(content[:600] + bytes([content[600] ^ 1]) + content[601:])
    check_apart((str(train),), (str(as_large),))
