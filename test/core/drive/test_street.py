"""Geometry of the generated street against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from simple_scene.boxes import GROUND, SKY, Boxes, azimuth_windows, cast, image_windows
from simple_scene.street import (
    EGO_SPEED,
    LANE_WIDTH,
    RADIUS,
    Material,
    Pose,
    ego_pose,
    place,
    street_coordinates,
)
from simple_scene.street_camera import View, render
from simple_scene.street_scans import lidar_sweep, radar_sweep

from lircdepth_core.camera import Camera

# A camera 1.5 m above the map's origin that looks along x: optical x is -y, optical y is -z.
CAMERA = Camera(np.array([[100.0, 0, 80], [0, 100, 45], [0, 0, 1]]), 161, 91)
LOOKING_ALONG_X = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
VIEW = View(CAMERA, np.array([0.0, 0.0, 1.5]), LOOKING_ALONG_X)
AT_REST = Pose(np.zeros(3), 0.0, np.zeros(2), 0.0)


def box(
    centre: tuple[float, float, float],
    size: tuple[float, float, float],
    yaw: float = 0.0,
    velocity: tuple[float, float] = (0.0, 0.0),
) -> Boxes:
    return Boxes(
        centre=np.array([centre]),
        half=np.array([size]) / 2,
        yaw=np.array([yaw]),
        velocity=np.array([velocity]),
        material=np.array([Material.HOUSE]),
        colour=np.array([[0.5, 0.5, 0.5]]),
        rcs=np.array([10.0]),
        number=np.array([0]),
    )


def depth_of(boxes: Boxes) -> np.ndarray:
    return render(boxes, VIEW, np.random.default_rng(0))[1]


def test_a_wall_across_the_view_has_one_depth() -> None:
    depth = depth_of(box((21.0, 0.0, 5.0), (2.0, 10.0, 10.0)))
    # Its front is at x = 20, 5 m to either side: u = 80 ± 25; its top is 8.5 m above the camera.
    np.testing.assert_allclose(depth[3:52, 56:105], 20.0, rtol=1e-6)
    assert np.isinf(depth[0, 80])
    assert np.isinf(depth[20, 50])
    assert np.isinf(depth[20, 110])


def test_a_turned_wall_is_as_deep_as_its_plane() -> None:
    # Its front is the plane through (20, 0) with normal (-cos 30°, sin 30°): x = 20 + y tan 30°,
    # seen at y = -x (u - 80) / 100.
    thickness, yaw = 2.0, np.deg2rad(-30)
    middle = (20 + np.cos(yaw) * thickness / 2, np.sin(yaw) * thickness / 2, 5.0)
    depth = depth_of(box(middle, (thickness, 8.0, 10.0), yaw))
    slope = np.tan(np.deg2rad(30)) / 100
    for u in (75, 80, 90):
        assert depth[20, u] == pytest.approx(20 / (1 + slope * (u - 80)), rel=1e-5)


def test_the_ground_is_as_deep_as_the_camera_is_high() -> None:
    depth = depth_of(box((-50.0, 0.0, 1.0), (1.0, 1.0, 1.0)))
    np.testing.assert_allclose(depth[46:, 3], 100 * 1.5 / (np.arange(46, 91) - 45), rtol=1e-5)
    assert np.isinf(depth[:46]).all()


def test_the_nearer_of_two_boxes_hides_the_other() -> None:
    far, near = box((30.5, 0.0, 5.0), (1.0, 20.0, 10.0)), box((10.5, 0.0, 5.0), (1.0, 2.0, 10.0))
    for boxes in (Boxes.concatenate([far, near]), Boxes.concatenate([near, far])):
        depth = depth_of(boxes)
        assert depth[40, 80] == pytest.approx(10.0)
        assert depth[40, 100] == pytest.approx(30.0)


def test_windows_never_cut_off_what_a_ray_would_hit() -> None:
    rng = np.random.default_rng(1)
    everything = (slice(None), slice(None))
    x = (np.arange(161) - 80) / 100
    y = (np.arange(91) - 45) / 100
    directions = np.stack(np.broadcast_arrays(1.0, -x, -y[:, None])).astype(np.float32)
    turn = 2 * np.pi * ((np.arange(400) + 0.5) / 400 - 0.5)
    level = np.stack([np.cos(turn), np.sin(turn), np.zeros(400)]).astype(np.float32)[:, None]
    origin = np.array([0.0, 0.0, 1.5])
    for _ in range(30):
        size = rng.uniform(0.2, 9, 3)
        middle = rng.uniform(-12, 12, 2)
        reach = np.hypot(*size[:2]) / 2
        middle *= max(1, (reach + 0.3) / np.hypot(*middle))
        boxes = box((*middle, size[2] / 2), tuple(size), rng.uniform(-4, 4))
        points = (boxes.corners() - origin) @ LOOKING_ALONG_X
        for rays, windows in (
            (directions, image_windows(points, CAMERA.K, 161, 91)),
            (level, azimuth_windows(origin, boxes, 0.0, 400, 2 * np.pi)),
        ):
            complete, _ = cast(origin, rays, boxes, [everything])
            windowed, _ = cast(origin, rays, boxes, windows)
            np.testing.assert_array_equal(windowed, complete)


def test_rays_name_what_they_hit() -> None:
    rays = np.array([[1.0, 0, 0], [1, 0, -1], [1, 0, 1]], np.float32).T[:, None]
    boxes = box((10.0, 0.0, 1.5), (2.0, 2.0, 1.0))
    distance, hit = cast(np.array([0, 0, 1.5]), rays, boxes, [(slice(None), slice(None))])
    assert hit[0].tolist() == [0, GROUND, SKY]
    assert distance[0].tolist() == [9.0, 1.5, np.inf]


def test_the_picture_shows_the_wall_and_not_only_noise() -> None:
    image, depth = render(box((21.0, 0.0, 5.0), (2.0, 10.0, 10.0)), VIEW, np.random.default_rng(0))
    assert image.shape == (91, 161, 3)
    assert image.dtype == np.uint8
    sky, wall = image[np.isinf(depth)].mean(axis=0), image[depth == 20].mean(axis=0)
    assert sky[2] > sky[0] + 20
    assert abs(sky - wall).max() > 30


def test_street_coordinates_undo_place() -> None:
    along, left = np.meshgrid([-300.0, 0.0, 55.0], [-9.0, 0.0, 4.0])
    position, _ = place(along, left)
    back = street_coordinates(position[..., 0], position[..., 1])
    np.testing.assert_allclose(back, [along, left], atol=1e-9)


def test_the_vehicle_moves_as_its_velocity_says() -> None:
    before, now, after = (ego_pose(time) for time in (0.999, 1.0, 1.001))
    np.testing.assert_allclose(
        (after.position - before.position)[:2] / 0.002, now.velocity, rtol=1e-6
    )
    assert (after.yaw - before.yaw) / 0.002 == pytest.approx(now.yaw_rate)
    assert np.linalg.norm(now.velocity) == pytest.approx(10.0875)
    _, left = street_coordinates(*now.position[:2])
    assert left == pytest.approx(-LANE_WIDTH / 2)


def sweep(boxes: Boxes, ego: Pose = AT_REST) -> np.ndarray:
    mount = np.array([1.0, 0.0, 0.5])
    return radar_sweep(boxes, ego, mount, np.random.default_rng(0), noise=False)


def test_radar_finds_a_wall_where_it_is() -> None:
    returns = sweep(box((21.0, 0.0, 5.0), (2.0, 10.0, 10.0)))
    assert len(returns) > 3
    np.testing.assert_allclose(returns["x"], 19.0, rtol=1e-5)
    assert np.abs(returns["y"]).max() <= 5.0
    assert (returns["z"] == 0).all()
    assert (returns["dyn_prop"] == 1).all()


def test_radar_velocity_is_relative_to_the_moving_radar() -> None:
    wall = box((21.0, 0.0, 5.0), (2.0, 10.0, 10.0))
    yaw_rate = EGO_SPEED / RADIUS
    ego = Pose(np.zeros(3), 0.0, np.array([EGO_SPEED, 0.0]), yaw_rate)
    returns = sweep(wall, ego)
    np.testing.assert_allclose(returns["vx"], -10.0, rtol=1e-6)
    np.testing.assert_allclose(returns["vy"], -yaw_rate * 1.0, rtol=1e-6)
    np.testing.assert_allclose(returns["vx_comp"], 0.0, atol=1e-6)

    ahead = box((21.0, 0.0, 1.0), (4.0, 2.0, 2.0), velocity=(13.0, 0.0))
    assert sweep(ahead, ego)["vx"][0] == pytest.approx(3.0)
    assert sweep(ahead, ego)["dyn_prop"][0] == 0
    oncoming = box((21.0, 0.0, 1.0), (4.0, 2.0, 2.0), velocity=(-8.0, 0.0))
    assert sweep(oncoming, ego)["vx"][0] == pytest.approx(-18.0)
    assert sweep(oncoming, ego)["dyn_prop"][0] == 2


def test_radar_sees_far_only_ahead() -> None:
    def seen(distance: float, degrees: float) -> bool:
        angle = np.deg2rad(degrees)
        middle = (1 + distance * np.cos(angle), distance * np.sin(angle), 1.0)
        return len(sweep(box(middle, (2.0, 2.0, 2.0), angle))) > 0

    assert seen(150, 0)
    assert not seen(150, 30)
    assert seen(50, 30)
    assert not seen(50, 55)
    assert seen(15, 55)
    assert not seen(15, 75)


def test_lidar_measures_walls_and_ground() -> None:
    mount, yaw = np.array([0.0, 0.0, 1.8]), -np.pi / 2
    wall = box((11.0, 0.0, 5.0), (2.0, 40.0, 10.0))
    points = lidar_sweep(wall, AT_REST, mount, yaw, np.random.default_rng(0))
    # The lidar's y axis points forward.
    x, y, z, _, ring = points.T
    ahead = (np.abs(x) < 2) & (y > 0) & (z > -1)
    np.testing.assert_allclose(y[ahead], 10.0, atol=0.15)
    np.testing.assert_allclose(z[y < -5], -1.8, atol=0.15)
    assert set(np.unique(ring)) <= set(range(32))
