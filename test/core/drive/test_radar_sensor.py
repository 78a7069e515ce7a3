"""The radar in small worlds, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("embreex", reason="needs the extra 'drive'")

from tiny_world import CLEAR, car, placed, street_block, tiny_world

from lircdepth_core.drive.radar_sensor import (
    LATERAL_OFFSET,
    MAX_RETURNS,
    compensated_velocity,
    radar_sweep,
)
from lircdepth_core.drive.ray_casting import RayCaster
from lircdepth_core.drive.world import World

# The radar sits where the vehicle starts, 0.5 m up, looking along x.
RADAR = placed(0, 0)
RADAR[2, 3] = 0.5
POST = (0.4, 0.4, 3.0)


def sweeps(world: World, velocity: tuple[float, float] = (10.0, 0.0), count: int = 20):
    """All returns of several sweeps at time 0, and how many each sweep has."""
    moment = RayCaster(world).at(0.0)
    rng = np.random.default_rng(1)
    found = [
        radar_sweep(
            moment, world.things, 0.0, RADAR, np.array([*velocity, 0.0]), world.conditions, rng
        )
        for _ in range(count)
    ]
    return np.concatenate(found), [len(one) for one in found]


def near(returns: np.ndarray, x: float, y: float, reach: float = 1.5) -> np.ndarray:
    """The returns about a place."""
    return returns[np.hypot(returns["x"] - x, returns["y"] - y) < reach]


def test_compensation_is_the_radial_part_of_the_velocity_over_ground() -> None:
    position = np.array([[30.0, 40.0], [10.0, 0.0], [10.0, 0.0]])
    # A standing return; a car driving ahead 5 m/s faster; one crossing to the left at 8 m/s.
    relative = np.array([[-10.0, 0.0], [5.0, 0.0], [-10.0, 8.0]])
    compensated = compensated_velocity(position, relative, np.array([10.0, 0.0]))
    np.testing.assert_allclose(compensated, [[0, 0], [15, 0], [0, 0]], atol=1e-12)
    # A yawing radar: v + v_sensor = (0, 2), r = (0.6, 0.8), radial 1.6.
    (one,) = compensated_velocity(position[:1], np.array([[-10.0, 1.0]]), np.array([10.0, 1.0]))
    np.testing.assert_allclose(one, [0.96, 1.28])


def test_a_standing_return_far_off_axis_reads_minus_ego_velocity() -> None:
    returns, _ = sweeps(tiny_world(static=[street_block(30, 25, POST, "metal")]))
    post = near(returns, 30, 25)
    assert len(post) >= 15
    assert np.mean(post["vx"]) == pytest.approx(-10, abs=0.15)
    assert np.mean(post["vy"]) == pytest.approx(0, abs=0.15)
    assert np.abs(post["vx_comp"]).max() < 0.6
    assert set(post["dyn_prop"]) <= {1, 3}


def test_a_moving_target_has_its_relative_velocity_and_radial_compensation() -> None:
    # A car 20 m ahead and 10 m to the left drives ahead at 15 m/s.
    returns, _ = sweeps(tiny_world([car(22.2, 10, speed=15)]))
    found = near(returns, 22.2, 10, reach=3.5)
    assert np.median(found["vx"]) == pytest.approx(5)
    assert np.median(found["vy"]) == pytest.approx(0)
    ray = np.stack([found["x"], found["y"]], axis=1)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    radial = (found["vx"] + 10) * ray[:, 0] + found["vy"] * ray[:, 1]
    np.testing.assert_allclose(found["vx_comp"], radial * ray[:, 0], atol=1e-4)
    np.testing.assert_allclose(found["vy_comp"], radial * ray[:, 1], atol=1e-4)
    assert np.mean(found["dyn_prop"] == 0) > 0.9


def test_oncoming_crossing_and_waiting_things_are_told_apart() -> None:
    for thing, expected in (
        (car(30, 0, speed=10, yaw=np.pi), 2),
        (car(30, 0, speed=10, yaw=np.pi / 2), 6),
    ):
        returns, _ = sweeps(tiny_world([thing]))
        assert np.mean(near(returns, 30, 0, reach=3)["dyn_prop"] == expected) > 0.9


def test_values_come_in_the_sensors_steps_and_heights_are_zero() -> None:
    world = tiny_world([car(20, 2, speed=5)], static=[street_block(5, 8, (60, 5, 8), "metal")])
    returns, _ = sweeps(world)
    for values, step in (
        (returns["x"], 0.2),
        (returns["y"] - LATERAL_OFFSET, 0.2),
        (returns["vx"], 0.25),
        (returns["vy"], 0.25),
        (returns["rcs"], 0.5),
    ):
        np.testing.assert_allclose(values, np.round(values / step) * step, atol=2e-5)
    assert not returns["z"].any()
    for name, low, high in (
        ("dyn_prop", 0, 7),
        ("ambig_state", 0, 4),
        ("invalid_state", 0, 17),
        ("pdh0", 1, 7),
        ("is_quality_valid", 1, 1),
        ("x_rms", 0, 31),
    ):
        assert low <= returns[name].min() <= returns[name].max() <= high
    # The devkit's default filters keep most, not all.
    kept = (returns["invalid_state"] == 0) & (returns["ambig_state"] == 3)
    assert 0.4 < kept.mean() < 0.95


def test_a_sweep_has_at_most_125_returns_in_the_order_of_their_range() -> None:
    posts = [street_block(x, y, POST, "metal") for x in range(6, 66, 4) for y in range(-20, 21, 2)]
    returns, counts = sweeps(tiny_world(static=posts), count=3)
    assert counts == [MAX_RETURNS] * 3
    assert returns["id"].tolist() == list(range(MAX_RETURNS)) * 3
    distance = np.hypot(returns["x"], returns["y"])[:MAX_RETURNS]
    assert np.diff(distance).min() > -2


def test_posts_are_seen_only_within_the_far_and_near_beams() -> None:
    metal = (4.0, 4.0, 4.0)
    places = {
        (180, 0): True,  # far beam
        (120, 60): False,  # 26 degrees, beyond the near beam's 70 m
        (40, 35): True,  # 41 degrees, 53 m
        (20, 24): False,  # 50 degrees, beyond 20 m
        (8, 11): True,  # 54 degrees, 14 m
        (2, 14): False,  # 67 degrees
        (-10, 0): False,  # behind
    }
    for (x, y), seen in places.items():
        world = tiny_world(static=[street_block(x, y, metal, "metal")])
        returns, _ = sweeps(world)
        strong = returns[(returns["rcs"] > 8)]
        found = near(strong, x + 1, y + 1, reach=6)
        assert (len(found) > 5) == seen, (x, y)


def test_strength_follows_kind_and_aspect() -> None:
    side, oblique, rear = (
        np.median(near(sweeps(tiny_world([car(25, 0, yaw=yaw)]))[0], 25, 0, reach=3)["rcs"].max())
        for yaw in (np.pi / 2, np.pi / 4, 0.0)
    )
    assert side > oblique
    assert rear > oblique
    person = near(
        sweeps(tiny_world(static=[street_block(25, 0, (0.4, 0.5, 1.7), "fabric")]))[0], 25, 0
    )
    assert len(person) >= 10
    assert np.median(person["rcs"]) < rear - 10


def test_a_long_vehicle_gives_several_returns() -> None:
    returns, counts = sweeps(tiny_world([car(15, 6)]))
    assert len(near(returns, 15, 6, reach=3)) / len(counts) > 3


def test_weak_targets_are_missed_now_and_then_and_never_far_away() -> None:
    def share(x: float) -> float:
        world = tiny_world(static=[street_block(x, 0, (0.4, 0.5, 1.7), "fabric")])
        returns, counts = sweeps(world, count=60)
        return len(near(returns, x, 0)) / len(counts)

    assert share(20) > 0.85
    assert 0.15 < share(115) < 0.85
    assert share(230) == 0


def test_a_hidden_car_is_seen_below_the_one_in_front() -> None:
    front, hidden = car(32, 0, clearance=0.3), car(60, 0, speed=14)
    returns, counts = sweeps(tiny_world([front, hidden]))
    found = near(returns, 57.8, 0)
    assert len(found) > 0.5 * len(counts)
    assert np.mean(found["vx"]) == pytest.approx(4, abs=0.2)
    # Not so where the one in front reaches down to the road.
    returns, _ = sweeps(tiny_world([car(32, 0, clearance=0.0), hidden]))
    assert len(near(returns, 57.8, 0)) == 0


def test_a_wall_gives_the_mirror_image_of_an_oncoming_car() -> None:
    # The wall's face is at y = 6, the car at y = 0: its image is about y = 12, and approaches too.
    wall = street_block(5, 6, (60, 1, 5), "metal")
    returns, _ = sweeps(tiny_world([car(40, 0, speed=10, yaw=np.pi)], static=[wall]))
    ghosts = near(returns, 37.8, 12, reach=2)
    ghosts = ghosts[ghosts["vx"] < -15]
    assert len(ghosts) > 3
    assert np.mean(ghosts["vx"]) == pytest.approx(-20, abs=0.2)
    assert (ghosts["invalid_state"] == 6).any()


def test_an_empty_plain_gives_clutter_alone() -> None:
    returns, counts = sweeps(tiny_world())
    assert 3 < np.mean(counts) < 20
    assert returns["rcs"].max() < 8
    assert (returns["invalid_state"] != 0).any()


def test_rain_weakens_returns() -> None:
    post = [street_block(125, 0, (0.4, 0.5, 1.7), "fabric")]
    rain = replace(CLEAR, weather="rain", visibility=2000.0)
    dry, wet = (
        len(near(sweeps(tiny_world(static=post, conditions=conditions), count=60)[0], 125, 0))
        for conditions in (CLEAR, rain)
    )
    assert wet < 0.7 * dry
