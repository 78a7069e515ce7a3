"""Makes the scenes of a data set in processes, each scene in a folder of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import cv2
from threadpoolctl import threadpool_limits

from lircdepth_core.drive.drive_settings import DriveSettings, Makers
from lircdepth_core.drive.scene_recorder import finish_scene, record_measurements
from lircdepth_core.drive.world import World
from lircdepth_core.errors import InputError
from lircdepth_core.result_files import naming_file
from lircdepth_core.worker_process import end_with_parent


@dataclass(frozen=True)
class _Task:
    """What a worker needs to know of a scene.

    Attributes:
        folder: where its files go until it is whole.
        settings: of the data set.
        makers: of world and images.
        number: of the scene.
    """

    folder: Path
    settings: DriveSettings
    makers: Makers
    number: int


def make_scenes(
    folder: Path, settings: DriveSettings, makers: Makers, numbers: Sequence[int], workers: int
) -> Iterator[int]:
    """Make scenes as folders `<folder>/<scene>`, which appear when they are whole.

    With more workers than scenes, several share the measurements of a scene.

    Args:
        folder: must be there.
        settings: of the data set.
        makers: of worlds and images.
        numbers: of the scenes to make.
        workers: processes; 1 works in this one.

    Yields:
        How many measurements were made since the last time.

    Raises:
        InputError: a worker died, or a package is missing.
    """
    tasks = []
    for number in numbers:
        # A name of its own: an orphan of a killed run may still write to its own folder.
        name = f"{settings.scene_name(number).scene}.{os.getpid()}.part"
        (folder / name).mkdir()
        tasks.append(_Task(folder / name, settings, makers, number))
    if workers == 1:
        for task in tasks:
            yield from _measure(task, 0, 1)
            _finish(task)
    else:
        yield from _make_in_pool(tasks, workers)


def _make_in_pool(tasks: Sequence[_Task], workers: int) -> Iterator[int]:
    """Make scenes in processes."""
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    # Where scenes are fewer than workers, several share the measurements of one.
    shares = max(1, workers // max(1, len(tasks)))
    seen = 0
    with ProcessPoolExecutor(workers, context, _start_worker, (counter, stop)) as pool:
        try:
            to_do: dict[_Task, set[Future[None]]] = {}
            if shares == 1:
                # Scene by scene, so that an interruption loses none that could be complete.
                pending = {pool.submit(_make_in_worker, task) for task in tasks}
            else:
                to_do = {
                    task: {pool.submit(_measure_in_worker, task, k, shares) for k in range(shares)}
                    for task in tasks
                }
                pending = set().union(*to_do.values())
            while pending:
                finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    for task, parts in list(to_do.items()):
                        parts.discard(future)
                        if not parts:
                            del to_do[task]
                            pending.add(pool.submit(_finish, task))
                done = counter.value
                yield done - seen
                seen = done
        except BrokenProcessPool as error:
            raise InputError(
                f"{tasks[0].folder.parent}: a worker process died, perhaps for want of memory; "
                "give the same command with fewer --workers to go on"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=1)
def _world(makers: Makers, settings: DriveSettings, number: int) -> World:
    """The world of a scene; a process that goes on with the same scene need not build it again."""
    return makers.world(
        settings.scene_seed(number), settings.duration, settings.scene_conditions(number)
    )


def _measure(task: _Task, share: int, shares: int) -> Iterator[int]:
    """Make one share of a scene's measurements; yields 1 for each."""
    settings = task.settings
    world = _world(task.makers, settings, task.number)
    # Without cameras no graphics are needed.
    rendering = (
        task.makers.renderer(world, settings.width, settings.height)
        if settings.cameras
        else nullcontext()
    )
    with naming_file(task.folder.parent), rendering as renderer:
        for _ in record_measurements(
            task.folder,
            settings.scene_name(task.number),
            world,
            settings.sensors(),
            renderer,
            sweeps=settings.sweeps,
            share=share,
            shares=shares,
        ):
            yield 1


def _finish(task: _Task) -> None:
    """Complete a scene whose measurements are all made, and give it its name."""
    settings, name = task.settings, task.settings.scene_name(task.number)
    with naming_file(task.folder.parent):
        finish_scene(
            task.folder,
            name,
            _world(task.makers, settings, task.number),
            settings.sensors(),
            sweeps=settings.sweeps,
        )
    task.folder.rename(task.folder.parent / name.scene)


def _start_worker(counter: Any, stop: Event) -> None:
    """Set a worker process up: it ends with its parent, which alone heeds Ctrl-C."""
    global _counter, _stop
    _counter, _stop = counter, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The workers share the cores already.
    threadpool_limits(1)
    cv2.setNumThreads(1)
    end_with_parent()


def _measure_in_worker(task: _Task, share: int, shares: int) -> None:
    """Make one share of a scene's measurements, counting them, unless told to stop."""
    for step in _measure(task, share, shares):
        with _counter.get_lock():
            _counter.value += step
        if _stop.is_set():
            return


def _make_in_worker(task: _Task) -> None:
    """Make a whole scene, unless told to stop."""
    _measure_in_worker(task, 0, 1)
    if not _stop.is_set():
        _finish(task)


_counter: Any = None
_stop: Any = None
