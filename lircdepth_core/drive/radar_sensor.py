"""A 77 GHz radar over a generated world, after the Continental ARS 408-21 as nuScenes has it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lircdepth_core.drive.materials import MATERIALS
from lircdepth_core.drive.ray_casting import SCENERY, Hits, Moment
from lircdepth_core.drive.world import Conditions, Thing
from lircdepth_core.nuscenes_files import RADAR_DTYPE

MAX_RETURNS = 125
POSITION_STEP, VELOCITY_STEP, RCS_STEP = 0.2, 0.25, 0.5

LATERAL_OFFSET = -102.3
"""The sensor's message counts y in steps from here, so nuScenes' y are odd tenths of a metre."""

_FAR_VIEW, _NEAR_VIEW = np.deg2rad(9.0), np.deg2rad(60.0)
_FAR_REACH = 250.0
# The near beam's reach by azimuth: 70 m to 45 degrees, 20 m to 60 degrees.
_NEAR_REACH, _SIDE_VIEW, _SIDE_REACH = 70.0, np.deg2rad(45.0), 20.0
_HALF_HEIGHT = np.deg2rad(10.0)
_COLUMN_STEPS = (np.deg2rad(0.1), np.deg2rad(0.25))
_ROWS = 18

# Degrees: width of a beam and noise of the azimuth, by azimuth; the first in the far beam.
_BEAM_WIDTH = ([0.0, 9.0, 9.01, 45.0, 60.0], [2.4, 2.4, 3.2, 4.5, 12.3])
_AZIMUTH_NOISE = ([0.0, 9.0, 9.01, 45.0, 60.0], [0.1, 0.1, 0.3, 1.0, 5.0])
_RANGE_NOISE, _VELOCITY_NOISE = 0.08, 0.15
# Two surfaces in one beam and one of these ranges are one return; metres, near and far scan.
_RANGE_CELL = (1.2, 1.8)

# A smooth metal surface that faces the radar reflects this much per projected square metre (dB);
# one that is turned away reflects the share below, from edges, wheels and corners.
_METAL_GAIN = 16.0
_TURNED_AWAY = 0.2
_FLUCTUATION = 4.0
_LARGEST_RCS = 35.0
_SMALLEST_RCS = -5.0
# Cross-section (dBsm) that is seen half of the time at this range, and how certain more makes it.
_HALF_RANGE = {"far": (10.0, 160.0), "near": (10.0, 90.0)}
_DETECTION_SPREAD = 2.0
_ALWAYS_MISSED = 0.05
_RAIN_LOSS = 3.0
# Off a road or a wall: dB lost there and back.
_BOUNCE_LOSS = {"ground": 8.0, "wall": 12.0}
_CLUTTER = {"rain": 28.0}
_CLUTTER_DRY = 16.0

_GAIN = np.array([material.radar_gain for material in MATERIALS])
_REFLECTS = np.array([material.radar_reflects for material in MATERIALS])


@dataclass(frozen=True, eq=False)
class _Echoes:
    """What comes back: one entry per resolution cell.

    Attributes:
        distance: (N,) metres along the path, halved.
        azimuth: (N,) radians to the left.
        rcs: (N,) dBsm.
        margin: (N,) dB above what is seen half of the time.
        velocity: (N, 3) m/s over ground in the radar's axes, as the radar takes it.
        thing: (N,) index of the thing, SCENERY, or below that clutter.
        mirrored: (N,) bool, seen by way of a wall or another vehicle.
    """

    distance: np.ndarray
    azimuth: np.ndarray
    rcs: np.ndarray
    margin: np.ndarray
    velocity: np.ndarray
    thing: np.ndarray
    mirrored: np.ndarray


_CLUTTER_THING = SCENERY - 1


def radar_sweep(
    moment: Moment,
    things: tuple[Thing, ...],
    time: float,
    world_from_radar: np.ndarray,
    radar_velocity: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
) -> np.ndarray:
    """One sweep, taken at one instant.

    Rays fill the field of view (±9° to 250 m, ±45° to 70 m, ±60° to 20 m). Those that meet a
    surface directly, and those that meet one after a bounce off the ground (objects hidden behind a
    vehicle) or off a wall (ghosts), add up in cells of the radar's resolution, an object's in its
    own cells. The cross-section of a cell follows from material, projected area and aspect; it
    decides with the range whether the cell is detected. Clutter is added.

    Args:
        moment: the world at the time of the sweep.
        things: the world's.
        time: seconds, for the things' velocities.
        world_from_radar: (4, 4), x ahead, y left.
        radar_velocity: (3,) m/s of the moving radar in the world frame.
        conditions: rain weakens returns and adds clutter.
        rng: for everything that varies.

    Returns:
        (N,) of `RADAR_DTYPE` by ascending range, at most 125, in the radar's frame, z = 0. vx, vy
        are relative to the moving radar; vx_comp, vy_comp their radial part over ground.
    """
    axes = world_from_radar[:3, :3]
    found = _echoes(moment, things, time, world_from_radar, conditions, rng)
    echoes = _concatenated([found, _clutter(conditions, rng)])
    seen = rng.random(len(echoes.margin)) > _ALWAYS_MISSED
    seen &= echoes.margin > rng.logistic(0, _DETECTION_SPREAD / 2, len(echoes.margin))
    chosen = np.flatnonzero(seen)
    # With too many, stronger ones mostly win.
    rank = echoes.margin[chosen] + rng.normal(0, 6, len(chosen))
    chosen = chosen[np.argsort(-rank)[:MAX_RETURNS]]
    chosen = chosen[np.argsort(echoes.distance[chosen], kind="stable")]
    return _returns(_subset(echoes, chosen), things, time, radar_velocity @ axes, rng)


def _echoes(
    moment: Moment,
    things: tuple[Thing, ...],
    time: float,
    world_from_radar: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
) -> _Echoes:
    """Everything that reflects, directly or after one bounce, before detection."""
    axes, origin = world_from_radar[:3, :3], world_from_radar[:3, 3]
    directions, azimuth, solid_angle = _rays(rng)
    world_directions = directions @ axes.T
    direct = moment.cast(origin, world_directions, _FAR_REACH)

    met = np.flatnonzero(direct.material >= 0)
    normal = direct.normal[met].astype(np.float64)
    points = origin + world_directions[met] * direct.distance[met, None]
    incoming = world_directions[met]
    outgoing = incoming - 2 * (incoming * normal).sum(axis=1, keepdims=True) * normal
    bounced = moment.cast(points + 1e-2 * normal, outgoing, _FAR_REACH)
    ground = normal[:, 2] > 0.9

    # The last row is SCENERY's.
    velocities = np.zeros((len(things) + 1, 3))
    for index in np.union1d(direct.thing, bounced.thing):
        if index != SCENERY and things[index].moves:
            velocities[index] = things[index].velocity(time) @ axes
    # The sensor takes what comes by a wall for something behind the wall: a mirror image.
    local_normal = normal @ axes
    moving = velocities[bounced.thing]
    image = moving - 2 * (moving * local_normal).sum(axis=1, keepdims=True) * local_normal
    path = direct.distance[met] + bounced.distance
    loss = np.where(ground, _BOUNCE_LOSS["ground"], _BOUNCE_LOSS["wall"])
    # A road mirrors well at a flat angle; of a wall it depends on what that is made of.
    loss = loss - np.where(ground, 0, _GAIN[direct.material[met]] / 2)
    cells = [
        _cells(
            direct, world_directions, direct.distance, azimuth, solid_angle,
            velocities[direct.thing], np.zeros(len(azimuth)), np.zeros(len(azimuth), dtype=bool),
        ),
        _cells(
            bounced, outgoing, path, azimuth[met], solid_angle[met],
            np.where(ground[:, None], moving, image), loss, ~ground,
        ),
    ]  # fmt: skip
    echoes = _strongest_of_each_cell(_concatenated(cells))
    fluctuation = rng.normal(0, _FLUCTUATION, len(echoes.rcs))
    rain = _RAIN_LOSS if conditions.weather == "rain" else 0.0
    return replace(echoes, rcs=echoes.rcs + fluctuation, margin=echoes.margin + fluctuation - rain)


def _rays(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions (N, 3) in the radar's frame, azimuths, and solid angles times antenna gain."""
    fine, coarse = _COLUMN_STEPS
    edges = np.concatenate(
        [
            np.arange(-_NEAR_VIEW, -_FAR_VIEW - 1e-9, coarse),
            np.arange(-_FAR_VIEW, _FAR_VIEW - 1e-9, fine),
            np.arange(_FAR_VIEW, _NEAR_VIEW + 1e-9, coarse),
        ]
    )
    widths = np.diff(edges)
    columns = edges[:-1] + widths * rng.random()
    # Rows lie closer near the horizon, where distant things are.
    row_edges = _HALF_HEIGHT * np.sinh(np.linspace(-3.5, 3.5, _ROWS + 1)) / np.sinh(3.5)
    rows = row_edges[:-1] + np.diff(row_edges) * rng.random()
    azimuth, elevation = (grid.ravel() for grid in np.meshgrid(columns, rows))
    solid_angle = np.outer(np.diff(row_edges), widths).ravel() * np.cos(elevation)
    # The antenna looks to the horizon: 12 dB less, there and back, at the edges.
    solid_angle *= 10 ** (-1.2 * (elevation / _HALF_HEIGHT) ** 2)
    flat = np.cos(elevation)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], 1)
    return directions, azimuth, solid_angle


def _cells(
    hits: Hits,
    directions: np.ndarray,
    path: np.ndarray,
    azimuth: np.ndarray,
    solid_angle: np.ndarray,
    velocity: np.ndarray,
    loss: np.ndarray,
    mirrored: np.ndarray,
) -> _Echoes:
    """Rays of one object, beam and range added up to an echo at the place of the brightest."""
    degrees = np.rad2deg(np.abs(azimuth))
    far = degrees < np.rad2deg(_FAR_VIEW)
    reach = np.where(np.abs(azimuth) < _SIDE_VIEW, _NEAR_REACH, _SIDE_REACH)
    reach = np.where(far, _FAR_REACH, reach)
    kept = np.flatnonzero(_REFLECTS[hits.material] & (hits.material >= 0) & (path < reach))
    if not len(kept):
        return _subset(_NOTHING, kept)
    path, azimuth, degrees, far = path[kept], azimuth[kept], degrees[kept], far[kept]
    incidence = np.abs((hits.normal[kept] * directions[kept]).sum(axis=1))
    aspect = _TURNED_AWAY + (1 - _TURNED_AWAY) * incidence**8
    decibels = _METAL_GAIN + _GAIN[hits.material[kept]] - loss[kept]
    brightness = aspect * 10 ** (decibels / 10)
    power = solid_angle[kept] * path**2 * brightness

    beam = np.round(np.rad2deg(azimuth) / np.interp(degrees, *_BEAM_WIDTH)).astype(int)
    gate = np.floor(path / np.where(path < _NEAR_REACH, *_RANGE_CELL)).astype(int)
    thing = hits.thing[kept]
    _, cell = np.unique(_key(thing, mirrored[kept], beam, gate), return_inverse=True)
    total = np.bincount(cell, power)
    order = np.lexsort((-brightness, cell))
    first = order[np.searchsorted(cell[order], np.arange(len(total)))]
    rcs = np.minimum(10 * np.log10(total), _LARGEST_RCS)
    path, far = path[first], far[first]
    return _Echoes(
        distance=path.astype(np.float64),
        azimuth=azimuth[first],
        rcs=rcs,
        margin=rcs - _needed(path, far),
        velocity=velocity[kept[first]],
        thing=thing[first],
        mirrored=mirrored[kept[first]],
    )


def _key(thing: np.ndarray, mirrored: np.ndarray, beam: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """(N,) int64 that are equal where all are; beams are within ±500, gates below 1000."""
    return ((thing.astype(np.int64) * 2 + mirrored) * 1000 + beam + 500) * 1000 + gate


def _needed(distance: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Cross-section in dBsm that is detected half of the time; far off it grows with range^4."""
    rcs = np.where(far, _HALF_RANGE["far"][0], _HALF_RANGE["near"][0])
    half = np.where(far, _HALF_RANGE["far"][1], _HALF_RANGE["near"][1])
    return np.maximum(rcs + 40 * np.log10(np.maximum(distance, 1.0) / half), _SMALLEST_RCS)


def _strongest_of_each_cell(echoes: _Echoes) -> _Echoes:
    """One echo where an object is met on more than one path."""
    beam = np.round(np.rad2deg(echoes.azimuth)).astype(int)
    gate = np.floor(echoes.distance).astype(int)
    order = np.argsort(-echoes.margin, kind="stable")
    keys = _key(echoes.thing, echoes.mirrored, beam, gate)[order]
    _, first = np.unique(keys, return_index=True)
    return _subset(echoes, np.sort(order[first]))


def _clutter(conditions: Conditions, rng: np.random.Generator) -> _Echoes:
    """Weak echoes of nothing that anyone would call an object, mostly near."""
    count = rng.poisson(_CLUTTER.get(conditions.weather, _CLUTTER_DRY))
    return _Echoes(
        distance=rng.uniform(3, 12, count) + rng.exponential(15, count),
        azimuth=rng.uniform(-_SIDE_VIEW, _SIDE_VIEW, count),
        rcs=rng.uniform(-5, 6, count),
        margin=rng.uniform(-3, 12, count),
        velocity=np.where(rng.random((count, 1)) < 0.8, 0.0, 1.0) * rng.normal(0, 5, (count, 3)),
        thing=np.full(count, _CLUTTER_THING),
        mirrored=np.zeros(count, dtype=bool),
    )


def _returns(
    echoes: _Echoes,
    things: tuple[Thing, ...],
    time: float,
    radar_velocity: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Echoes as the sensor reports them: with its noise, in its steps, with its state fields."""
    count = len(echoes.distance)
    degrees = np.rad2deg(np.abs(echoes.azimuth))
    distance = echoes.distance + rng.normal(0, _RANGE_NOISE, count)
    noise = np.deg2rad(np.interp(degrees, *_AZIMUTH_NOISE))
    azimuth = np.clip(echoes.azimuth + noise * rng.normal(size=count), -_NEAR_VIEW, _NEAR_VIEW)
    x = _stepped(distance * np.cos(azimuth), POSITION_STEP)
    y = _stepped(distance * np.sin(azimuth) - LATERAL_OFFSET, POSITION_STEP) + LATERAL_OFFSET
    relative = (echoes.velocity - radar_velocity)[:, :2]
    relative = _stepped(relative + rng.normal(0, _VELOCITY_NOISE, (count, 2)), VELOCITY_STEP)
    position = np.stack([x, y], axis=1)
    compensated = compensated_velocity(position, relative, radar_velocity[:2])

    returns = np.zeros(count, RADAR_DTYPE)
    returns["x"], returns["y"] = x, y
    returns["vx"], returns["vy"] = relative.T
    returns["vx_comp"], returns["vy_comp"] = compensated.T
    returns["rcs"] = _stepped(echoes.rcs, RCS_STEP)
    returns["id"] = np.arange(count)
    returns["dyn_prop"] = _dynamics(echoes, things, time, rng)
    _fill_states(returns, echoes, rng)
    return returns


def compensated_velocity(
    position: np.ndarray, relative: np.ndarray, radar_velocity: np.ndarray
) -> np.ndarray:
    """NuScenes' vx_comp, vy_comp: the radial part of the velocity over ground.

    Args:
        position: (N, 2) x, y in the radar's frame.
        relative: (N, 2) vx, vy relative to the moving radar.
        radar_velocity: (2,) of the radar over ground, in its own axes.

    Returns:
        (N, 2) ((v + v_radar)·r̂)·r̂.
    """
    ray = position / np.linalg.norm(position, axis=1, keepdims=True)
    return ((relative + radar_velocity) * ray).sum(axis=1, keepdims=True) * ray + 0.0


def _dynamics(
    echoes: _Echoes, things: tuple[Thing, ...], time: float, rng: np.random.Generator
) -> np.ndarray:
    """dyn_prop: 0 moving, 1 stationary, 2 oncoming, 3 stationary candidate, 4 unknown,
    6 crossing moving, 7 stopped.
    """
    velocity = echoes.velocity[:, :2]
    speed = np.linalg.norm(velocity, axis=1)
    ray = np.stack([np.cos(echoes.azimuth), np.sin(echoes.azimuth)], axis=1)
    radial = (velocity * ray).sum(axis=1)
    may_move = np.array([thing.moves for thing in things] + [False, False])[echoes.thing]
    standing = np.where(rng.random(len(speed)) < 0.65, 1, 3)
    return np.select(
        [
            (echoes.thing == _CLUTTER_THING) & (speed > 0.5),
            (speed > 0.5) & (np.abs(radial) < 0.3 * speed),
            (speed > 0.5) & (radial < 0) & (velocity[:, 0] < 0),
            speed > 0.5,
            may_move,
        ],
        [4, 6, 2, 0, 7],
        standing,
    )


def _fill_states(returns: np.ndarray, echoes: _Echoes, rng: np.random.Generator) -> None:
    """Quality fields: sure for strong echoes, doubtful for weak, mirrored and stray ones."""
    count = len(returns)
    doubtful = (echoes.margin < 4) | (echoes.thing == _CLUTTER_THING)
    doubtful |= np.rad2deg(np.abs(echoes.azimuth)) > 50
    chance = rng.random(count)
    # 4: low cross-section, valid; 1: the same, invalid; 11: no local maximum; 16: several targets.
    reason = rng.choice([0, 1, 4, 11, 16], count, p=[0.3, 0.25, 0.25, 0.1, 0.1])
    returns["invalid_state"] = np.where(doubtful, reason, 0)
    # 6: mirror image; the sensor knows only some of them.
    returns["invalid_state"][echoes.mirrored & (chance < 0.5)] = 6
    # 3: unambiguous; 4: stationary candidate; 1: ambiguous; 2: staggered ramp.
    unsure = rng.choice([1, 2, 4], count)
    returns["ambig_state"] = np.where(chance < np.where(doubtful, 0.4, 0.95), 3, unsure)
    # 1: false alarm below 25 %, 2 to 5: up to 50, 75, 90 and 99 %.
    returns["pdh0"] = np.where(
        doubtful | echoes.mirrored,
        rng.choice([1, 2, 3, 4, 5], count, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
        1,
    )
    returns["is_quality_valid"] = 1
    # Codes of a logarithmic scale: 19 is 0.6 m or m/s, 16 is 0.3, 3 is 0.01.
    edge = (np.abs(echoes.azimuth) > np.deg2rad(30)).astype(int)
    returns["x_rms"] = 19 + (rng.random(count) < 0.2) + doubtful
    returns["y_rms"] = 19 + (rng.random(count) < 0.2) + edge
    returns["vx_rms"] = 16 + (rng.random(count) < 0.2) + edge
    returns["vy_rms"] = 3


def _stepped(values: np.ndarray, step: float) -> np.ndarray:
    """Values as multiples of a step."""
    return np.round(values / step) * step + 0.0  # no negative zeros


def _subset(echoes: _Echoes, chosen: np.ndarray) -> _Echoes:
    return _Echoes(**{name: values[chosen] for name, values in vars(echoes).items()})


def _concatenated(parts: list[_Echoes]) -> _Echoes:
    return _Echoes(
        **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )


_NOTHING = _Echoes(
    np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 3)),
    np.zeros(0, dtype=int), np.zeros(0, dtype=bool),
)  # fmt: skip
