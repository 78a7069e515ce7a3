"""Batches as loader processes give them."""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import torch
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader, IterableDataset

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.dataset.sample_files import keyframe_of
from lircdepth_core.dataset.shards import Shard, find_shards, first_key
from lircdepth_core.errors import InputError, naming
from lircdepth_core.sole_process import stay_out

_SECONDS_AFTER_SIGTERM = 60
_SHARED_MEMORY = Path("/dev/shm")
_BATCHES_AHEAD = 2
"""That a worker loads before they are asked for."""


def load(dataset: IterableDataset[Batch], workers: int, device: torch.device) -> Iterator[Batch]:
    """The batches of a data set.

    Args:
        dataset: gives batches.
        workers: processes that load them; 0 for none.
        device: where they go; on the way to CUDA they lie in pinned memory.

    Raises:
        InputError: a sample cannot be read, or a worker died.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_BATCHES_AHEAD if workers else None,
        worker_init_fn=_prepare_worker,
        pin_memory=device.type == "cuda",
        # Its own, or beginning an epoch would change what the networks draw.
        generator=torch.Generator(),
    )
    try:
        with _threads_that_can_be_forked():
            batches = iter(loader)
        yield from batches
    except InputError as error:
        # A worker's error comes with its traceback before it.
        message = str(error).strip().rpartition(f"{InputError.__name__}: ")[2]
        raise InputError(message) from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            "a loader process died, perhaps for want of memory; lower data.workers (0 for none) "
            "and run the same command again, it goes on from the last checkpoint"
        ) from error


def check_shared_memory(batch_bytes: int, workers: int, processes: int) -> None:
    """See that loader processes can hand their batches over.

    Where they cannot, torch 2.13 waits for a batch that never comes. Docker gives 64 MB.

    Args:
        batch_bytes: of one batch's maps.
        workers: loader processes of each process that trains.
        processes: that train on this machine.

    Raises:
        InputError: there is too little shared memory for the batches that are under way at a time,
            those of a validation and those that wait for its end.
    """
    if not workers or not _SHARED_MEMORY.is_dir():
        return
    needed = 2 * (_BATCHES_AHEAD * workers + 1) * processes * batch_bytes
    free = shutil.disk_usage(_SHARED_MEMORY).free
    if free < needed:
        raise InputError(
            f"data.workers: {workers} want {needed / 1e6:.0f} MB of shared memory for their "
            f"batches, {_SHARED_MEMORY} has {free / 1e6:.0f} MB; give a container more (docker run "
            f"--ipc=host, or --shm-size={math.ceil(needed / 2**30)}g), or fewer workers, 0 for none"
        )


def check_apart(train: tuple[str, ...], validation: tuple[str, ...]) -> None:
    """Refuse scenes that are both trained on and validated on.

    A scene is known by the first keyframe of its shards on disk, so also as a copy, packed anew or
    seen by another camera. Of shards behind URLs only the address is looked at.

    Raises:
        InputError: there is one, or there are no shards.
    """
    with naming("data.train"):
        trained = {_first_keyframe(shard): shard for shard in find_shards(train)}
    with naming("data.validation"):
        validated = {_first_keyframe(shard): shard for shard in find_shards(validation)}
    for keyframe, shard in validated.items():
        if other := trained.get(keyframe):
            raise InputError(
                f"data.validation: {shard.location} is of a scene that is in data.train too "
                f"({other.location}); give other scenes"
            )


def _first_keyframe(shard: Shard) -> str:
    """Of a shard's first sample; the shard's place, if it cannot be read here."""
    if shard.is_local:
        # One that is missing or damaged is told when it is read.
        with suppress(InputError):
            return keyframe_of(first_key(shard))
    return shard.location


@contextmanager
def _threads_that_can_be_forked() -> Iterator[None]:
    """Without OpenCV's threads: a forked process has none of them, and would wait for them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends them
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _prepare_worker(number: int) -> None:
    """Leave signals to the process that trains, the cores too, and the folder of its run."""
    stay_out()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Taken by a thread, since only there it is known who sent it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_heed_sigterm, args=(os.getppid(),), daemon=True).start()
    cv2.setNumThreads(1)
    threadpool_limits(1)


def _heed_sigterm(parent: int) -> None:
    """End at once if the process that trains says so, as when it ends with an error.

    systemd, Slurm and others send SIGTERM to all processes of a job at once: then go on until the
    process that trains has finished its update, or for a minute.
    """
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        signal.alarm(_SECONDS_AFTER_SIGTERM)
    os._exit(0)
