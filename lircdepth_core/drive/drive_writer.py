"""Generated drives as a nuScenes data set: `write_drive` and the command `lircdepth drive`."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lircdepth_core.arguments import image_size
from lircdepth_core.drive.drive_settings import (
    MOST_SCENES,
    DriveSettings,
    Makers,
    street_makers,
)
from lircdepth_core.drive.nuscenes_tables import write_tables
from lircdepth_core.drive.scene_pool import make_scenes
from lircdepth_core.drive.scene_recorder import scene_measurements
from lircdepth_core.drive.sensor_rig import CAMERAS, RADARS, SWEEPS
from lircdepth_core.drive.weather import LIGHTS, WEATHERS
from lircdepth_core.errors import InputError, first_line
from lircdepth_core.output_folder import output_folder
from lircdepth_core.plain_json import parse_plain_json
from lircdepth_core.processors import usable_processors
from lircdepth_core.progress import Progress
from lircdepth_core.result_files import naming_file, write_atomically
from lircdepth_core.sole_process import sole_process

VERSION = "v1.0-mini"
CONDITIONS_FILE = "conditions.json"

# Holds the settings, the finished scenes' rows and what is being written.
DRIVE_FORMAT = 1
"""Counts up with every change of what the same settings give, so that no data set mixes them; at
first it was not written."""

_STATE = ".drive"
_SETTINGS_FILE = "settings.json"


def write_drive(
    out: Path,
    settings: DriveSettings | None = None,
    *,
    scenes: int = 1,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    makers: Makers | None = None,
) -> int:
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

    Returns:
        How many scenes the data set has now, those of earlier calls included.

    Raises:
        InputError: `out` cannot be written, holds something else or something damaged or is
            another process's at work, or a package that drives need is missing.
    """
    settings = settings or DriveSettings()
    if not 1 <= scenes <= MOST_SCENES:
        raise InputError(f"scenes {scenes}: give 1 to {MOST_SCENES}")
    if workers is not None and workers < 1:
        raise InputError(f"workers {workers}: give at least 1")
    makers = makers or street_makers()
    state = _state_folder(out, settings)
    with sole_process(state):
        _clear(state)
        names = [settings.scene_name(number).scene for number in range(1, scenes + 1)]
        missing = [
            number
            for number, name in enumerate(names, start=1)
            if not ((state / f"{name}.json").exists() or (state / name).exists())
        ]
        per_scene = scene_measurements(settings.sensors(), settings.duration, settings.sweeps)
        workers = workers or usable_processors()
        done = per_scene * (scenes - len(missing))
        for step in make_scenes(state, settings, makers, missing, workers):
            done += step
            if progress:
                progress(done, per_scene * scenes)
        with naming_file(out):
            return _join(out, state)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth drive`."""
    parser.epilog = (
        "Beside the nuScenes folders stand depth/, the exact depth of every image, and "
        "conditions.json, the weather and light of every scene. Cameras are rendered with OpenGL; "
        "Debian and Ubuntu have it in the packages libegl1 and libgl1-mesa-dri."
    )
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
        type=image_size,
        default=(default.width, default.height),
        metavar="WxH",
        help="of the images; intrinsics are scaled with it (default: 1600x900)",
    )
    parser.add_argument(
        "--sweeps",
        choices=SWEEPS,
        default=default.sweeps,
        help="of which sensors there are measurements between the key frames (2 Hz); for training, "
        "lidar is enough, and faster (default: %(default)s)",
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
        cameras=_in_order(args.cameras, CAMERAS),
        radars=_in_order(args.radars, RADARS),
        width=width,
        height=height,
        sweeps=args.sweeps,
        weather=args.weather,
        light=args.light,
    )
    count = write_drive(
        args.out,
        settings,
        scenes=args.scenes,
        workers=args.workers,
        progress=Progress("measurements"),
    )
    scenes = "1 scene" if count == 1 else f"{count} scenes"
    print(f"{args.out}: {VERSION}, {scenes} of {args.duration:g} s")
    return 0


def _state_folder(out: Path, settings: DriveSettings) -> Path:
    """The folder of what is not yet, or no longer, in the data set."""
    state = out / _STATE
    content = json.dumps({"format": DRIVE_FORMAT, **asdict(settings)}, indent=1)
    if (state / _SETTINGS_FILE).exists():
        if _read_settings(state / _SETTINGS_FILE) != json.loads(content):
            raise InputError(
                f"{out}: made with other settings ({state / _SETTINGS_FILE}), or by another "
                "version of this program; give the same, or choose another folder"
            )
    elif out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {_STATE}):
        raise InputError(f"{out}: exists and is no generated drive; choose another folder")
    else:
        with output_folder(state):
            write_atomically(state / _SETTINGS_FILE, content)
    return state


def _clear(state: Path) -> None:
    """Remove what a killed run left: half scenes, and folders whose files had all been moved."""
    joined = [state / path.stem for path in state.glob("scene-*.json")]
    for leftover in [
        *state.glob("scene-*.part"),
        *(folder for folder in joined if folder.exists()),
    ]:
        shutil.rmtree(leftover)
    # All are read again at the end, but that may be hours later.
    for path in sorted(state.glob("scene-*")):
        _read_scene(path / "scene.json" if path.is_dir() else path)


def _read_settings(path: Path) -> Any:
    """What an earlier call was given."""
    try:
        settings = parse_plain_json(path.read_bytes())
        return {"format": 1} | settings if isinstance(settings, dict) else settings
    except ValueError as error:
        raise InputError(
            f"{path}: damaged ({first_line(error)}), so that no scenes can be added; choose "
            "another folder"
        ) from error


def _read_scene(path: Path) -> dict[str, Any]:
    """Rows and conditions of a finished scene."""
    try:
        scene = parse_plain_json(path.read_bytes())
        rows = [row for table in scene["rows"].values() for row in table]
        named = all(isinstance(row["token"], str) for row in rows)
        if named and isinstance(scene["conditions"], dict):
            return scene
        reason = "rows and conditions are missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = first_line(error)
    scene_files = path if path.name != "scene.json" else path.parent
    raise InputError(
        f"{path}: damaged ({reason}); remove {scene_files} and give the same command again, which "
        "makes the scene anew"
    )


def _join(out: Path, state: Path) -> int:
    """Move finished scenes into the data set and write its tables; can be broken off and redone.

    Returns:
        How many scenes the data set has.
    """
    for folder in sorted(path for path in state.iterdir() if path.is_dir()):
        for path in sorted(folder.rglob("*")):
            target = out / path.relative_to(folder)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif path.parent != folder:
                path.replace(target)
        (folder / "scene.json").replace(state / f"{folder.name}.json")
        shutil.rmtree(folder)
    scenes = {path.stem: _read_scene(path) for path in sorted(state.glob("scene-*.json"))}
    conditions = {name: scene["conditions"] for name, scene in scenes.items()}
    write_atomically(out / CONDITIONS_FILE, json.dumps(conditions, indent=1))
    write_tables(out, VERSION, (scene["rows"] for scene in scenes.values()))
    return len(scenes)


def _in_order(chosen: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """What was chosen, once each and in the order of what is known, so that settings compare."""
    return tuple(sorted(set(chosen), key=lambda name: [*known, name].index(name)))
