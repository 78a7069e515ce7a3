"""nuScenes data sets as shards of training samples: `prepare` and `lircdepth prepare`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from threadpoolctl import threadpool_limits

from lircdepth_core.dataset.devkit import (
    ambiguous,
    find_scene,
    is_original,
    is_plain,
    listed,
    open_dataset,
    reading_tables,
)
from lircdepth_core.dataset.prepare_options import PRODUCTS, RADARS_OF_CAMERA, PrepareOptions
from lircdepth_core.dataset.prepare_scene import prepare_scene, prepared, read_record
from lircdepth_core.dataset.scene_tables import Scene, read_conditions, read_scene
from lircdepth_core.dataset.shards import INDEX_FILE, INDEX_FORMAT
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.extras import not_installed
from lircdepth_core.output_folder import output_folder
from lircdepth_core.processors import usable_processors
from lircdepth_core.progress import Progress
from lircdepth_core.result_files import write_atomically
from lircdepth_core.sole_process import LOCK_FILE, sole_process
from lircdepth_core.worker_process import end_with_parent

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

ENGINES = ("process", "ray")
SPLITS = ("train", "val", "test", "mini_train", "mini_val")

_UNFINISHED = (".*.tar.part", ".*.json.part")

_VERSIONS_OF = ("lircdepth", "numpy", "scipy", "opencv-python-headless", "nuscenes-devkit")

Report = Callable[[int, int, str, str | None], None]
"""Is told how many scenes are done, how many there are, a scene's name, and why it was skipped, if
it was."""


@dataclass(frozen=True)
class PrepareSummary:
    """What a preparation did.

    Attributes:
        out: folder of the shards.
        scenes: names of the scenes that are complete in it, of this call.
        samples: how many samples the folder's index holds.
        skipped: reasons by the names of the scenes that could not be prepared.
        unannotated: names of those of `scenes` in which nothing is annotated.
    """

    out: Path
    scenes: tuple[str, ...]
    samples: int
    skipped: dict[str, str]
    unannotated: tuple[str, ...]


def prepare(
    dataroot: Path,
    out: Path,
    options: PrepareOptions | None = None,
    *,
    version: str | None = None,
    split: str | None = None,
    scenes: Sequence[str] | None = None,
    workers: int = 1,
    engine: str = "process",
    report: Report | None = None,
) -> PrepareSummary:
    """Make the shards of a data set's scenes, and an index of all that are in the folder.

    Each scene is prepared on its own, `workers` at a time; the result does not depend on how. One
    that cannot be is left out, the others are made. What an earlier call completed is kept, so a
    killed run goes on where it was, and scenes can be added.

    Args:
        dataroot: root of the data set.
        out: folder of the shards, made if it is not there.
        options: what to make; None: as published.
        version: folder of tables; None takes the only one.
        split: one of `SPLITS`, nuScenes' own; those of its scenes that the data set has.
        scenes: names; None and no split: all.
        workers: processes, with the engine `process`; they are spawned, so a script that asks for
            more than one calls this under `if __name__ == "__main__"`.
        engine: `process`, or `ray` for a cluster, whose machines must all see both folders.
        report: called at the start and after each scene.

    Raises:
        InputError: the data set cannot be read, has no such scene, there are no such masks, or
            `out` cannot be written, holds something else or is another process's at work.
    """
    options = options or PrepareOptions()
    if engine not in ENGINES:
        raise InputError(f"engine {engine}: not known; choose from {', '.join(ENGINES)}")
    # The same folder whatever the working directory of a worker is.
    dataroot, out = dataroot.resolve(), out.resolve()
    if options.masks:
        options = replace(options, masks=options.masks.resolve())
        _check_masks(options)
    with output_folder(out):
        _check_folder(out, options)
        nusc = open_dataset(dataroot, version)
        with reading_tables(nusc):
            rows = _choose_scenes(nusc, split, scenes)
            channels = _channels(nusc, options)
        conditions = read_conditions(dataroot)
    with sole_process(out):
        _remove_unfinished(out)
        tally = _Tally(len({row["name"] for row in rows}), report)
        jobs = _jobs(nusc, rows, channels, conditions, (dataroot, out, options), tally)
        try:
            for name, reason in _run(jobs, workers, engine):
                tally.finish(name, reason)
        finally:
            index = _write_index(out, options, nusc.version, tally.skipped)
    return PrepareSummary(
        out=out,
        scenes=tuple(sorted(tally.done)),
        samples=index["samples"],
        skipped=dict(sorted(tally.skipped.items())),
        unannotated=tuple(sorted(name for name in tally.done if not index["annotated"][name])),
    )


class _Tally:
    """Which scenes are done, and why others were skipped; each is reported as it is known.

    Args:
        count: of all scenes.
        report: see `prepare`.
    """

    def __init__(self, count: int, report: Report | None) -> None:
        self.done: list[str] = []
        self.skipped: dict[str, str] = {}
        self._count, self._report = count, report
        if report:
            report(0, count, "", None)

    def finish(self, name: str, reason: str | None) -> None:
        """Count a scene that is done, or that was skipped for a reason."""
        if reason is None:
            self.done.append(name)
        else:
            self.skipped[name] = reason
        if self._report:
            self._report(len(self.done) + len(self.skipped), self._count, name, reason)


def _jobs(
    nusc: NuScenes,
    rows: Sequence[dict[str, Any]],
    channels: Sequence[str],
    conditions: dict[str, dict[str, str]],
    work: tuple[Path, Path, PrepareOptions],
    tally: _Tally,
) -> Iterator[_Job]:
    """Scenes that are to be made; what is known of the others is tallied.

    Args:
        nusc: the tables.
        rows: of the scenes asked for, each name once or, where it is ambiguous, more often.
        channels: names of the cameras and radars.
        conditions: see `read_conditions`.
        work: data set, folder of the shards and options.
        tally: of all scenes.
    """
    dataroot, out, options = work
    called = Counter(row["name"] for row in rows)
    for name, row in {row["name"]: row for row in rows}.items():
        try:
            if called[name] > 1:  # their shards would have the same names
                raise InputError(ambiguous(name, called[name]))
            scene = read_scene(
                nusc,
                row,
                channels,
                all_images=options.cameras if options.masks else (),
                conditions=conditions,
            )
            complete = prepared(dataroot, scene, out, options)
        except InputError as error:
            tally.finish(name, str(error))
            continue
        if complete:
            tally.finish(name, None)
        else:
            yield dataroot, scene, out, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth prepare`."""
    parser.epilog = (
        "The exit status is 0 if all scenes are done, 1 if some were skipped, each with its reason "
        "on stderr and in index.json, 2 if nothing could be done, as with a wrong argument, and "
        "130 after Ctrl-C. The same command again goes on with what is missing."
    )
    parser.add_argument(
        "dataroot", type=Path, metavar="DATAROOT", help="root of a nuScenes data set"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the shards")
    parser.add_argument("--version", help="such as v1.0-mini; needed only if there are several")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--split", choices=SPLITS, help="nuScenes' own split (default: all scenes)")
    which.add_argument(
        "--scenes", nargs="+", metavar="NAME", help="scenes, or a file with one name per line"
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        default=["CAM_FRONT"],
        metavar="CHANNEL",
        help="cameras, or all (default: CAM_FRONT)",
    )
    parser.add_argument(
        "--radars",
        nargs="+",
        metavar="CHANNEL",
        help="radars for every camera (default: those that look its way)",
    )
    parser.add_argument(
        "--radar-filters",
        action="store_true",
        help="keep only what the devkit's default filters keep (default: all, as published)",
    )
    parser.add_argument(
        "--sweeps",
        type=int,
        default=80,
        metavar="N",
        help="lidar sweeps accumulated before and after, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="DIR/CHANNEL/<image's stem>.png of every image, not 0 where something movable is "
        "(default: the annotated boxes say so)",
    )
    parser.add_argument(
        "--leave-out", nargs="+", choices=PRODUCTS, default=[], help="what not to store"
    )
    parser.add_argument(
        "--keep-last",
        action="store_true",
        help="keep the last key frame of each scene (default: skipped, as published)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=usable_processors(),
        metavar="N",
        help="scenes prepared at a time, with the engine process (default: one per processor, "
        "%(default)s here); ray takes what its cluster has",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="process",
        help="a process pool, or Ray: the cluster in RAY_ADDRESS, else this machine "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth prepare`; 1 if a scene was skipped. Errors are raised as `InputError`."""
    if args.sweeps < 0:
        raise InputError(f"--sweeps {args.sweeps}: give 0 or more")
    if args.workers < 1:
        raise InputError(f"--workers {args.workers}: give at least 1")
    cameras = tuple(RADARS_OF_CAMERA) if args.cameras == ["all"] else tuple(args.cameras)
    options = PrepareOptions(
        cameras=cameras,
        radars=tuple(args.radars) if args.radars else None,
        radar_filters=args.radar_filters,
        sweeps=args.sweeps,
        masks=args.masks,
        leave_out=tuple(sorted(set(args.leave_out))),
        keep_last=args.keep_last,
    )
    summary = prepare(
        args.dataroot,
        args.out,
        options,
        version=args.version,
        split=args.split,
        scenes=_scene_names(args.scenes),
        workers=args.workers,
        engine=args.engine,
        report=_reporter(),
    )
    print(f"{summary.out}: {len(summary.scenes)} scenes done, {summary.samples} samples in all")
    if not summary.samples and summary.scenes and not options.keep_last:
        print(
            "note: no sample: the last key frame of each scene is skipped; --keep-last keeps it",
            file=sys.stderr,
        )
    if summary.unannotated and options.shows_trails:
        print(
            f"note: {len(summary.unannotated)} scenes have no annotations (such as "
            f"{summary.unannotated[0]}): what moves leaves trails in their accumulated and dense "
            "depth; give --masks, or --leave-out accumulated dense",
            file=sys.stderr,
        )
    for name, reason in summary.skipped.items():
        print(f"skipped {name}: {' '.join(reason.split())}", file=sys.stderr)
    return 1 if summary.skipped else 0


_Job = tuple[Path, Scene, Path, PrepareOptions]
_Outcome = tuple[str, str | None]


def _attempt(job: _Job) -> _Outcome:
    """Prepare a scene; its name, and why it could not be done."""
    dataroot, scene, out, options = job
    cv2.setNumThreads(1)
    try:
        # Scenes share the cores already; BLAS threads of several workers wait for each other, and
        # two workers on two cores took 25 times as long as with this.
        with threadpool_limits(1):
            prepare_scene(dataroot, scene, out, options)
    except InputError as error:
        return scene.name, str(error)
    return scene.name, None


def _run(jobs: Iterator[_Job], workers: int, engine: str) -> Iterator[_Outcome]:
    """Do all jobs, each outcome as soon as it is there."""
    if engine == "ray":
        return _run_by_ray(jobs)
    if workers == 1:
        return map(_attempt, jobs)
    return _run_in_processes(jobs, workers)


def _run_in_processes(jobs: Iterator[_Job], workers: int) -> Iterator[_Outcome]:
    # Spawned, not forked: the devkit's tables need not be copied, and threads may be running.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool:
        try:
            futures = [pool.submit(_attempt, job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a worker died, perhaps for want of memory; run again with fewer --workers, what "
                "is done is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _run_by_ray(jobs: Iterator[_Job]) -> Iterator[_Outcome]:
    try:
        import ray
    except ImportError as error:
        raise InputError(not_installed("ray", "ray")) from error
    started = not ray.is_initialized()
    if started:
        # Else it reports how it is used to its makers, over the network.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(log_to_driver=False)
    try:
        attempt = ray.remote(_attempt)
        waiting = [attempt.remote(job) for job in jobs]
        while waiting:
            ready, waiting = ray.wait(waiting)
            yield from ray.get(ready)
    except ray.exceptions.RayError as error:
        raise InputError(
            f"ray lost a worker ({first_line(error)}), perhaps for want of memory; run again, what "
            "is done is kept"
        ) from error
    finally:
        if started:
            ray.shutdown()


def _begin_worker() -> None:
    """Let a worker end at once with Ctrl-C, and when the process that started it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()


def _choose_scenes(
    nusc: NuScenes, split: str | None, names: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Rows of the chosen scenes, by name."""
    if split is not None:
        from nuscenes.utils.splits import create_splits_scenes

        wanted = set(create_splits_scenes()[split])
        chosen = [scene for scene in nusc.scene if scene["name"] in wanted]
        if not chosen:
            raise InputError(f"{nusc.dataroot}: {nusc.version} has no scene of the split {split}")
        if not all(is_original(nusc, scene) for scene in chosen):
            raise InputError(
                f"{nusc.dataroot}: not nuScenes itself, whose splits say nothing of its scenes; "
                "choose them with --scenes"
            )
    elif names is not None:
        chosen = [find_scene(nusc, name) for name in sorted(set(names))]
    else:
        chosen = list(nusc.scene)
    taken = Path(INDEX_FILE).stem  # the index of all scenes
    unfit = [s["name"] for s in chosen if not is_plain(s["name"]) or s["name"] == taken]
    if unfit:
        raise InputError(f"{nusc.dataroot}: scene {unfit[0]!a:.80} cannot name a file; rename it")
    return sorted(chosen, key=lambda scene: scene["name"])


def _scene_names(given: list[str] | None) -> list[str] | None:
    """Names, or those in a file."""
    if given is None or len(given) != 1 or not Path(given[0]).is_file():
        return given
    try:
        lines = Path(given[0]).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{given[0]}: not UTF-8; give one scene's name per line") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise InputError(f"{given[0]}: names no scene; give one per line")
    return names


def _channels(nusc: NuScenes, options: PrepareOptions) -> list[str]:
    """Every camera and radar that is needed; they must exist, if not in every scene."""
    _check_sensors(nusc, options.cameras, "camera")
    radars = {radar: None for camera in options.cameras for radar in options.radars_of(camera)}
    _check_sensors(nusc, radars, "radar")
    return [*options.cameras, *radars]


def _check_sensors(nusc: NuScenes, channels: Iterable[str], modality: str) -> None:
    """See that the data set has sensors of a kind."""
    known = sorted(row["channel"] for row in nusc.sensor if row["modality"] == modality)
    unknown = [name for name in channels if name not in known]
    if unknown:
        raise InputError(
            f"{nusc.dataroot}: no {modality} {listed(unknown)}; there are {listed(known) or 'none'}"
        )


def _check_masks(options: PrepareOptions) -> None:
    """See that there is a folder of masks for every camera."""
    assert options.masks is not None
    for folder in (options.masks, *(options.masks / camera for camera in options.cameras)):
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder; --masks takes one of CHANNEL/<image's stem>.png"
            )


def _check_folder(out: Path, options: PrepareOptions) -> None:
    """See that a folder fits what is to be made."""
    known = (INDEX_FILE, "*.tar", LOCK_FILE, *_UNFINISHED)
    if any(out.iterdir()) and not any(any(out.glob(pattern)) for pattern in known):
        raise InputError(f"{out}: holds something else; choose another folder")
    for record in _records(out):
        if record["options"] != options.record():
            raise InputError(
                f"{out}: {record['scene']} was made with other options; choose another folder"
            )


def _remove_unfinished(out: Path) -> None:
    """Remove what a killed run left unfinished."""
    for unfinished in (path for pattern in _UNFINISHED for path in out.glob(pattern)):
        unfinished.unlink()


def _records(out: Path) -> list[dict[str, Any]]:
    """The records of all complete scenes in a folder, by name."""
    return [read_record(path) for path in sorted(out.glob("*.json")) if path.name != INDEX_FILE]


def _write_index(
    out: Path, options: PrepareOptions, version: str, skipped: dict[str, str]
) -> dict[str, Any]:
    """Write the index of all complete scenes in the folder.

    A scene that was skipped now but is complete from before stays, and is none of the skipped.
    """
    records = _records(out)
    shards = [shard for record in records for shard in record["shards"]]
    conditions = {record["scene"]: record["conditions"] for record in records}
    index = {
        "format": INDEX_FORMAT,
        "data": version,
        "options": options.record(),
        "versions": _versions(),
        "samples": sum(shard["samples"] for shard in shards),
        "shards": shards,
        "conditions": conditions,
        "annotated": {record["scene"]: record["annotated"] for record in records},
        "skipped": {name: why for name, why in skipped.items() if name not in conditions},
    }
    write_atomically(out / INDEX_FILE, json.dumps(index, indent=1, sort_keys=True))
    return index


def _versions() -> dict[str, str]:
    """Of the packages that the result depends on."""
    versions = {}
    for package in _VERSIONS_OF:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _reporter() -> Callable[[int, int, str, str | None], None]:
    """Progress for whoever watches."""
    progress = Progress("scenes")

    def report(done: int, total: int, scene: str, reason: str | None) -> None:
        progress(done, total, f", {scene} {'skipped' if reason else 'done'}" if scene else "")

    return report
