from __future__ import annotations

import numpy as np
import pytest
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion
from scipy.spatial.transform import Rotation

from lircdepth_core.camera import Camera
from lircdepth_core.dataset.box_tracks import HOLD, Annotation, Boxes3D, BoxTracks

SECOND = 1_000_000


def annotation(stamp: int, x: float, yaw: float, instance: str = "car") -> Annotation:
    rotation = tuple(Rotation.from_euler("z", yaw).as_quat())
    return Annotation(instance, "vehicle.car", stamp, (x, 2.0, 1.0), rotation, (4.0, 2.0, 1.5))


def test_boxes_move_and_turn_evenly_between_annotations():
    tracks = BoxTracks([annotation(0, 0.0, 0.0), annotation(SECOND // 2, 8.0, 0.4)])
    boxes = tracks.at(SECOND // 8)
    np.testing.assert_allclose(boxes.centre, [[2.0, 2.0, 1.0]])
    np.testing.assert_allclose(boxes.rotation[0], Rotation.from_euler("z", 0.1).as_matrix())
    np.testing.assert_allclose(boxes.size, [[4.0, 2.0, 1.5]])


def test_the_pair_of_annotations_around_the_time_counts():
    tracks = BoxTracks([annotation(t * SECOND, x, 0.0) for t, x in ((2, 5.0), (0, 0.0), (1, 3.0))])
    for time, x in ((0.0, 0.0), (0.5, 1.5), (1.0, 3.0), (1.5, 4.0), (2.0, 5.0)):
        np.testing.assert_allclose(tracks.at(round(time * SECOND)).centre[:, 0], [x])


def test_a_thing_moves_on_for_a_moment_and_is_then_gone():
    tracks = BoxTracks([annotation(0, 0.0, 0.0), annotation(SECOND, 10.0, 0.0)])
    np.testing.assert_allclose(tracks.at(SECOND + HOLD - 1).centre[0, 0], 15.0, atol=1e-4)
    np.testing.assert_allclose(tracks.at(-HOLD).centre[0, 0], -5.0)
    assert len(tracks.at(SECOND + HOLD)) == len(tracks.at(-HOLD - 1)) == 0


def test_a_thing_annotated_once_stands_still():
    boxes = BoxTracks([annotation(SECOND, 3.0, 0.2)]).at(SECOND + HOLD // 2)
    np.testing.assert_allclose(boxes.centre, [[3.0, 2.0, 1.0]])


def test_no_annotations_no_boxes():
    boxes = BoxTracks([]).at(0)
    assert len(boxes) == len(boxes.corners()) == 0
    assert boxes.first_containing(np.zeros((3, 5))).tolist() == [0] * 5


def test_containment_is_the_devkits():
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 5, (3, 5000))
    devkit = [
        Box(rng.uniform(-3, 3, 3), rng.uniform(1, 5, 3), Quaternion(*rng.normal(size=4)))
        for _ in range(3)
    ]
    boxes = Boxes3D(
        np.array([box.center for box in devkit]),
        np.array([box.rotation_matrix for box in devkit]),
        np.array([box.wlh[[1, 0, 2]] for box in devkit]),
        np.array(["vehicle.car"] * 3),
    )
    inside = np.array([points_in_box(box, points) for box in devkit])
    expected = np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, 0)
    assert set(expected) == {0, 1, 2, 3}
    np.testing.assert_array_equal(boxes.first_containing(points), expected)
    for box, corners in zip(devkit, boxes.corners(), strict=True):
        ours, theirs = (sorted(map(tuple, c.round(9))) for c in (corners, box.corners().T))
        assert ours == theirs


def test_moved_boxes_hold_the_moved_points():
    boxes = BoxTracks([annotation(0, 3.0, 0.3)]).at(0)
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("xyz", (0.3, -1.0, 2.0)).as_matrix()
    transform[:3, 3] = (5, -7, 2)
    points = np.random.default_rng(1).uniform(-3, 6, (3, 3000))
    moved = transform[:3, :3] @ points + transform[:3, 3:]
    before = boxes.first_containing(points)
    assert 0 < before.sum() < 1000
    np.testing.assert_array_equal(boxes.moved(transform).first_containing(moved), before)


@pytest.fixture
def camera():
    return Camera(np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), 101, 81)


def cube(*centre: float) -> Boxes3D:
    return Boxes3D(np.array([centre]), np.eye(3)[None], np.full((1, 3), 2.0), np.array(["a"]))


def test_lines_of_sight_enter_a_box_at_its_face(camera):
    entry = cube(0, 0, 10).entry_depth(camera)
    # The near face is 2 m wide at 9 m: 11.1 pixels to each side of the middle.
    hit = np.isfinite(entry)
    assert hit.any(axis=0).nonzero()[0].tolist() == list(range(39, 62))
    assert hit.any(axis=1).nonzero()[0].tolist() == list(range(29, 52))
    np.testing.assert_allclose(entry[hit], 9.0)


def test_a_side_that_shows_is_entered_where_it_is(camera):
    """A cube to the right: the ray x = 0.15 z meets its left side (x = 1.5) at z = 10."""
    entry = cube(2.5, 0, 10).entry_depth(camera)
    np.testing.assert_allclose(entry[40, 65], 10.0)
    assert np.isinf(entry[40, 63])


def test_the_nearer_box_counts_and_one_behind_does_not(camera):
    both = Boxes3D(
        np.array([[0, 0, 20.0], [0, 0, 10], [0, 0, -10]]),
        np.stack([np.eye(3)] * 3),
        np.full((3, 3), 2.0),
        np.array(["a"] * 3),
    )
    np.testing.assert_array_equal(both.entry_depth(camera), cube(0, 0, 10).entry_depth(camera))


def test_a_box_round_the_camera_begins_at_once(camera):
    assert (cube(0, 0, 0.5).entry_depth(camera) == 0).all()
