"""What rays meet in a world of boxes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import START, car, street_block, tiny_world

from lircdepth_core.drive.materials import INDEX
from lircdepth_core.drive.ray_casting import SCENERY, RayCaster

ORIGIN = np.array([*START, 1.0])


def test_rays_meet_the_nearest_surface_and_name_it() -> None:
    world = tiny_world([car(20, 0), car(30, 0)], static=[street_block(-15, -2, (5, 4, 3))])
    ahead, back, down, up = [1.0, 0, 0], [-1.0, 0, 0], [0, 0, -1.0], [0, 0, 1.0]
    hits = RayCaster(world).at(0.0).cast(ORIGIN, np.array([ahead, back, down, up]))
    np.testing.assert_allclose(hits.distance, [17.8, 10, 1, np.inf], rtol=1e-5)
    assert hits.thing.tolist() == [0, SCENERY, SCENERY, SCENERY]
    assert hits.material.tolist() == [INDEX["car paint"], INDEX["brick"], INDEX["asphalt"], -1]
    # Normals are unit, on the ray's side.
    np.testing.assert_allclose(hits.normal, [back, ahead, up, [0, 0, 0]], atol=1e-6)


def test_moving_things_are_where_they_are_at_the_time() -> None:
    caster = RayCaster(tiny_world([car(20, 0, speed=10), car(60, 0)]))
    for time, distance in ((0.0, 17.8), (0.5, 22.8), (1.0, 27.8)):
        hits = caster.at(time).cast(ORIGIN, np.array([[1.0, 0, 0]]))
        assert hits.distance[0] == pytest.approx(distance, rel=1e-5)
        assert hits.thing[0] == 0


def test_nothing_is_met_beyond_the_reach() -> None:
    moment = RayCaster(tiny_world([car(20, 0)])).at(0.0)
    assert np.isinf(moment.cast(ORIGIN, np.array([[1.0, 0, 0]]), reach=17.0).distance[0])
    assert moment.cast(ORIGIN, np.array([[1.0, 0, 0]]), reach=18.0).thing[0] == 0


def test_no_rays_and_no_things_are_fine() -> None:
    assert len(RayCaster(tiny_world()).at(0.0).cast(ORIGIN, np.zeros((0, 3))).distance) == 0
