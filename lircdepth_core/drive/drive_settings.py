"""What a generated data set is made with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from lircdepth_core.drive.nuscenes_tables import Sensor
from lircdepth_core.drive.scene_recorder import Renderer, SceneName
from lircdepth_core.drive.sensor_rig import (
    CAMERAS,
    FIRST_SAMPLE,
    LAST_SAMPLE,
    RADARS,
    SWEEPS,
    Sweeps,
    sensor_rig,
)
from lircdepth_core.drive.weather import LIGHTS, WEATHERS, conditions_of, draw_conditions
from lircdepth_core.drive.world import Conditions, World
from lircdepth_core.errors import InputError
from lircdepth_core.extras import not_installed

_START = 1_577_836_800_000_000
_DAY = 86_400_000_000
MOST_SCENES = 6593
"""Of a data set: each is a day later, and later stamps than 2038 are none to readers."""


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
        sweeps: of which sensors there are measurements between the key frames: `all`, the
            `lidar`, which is what `lircdepth prepare` makes use of, or `none`.
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
    sweeps: Sweeps = "all"
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
            ("sweeps", [self.sweeps], SWEEPS),
        ):
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise InputError(f"no {what} {', '.join(unknown)}; choose from {', '.join(known)}")

    def sensors(self) -> tuple[Sensor, ...]:
        """The vehicle's."""
        return sensor_rig(self.cameras, self.radars, self.width, self.height)

    def scene_name(self, number: int) -> SceneName:
        """How scene `number` is called; each is a day later than the one before."""
        return SceneName(
            scene=f"scene-{number:04d}",
            log=f"generated-{self.seed}-{number:04d}",
            start=_START + number * _DAY,
        )

    def scene_seed(self, number: int) -> int:
        """What the world of scene `number` follows from."""
        return int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])

    def scene_conditions(self, number: int) -> Conditions:
        """Weather and light of scene `number`: those asked for; what is left open is drawn."""
        rng = np.random.default_rng(self.scene_seed(number))
        drawn = draw_conditions(rng)
        if self.weather is None and self.light is None:
            return drawn
        return conditions_of(self.weather or drawn.weather, self.light or drawn.light, rng)


@dataclass(frozen=True)
class Makers:
    """What makes worlds and their images.

    Attributes:
        world: (seed, duration in seconds, conditions) -> World.
        renderer: (world, width, height) -> context manager that gives a Renderer.
    """

    world: Callable[[int, float, Conditions], World]
    renderer: Callable[[World, int, int], AbstractContextManager[Renderer]]


def street_makers() -> Makers:
    """Those of `lircdepth drive`.

    Raises:
        InputError: a package that they need is not installed.
    """
    try:
        from lircdepth_core.drive.camera_renderer import CameraRenderer
        from lircdepth_core.drive.world_builder import build_world
    except ImportError as error:
        raise InputError(not_installed(error.name, "drive")) from error
    return Makers(build_world, CameraRenderer)
