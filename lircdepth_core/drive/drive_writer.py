"""Generated drives as a nuScenes data set: `write_drive` and the command `lircdepth drive`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np

from lircdepth_core.drive.nuscenes_tables import write_tables
from lircdepth_core.drive.scene_recorder import (
    Renderer,
    SceneName,
    record_scene,
    scene_measurements,
)
from lircdepth_core.drive.sensor_rig import CAMERAS, FIRST_SAMPLE, LAST_SAMPLE, RADARS, sensor_rig
from lircdepth_core.drive.weather import LIGHTS, WEATHERS, conditions_of, draw_conditions
from lircdepth_core.drive.world import Conditions, World
from lircdepth_core.errors import InputError

VERSION = "v1.0-mini"
CONDITIONS_FILE = "conditions.json"

Progress = Callable[[int, int], None]

# Holds the settings, the finished scenes' rows and what is being written.
_STATE = ".drive"
_SETTINGS_FILE = "settings.json"
_START = 1_577_836_800_000_000
_DAY = 86_400_000_000


@dataclass(frozen=True)
class DriveSettings:
    """What a data set is made with; scenes can be added to it later with the same settings.

    Attributes:
        seed: all scenes follow from it and from their numbers.
        duration: seconds of a scene.
        cameras: channels out of `sensor_rig.CAMERAS`.
        radars: channels out of `sensor_rig.RADARS`.
        width: of the images.
        height: of the images.
        keyframes_only: leave out the sweeps between key frames, of all sensors.
        weather: of all scenes, one of `weather.WEATHERS`; None: drawn for each.
        light: of all scenes, one of `weather.LIGHTS`; None: drawn for each.

    Raises:
        InputError: a value is out of range.
    """

    seed: int = 0
    duration: float = 20.0
    cameras: tuple[str, ...] = CAMERAS
    radars: tuple[str, ...] = RADARS
    width: int = 1600
    height: int = 900
    keyframes_only: bool = False
    weather: str | None = None
    light: str | None = None

    def __post_init__(self) -> None:
        shortest = FIRST_SAMPLE + LAST_SAMPLE
        if not shortest <= self.duration <= 120:
            raise InputError(f"duration {self.duration}: give {shortest:.1f} to 120 seconds")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: give 0 or more")
        if not (16 <= self.width <= 8192 and 16 <= self.height <= 8192):
            raise InputError(f"size {self.width}x{self.height}: give 16x16 to 8192x8192")
        for what, chosen, known in (
            ("camera", self.cameras, CAMERAS),
            ("radar", self.radars, RADARS),
            ("weather", [self.weather] if self.weather else [], WEATHERS),
            ("light", [self.light] if self.light else [], LIGHTS),
        ):
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise InputError(f"no {what} {', '.join(unknown)}; choose from {', '.join(known)}")


@dataclass(frozen=True)
class Makers:
    """What makes worlds and their images.

    Attributes:
        world: (seed, duration in seconds, conditions) -> World.
        renderer: (world, width, height) -> context manager that gives a Renderer.
    """

    world: Callable[[int, float, Conditions], World]
    renderer: Callable[[World, int, int], AbstractContextManager[Renderer]]


@dataclass(frozen=True)
class _Task:
    """What a worker needs to know."""

    out: Path
    settings: DriveSettings
    makers: Makers


def write_drive(
    out: Path,
    settings: DriveSettings | None = None,
    *,
    scenes: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
    makers: Makers | None = None,
) -> None:
    """Write scenes `scene-0001` and on as a nuScenes data set, with exact depth and conditions.

    Beside the nuScenes folders stand `depth/` (read by `exact_depth.read_depth`) and
    `conditions.json`, which gives each scene's weather and light. A scene is written in a folder of
    its own, `<out>/.drive`, and joins the data set when all are complete; after an interruption the
    same call goes on with those that are missing, and the result is the same. A call with more
    scenes adds them.

    Args:
        out: root of the data set: new, empty, or from a call with the same settings.
        settings: of the data set.
        scenes: how many it shall have.
        workers: processes; None takes one per processor.
        progress: called with the number of measurements done and of all.
        makers: of worlds and images; None: of the streets of `world_builder`. Can be pickled.

    Raises:
        InputError: `out` holds something else, or a package that drives need is missing.
    """
    settings = settings or DriveSettings()
    if scenes < 1:
        raise InputError(f"scenes {scenes}: give at least 1")
    if workers is not None and workers < 1:
        raise InputError(f"workers {workers}: give at least 1")
    state = _open_state(out, settings)
    names = [scene_name(settings.seed, number).scene for number in range(1, scenes + 1)]
    missing = [
        number
        for number, name in enumerate(names, start=1)
        if not ((state / f"{name}.json").exists() or (state / name).exists())
    ]
    per_scene = scene_measurements(_sensors(settings), settings.duration, settings.keyframes_only)
    workers = min(workers or os.cpu_count() or 1, max(1, len(missing)))
    done = per_scene * (scenes - len(missing))
    task = _Task(out, settings, makers or _street_makers())
    for step in _made(task, missing, workers):
        done += step
        if progress:
            progress(done, per_scene * scenes)
    _join(out, state)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth drive`."""
    default = DriveSettings()
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="root of the data set; after an interruption, the same command goes on",
    )
    parser.add_argument("--scenes", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="what all follows from (default: 0)"
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=default.duration,
        metavar="SECONDS",
        help="of each scene (default: 20)",
    )
    for what, channels in (("cameras", CAMERAS), ("radars", RADARS)):
        parser.add_argument(
            f"--{what}",
            nargs="*",
            default=channels,
            metavar="CHANNEL",
            help=f"which of {', '.join(channels)} (default: all)",
        )
    parser.add_argument(
        "--size",
        type=_size,
        default=(default.width, default.height),
        metavar="WxH",
        help="of the images; intrinsics are scaled with it (default: 1600x900)",
    )
    parser.add_argument(
        "--keyframes-only",
        action="store_true",
        help="leave out the sweeps between the key frames (2 Hz), of all sensors",
    )
    parser.add_argument("--weather", choices=WEATHERS, help="of all scenes (default: varied)")
    parser.add_argument("--light", choices=LIGHTS, help="of all scenes (default: varied)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per processor)"
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth drive`; errors are raised as `InputError`."""
    width, height = args.size
    settings = DriveSettings(
        seed=args.seed,
        duration=args.duration,
        cameras=tuple(args.cameras),
        radars=tuple(args.radars),
        width=width,
        height=height,
        keyframes_only=args.keyframes_only,
        weather=args.weather,
        light=args.light,
    )
    write_drive(
        args.out,
        settings,
        scenes=args.scenes,
        workers=args.workers,
        progress=_print_progress if sys.stderr.isatty() else None,
    )
    print(f"{args.out}: {VERSION}, {args.scenes} scenes of {args.duration:g} s")
    return 0


def scene_name(seed: int, number: int) -> SceneName:
    """How scene `number` of a data set is called; each is a day later than the one before."""
    return SceneName(
        scene=f"scene-{number:04d}",
        log=f"generated-{seed}-{number:04d}",
        start=_START + number * _DAY,
    )


def _sensors(settings: DriveSettings) -> tuple[Any, ...]:
    return sensor_rig(settings.cameras, settings.radars, settings.width, settings.height)


def _open_state(out: Path, settings: DriveSettings) -> Path:
    """The folder of what is not yet, or no longer, in the data set; cleared of half scenes."""
    state = out / _STATE
    content = json.dumps(asdict(settings), indent=1)
    if (state / _SETTINGS_FILE).exists():
        if json.loads((state / _SETTINGS_FILE).read_text()) != json.loads(content):
            raise InputError(
                f"{out}: made with other settings ({state / _SETTINGS_FILE}); "
                "give the same, or choose another folder"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is no generated drive; choose another folder")
    else:
        state.mkdir(parents=True)
        unfinished = state / f"{_SETTINGS_FILE}.part"
        unfinished.write_text(content)
        unfinished.rename(state / _SETTINGS_FILE)
    for leftover in state.glob("*.part"):
        shutil.rmtree(leftover)
    return state


def _made(task: _Task, numbers: Sequence[int], workers: int) -> Iterator[int]:
    """Make scenes; yields how many measurements were done since the last time."""
    if workers == 1:
        for number in numbers:
            yield from _make_scene(task, number)
        return
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    seen = 0
    with ProcessPoolExecutor(workers, context, _start_worker, (counter, stop)) as pool:
        try:
            pending = {pool.submit(_make_scene_in_worker, task, n) for n in numbers}
            while pending:
                finished, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                done = counter.value
                yield done - seen
                seen = done
        except BrokenProcessPool as error:
            raise InputError(
                f"{task.out}: a worker process died, perhaps for want of memory; "
                "give the same command with fewer --workers to go on"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _street_makers() -> Makers:
    """Those of `lircdepth drive`."""
    from lircdepth_core.drive.camera_renderer import CameraRenderer
    from lircdepth_core.drive.world_builder import build_world

    return Makers(build_world, CameraRenderer)


def _make_scene(task: _Task, number: int) -> Iterator[int]:
    """Make one scene in the state folder, whole or not at all; yields 1 for each measurement."""
    settings = task.settings
    name = scene_name(settings.seed, number)
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    world = task.makers.world(seed, settings.duration, _conditions(settings, seed))
    # A name of its own: an orphan of a killed run may still write to its own folder.
    unfinished = task.out / _STATE / f"{name.scene}.{os.getpid()}.part"
    unfinished.mkdir()
    # Without cameras no graphics are needed.
    with (
        task.makers.renderer(world, settings.width, settings.height)
        if settings.cameras
        else nullcontext()
    ) as renderer:
        for _ in record_scene(
            unfinished,
            name,
            world,
            _sensors(settings),
            renderer,
            keyframes_only=settings.keyframes_only,
        ):
            yield 1
    unfinished.rename(task.out / _STATE / name.scene)


def _conditions(settings: DriveSettings, seed: int) -> Conditions:
    """Those asked for; what is left open is drawn."""
    rng = np.random.default_rng(seed)
    drawn = draw_conditions(rng)
    if settings.weather is None and settings.light is None:
        return drawn
    return conditions_of(settings.weather or drawn.weather, settings.light or drawn.light, rng)


def _start_worker(counter: Any, stop: Event) -> None:
    """Set a worker process up: it ends with its parent, which alone heeds Ctrl-C."""
    global _counter, _stop
    _counter, _stop = counter, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _make_scene_in_worker(task: _Task, number: int) -> None:
    """Make one scene, counting its measurements, unless told to stop."""
    for step in _make_scene(task, number):
        with _counter.get_lock():
            _counter.value += step
        if _stop.is_set():
            return


_counter: Any = None
_stop: Any = None


def _join(out: Path, state: Path) -> None:
    """Move finished scenes into the data set and write its tables; can be broken off and redone."""
    for folder in sorted(path for path in state.iterdir() if path.is_dir()):
        for path in sorted(folder.rglob("*")):
            target = out / path.relative_to(folder)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif path.parent != folder:
                path.replace(target)
        (folder / "scene.json").replace(state / f"{folder.name}.json")
        shutil.rmtree(folder)
    scenes = {
        path.stem: json.loads(path.read_text()) for path in sorted(state.glob("scene-*.json"))
    }
    conditions = {name: scene["conditions"] for name, scene in scenes.items()}
    unfinished = out / f".{CONDITIONS_FILE}.part"
    unfinished.write_text(json.dumps(conditions, indent=1))
    unfinished.replace(out / CONDITIONS_FILE)
    write_tables(out, VERSION, (scene["rows"] for scene in scenes.values()))


def _size(text: str) -> tuple[int, int]:
    """Width and height of WxH."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1600x900")
    return int(width), int(height)


def _print_progress(done: int, total: int) -> None:
    """One line that is written over."""
    end = "\n" if done == total else ""
    print(f"\r{done} of {total} measurements", end=end, file=sys.stderr, flush=True)
