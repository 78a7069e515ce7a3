"""A 32-beam lidar over a generated world, after the Velodyne HDL-32E."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lircdepth_core.drive.materials import MATERIALS
from lircdepth_core.drive.ray_casting import Moment
from lircdepth_core.drive.world import Conditions

ELEVATIONS = np.deg2rad(np.linspace(-30.67, 10.67, 32))
"""Of the beams, lowest first, as nuScenes numbers its rings."""

COLUMNS = 1084
"""Shots of each beam in a sweep."""

_REACH = 105.0
_RANGE_NOISE = 0.02
# A surface of 10 % reflectivity facing the lidar in clear air is seen half of the time here.
_HALF_RANGE_AT_TENTH = 70.0
_LOST = 0.01
_LOST_IN_RAIN = 0.06
_WET_REFLECTIVITY = 0.6
# Share of shots that come back from drops or mist close by.
_BACKSCATTER = {"rain": 0.01, "fog": 0.03}
# The vehicle's roof in the lidar's frame (x right, y ahead): x, y, z from and to.
_BODY = ((-0.5, 0.5), (-1.0, 0.75), (-0.45, -0.30))

_REFLECTIVITY = np.array([material.reflectivity for material in MATERIALS])


def lidar_sweep(
    moment: Moment,
    world_from_lidar: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
) -> np.ndarray:
    """A full turn, taken at one instant (nuScenes' sweeps are corrected for the motion as well).

    A shot comes back by the power received: reflectivity and incidence over squared distance,
    dimmed by fog. Range noise is 2 cm; the vehicle's own body hides what is below it.

    Args:
        moment: the world at the time of the sweep.
        world_from_lidar: (4, 4); the lidar's frame is nuScenes', x right, y ahead, z up.
        conditions: rain and fog lose shots and give some of their own.
        rng: for noise and losses.

    Returns:
        (N, 5) float32: x, y, z in metres in the lidar's frame, intensity 0 to 255, ring.
    """
    phase = rng.uniform(-np.pi, np.pi) / COLUMNS
    directions, ring = _beams()
    cos, sin = np.cos(phase), np.sin(phase)
    directions = directions @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    axes, origin = world_from_lidar[:3, :3], world_from_lidar[:3, 3]
    hits = moment.cast(origin, directions @ axes.T, _REACH)

    met = hits.material >= 0
    distance = np.where(met, hits.distance, _REACH).astype(np.float64)
    incidence = np.abs((hits.normal * (directions @ axes.T)).sum(axis=1))
    reflectivity = np.where(met, _REFLECTIVITY[hits.material], 0)
    if conditions.weather == "rain":
        reflectivity = np.where(hits.normal[:, 2] > 0.9, _WET_REFLECTIVITY, 1) * reflectivity
    # Rough surfaces: between Lambert's cosine and none.
    reflectivity = reflectivity * np.sqrt(incidence)
    # Koschmieder: contrast falls to 5 % at the visibility, and light goes there and back.
    dimming = 2 * -np.log(0.05) / conditions.visibility * distance
    power = np.log(np.maximum(reflectivity, 1e-9) / 0.1) - dimming
    power -= 2 * np.log(np.maximum(distance, 0.1) / _HALF_RANGE_AT_TENTH)
    lost = _LOST_IN_RAIN if conditions.weather == "rain" else _LOST
    seen = met & (power > rng.logistic(0, 0.2, len(power))) & (rng.random(len(power)) > lost)
    distance += rng.normal(0, _RANGE_NOISE, len(distance))
    intensity = 100 * reflectivity * rng.lognormal(0, 0.15, len(distance))
    # Retroreflectors return more than any diffuse surface.
    intensity = np.where(_REFLECTIVITY[hits.material] > 0.9, 2.5 * intensity, intensity)

    stray = rng.random(len(distance)) < _BACKSCATTER.get(conditions.weather, 0.0)
    stray_distance = 1.5 + rng.exponential(2.5, len(distance))
    stray &= stray_distance < distance
    distance = np.where(stray, stray_distance, distance)
    intensity = np.where(stray, rng.uniform(0, 4, len(distance)), intensity)
    seen |= stray

    points = np.column_stack(
        [directions * distance[:, None], np.clip(np.floor(intensity), 0, 255), ring]
    )
    return points[seen].astype(np.float32)


@lru_cache(maxsize=1)
def _beams() -> tuple[np.ndarray, np.ndarray]:
    """Directions (N, 3) that the vehicle's body leaves free, and the ring of each."""
    turn = 2 * np.pi * np.arange(COLUMNS) / COLUMNS
    elevation, azimuth = (grid.ravel() for grid in np.meshgrid(ELEVATIONS, turn, indexing="ij"))
    flat = np.cos(elevation)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], 1)
    ring = np.repeat(np.arange(len(ELEVATIONS)), COLUMNS)
    # A box is met where the intervals in which the ray is between its planes overlap.
    with np.errstate(divide="ignore"):
        planes = np.array(_BODY)[None] / directions[:, :, None]
    enters, leaves = planes.min(axis=2).max(axis=1), planes.max(axis=2).min(axis=1)
    free = ~((leaves > 0) & (enters < leaves))
    return directions[free], ring[free]
