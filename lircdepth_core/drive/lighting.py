"""How bright sun, sky, air and lamps are under given conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lircdepth_core.drive.world import Conditions

_GREY = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, eq=False)
class Lighting:
    """Light in linear RGB, in units in which a sunlit white wall gives about 3.

    Attributes:
        sun: (3,) unit vector towards the sun.
        sun_light: (3,) what a surface facing it receives.
        zenith, horizon: (3,) radiance of the sky.
        ground_light: (3,) radiance of the ground as it lights what is above.
        fog_light: (3,) radiance of endless air.
        extinction: 1/m, of the air.
        clouds: 0 (blue sky) to 1 (covered).
        wet: 0 (dry) to 1 (rain).
        dark: 0 (lamps off) to 1 (lamps on at full effect).
        exposure: of the camera.
    """

    sun: np.ndarray
    sun_light: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    ground_light: np.ndarray
    fog_light: np.ndarray
    extinction: float
    clouds: float
    wet: float
    dark: float
    exposure: float


def lighting_of(conditions: Conditions, seed: int) -> Lighting:
    """The light of a scene; `seed` varies clouds and tints between scenes."""
    rng = np.random.default_rng([seed, 77])
    azimuth, elevation = conditions.sun_azimuth, conditions.sun_elevation
    sun = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    if conditions.light == "day":
        # Low sun is weaker and warmer.
        low = np.clip(1 - elevation / 0.9, 0, 1)
        sun_light = np.array([3.0, 2.85, 2.6]) * (1 - low * np.array([0.2, 0.3, 0.45]))
        zenith, horizon = np.array([0.20, 0.40, 0.86]), np.array([0.62, 0.76, 0.95])
        dark, exposure = 0.0, 0.72
    elif conditions.light == "dusk":
        sun_light = np.array([1.5, 0.72, 0.30]) * np.clip(elevation / 0.1, 0.25, 1.2)
        zenith, horizon = np.array([0.16, 0.24, 0.46]), np.array([0.72, 0.47, 0.34])
        dark, exposure = 0.55, 1.15
    else:
        sun_light = np.zeros(3)
        glow = rng.uniform(0.6, 1.3)
        zenith = np.array([0.0022, 0.0030, 0.0055]) * glow
        horizon = np.array([0.016, 0.012, 0.010]) * glow
        dark, exposure = 1.0, 3.6
    clouds = rng.uniform(0.0, 0.55)
    if conditions.weather != "clear":
        clouds = 1.0
        share = {"overcast": 0.05, "rain": 0.0, "fog": 0.03}[conditions.weather]
        mean = float(_GREY @ (0.35 * sun_light * max(sun[2], 0.15) + 0.5 * zenith + 0.5 * horizon))
        tint = np.array([0.94, 1.0, 1.07]) if conditions.light != "night" else horizon / horizon[1]
        if conditions.light == "dusk":
            tint = np.array([1.0, 0.97, 1.05])
        zenith, horizon = mean * 0.85 * tint, mean * 1.0 * tint
        sun_light = sun_light * share
        if conditions.weather == "rain":
            zenith, horizon = zenith * 0.8, horizon * 0.8
        exposure *= {"overcast": 1.0, "rain": 1.1, "fog": 0.85}[conditions.weather]
    ground_light = 0.16 * (horizon + zenith) / 2 + 0.07 * sun_light * max(sun[2], 0.0)
    fog_light = 0.3 * zenith + 0.7 * horizon + 0.02 * sun_light
    if conditions.weather == "rain":
        fog_light = fog_light * 0.85
    if conditions.light == "night":
        fog_light = fog_light * 1.8
    # Clear air too dims what is far: 5 % contrast at 25 km.
    extinction = -np.log(0.05) / min(conditions.visibility, 25_000.0)
    return Lighting(
        sun=sun,
        sun_light=sun_light,
        zenith=zenith,
        horizon=horizon,
        ground_light=ground_light,
        fog_light=fog_light,
        extinction=float(extinction),
        clouds=float(clouds),
        wet=1.0 if conditions.weather == "rain" else 0.0,
        dark=dark,
        exposure=float(exposure * rng.uniform(0.92, 1.08)),
    )
