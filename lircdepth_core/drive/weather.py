"""Draws the weather and light of a scene."""

from __future__ import annotations

import math

import numpy as np

from lircdepth_core.drive.world import Conditions

WEATHERS = ("clear", "overcast", "rain", "fog")
LIGHTS = ("day", "dusk", "night")


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Conditions as they may be on any day: mostly clear or overcast days."""
    weather = str(rng.choice(WEATHERS, p=[0.45, 0.25, 0.18, 0.12]))
    light = str(rng.choice(LIGHTS, p=[0.6, 0.18, 0.22]))
    return conditions_of(weather, light, rng)


def conditions_of(weather: str, light: str, rng: np.random.Generator) -> Conditions:
    """Conditions of a kind: sun and visibility are drawn."""
    elevation = {
        "day": rng.uniform(0.35, 1.05),
        "dusk": rng.uniform(0.035, 0.14),
        "night": rng.uniform(-0.6, -0.2),
    }[light]
    visibility = {
        "clear": math.inf,
        "overcast": rng.uniform(4000, 9000),
        "rain": rng.uniform(1200, 4000),
        "fog": rng.uniform(80, 260),
    }[weather]
    return Conditions(
        weather=weather,
        light=light,
        sun_azimuth=float(rng.uniform(0, 2 * np.pi)),
        sun_elevation=float(elevation),
        visibility=float(visibility),
    )
