"""Builds the world of one scene from its seed."""

from __future__ import annotations

import numpy as np
import shapely

from lircdepth_core.drive.mesh_builder import merged
from lircdepth_core.drive.road_surface import ground_mesh
from lircdepth_core.drive.road_users import cast_road_users
from lircdepth_core.drive.roads import plan_roads
from lircdepth_core.drive.scenery import Character, build_scenery
from lircdepth_core.drive.terrain import Terrain
from lircdepth_core.drive.weather import draw_conditions
from lircdepth_core.drive.world import Conditions, World
from lircdepth_core.errors import InputError


def build_world(seed: int, duration: float, conditions: Conditions | None = None) -> World:
    """A scene of its own: streets, buildings, traffic, an ego vehicle's drive, weather.

    Args:
        seed: all follows from it; with the same duration and conditions it gives the same world.
        duration: seconds; poses are defined up to 3 s before and after.
        conditions: weather and light; None: drawn from the seed.

    Raises:
        InputError: `duration` is not positive or longer than 120 s.
    """
    if not 0 < duration <= 120:
        raise InputError(f"duration: {duration} s; give more than 0 and at most 120")
    # A generator for each part, so that a change in one does not change the others.
    land, roads, users, scenery, weather = (
        np.random.default_rng([seed, part]) for part in range(5)
    )
    if conditions is None:
        conditions = draw_conditions(weather)
    downtown, green, busy = land.uniform(0, 1), land.uniform(0, 1), land.uniform(0.1, 1)
    length = 300.0 + 11.0 * (duration + 6)
    terrain = Terrain(land, float(land.uniform(0.0, 0.055)), max(300.0, length / 2 + 60))
    network = plan_roads(roads, length, downtown)
    cast = cast_road_users(users, network, terrain, duration, busy)
    way = shapely.LineString(
        [cast.ego_pose(time)[:2, 3] for time in np.arange(0, duration + 1.0, 1.0)]
        + [(cast.ego_pose(duration) @ (0.5, 0, 0, 1))[:2]]
    )
    scene = build_scenery(scenery, network, terrain, way, Character(downtown, green), cast.signals)
    land_material = "paving" if land.random() < downtown - 0.35 else "grass"
    return World(
        seed=seed,
        duration=duration,
        static=merged([ground_mesh(network, terrain, land_material), scene.mesh]),
        things=cast.things,
        ego_pose=cast.ego_pose,
        conditions=conditions,
        lamps=scene.lamps,
    )
