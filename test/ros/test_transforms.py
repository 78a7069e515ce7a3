"""Extrinsics and ego motion, against pyquaternion and scenes worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
import yaml
from geometry_msgs.msg import TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from node_rig import SECOND, START, odometry_message, stamp
from pyquaternion import Quaternion
from rclpy.context import Context

from lircdepth_core.errors import InputError
from lircdepth_ros import calibration_poses
from lircdepth_ros.calibration_poses import CalibrationPoses, read_calibration
from lircdepth_ros.tf_poses import TfPoses, tf_is_installed
from lircdepth_ros.transforms import (
    PoseMayComeError,
    PoseUnavailableError,
    pose_matrix,
    slerp,
)

MS = 1_000_000


def ask(poses, image=START, radar=START, frame="RADAR_FRONT", final=False):
    return poses.radar_pose("CAM_FRONT", image, frame, radar, final=final)


def test_without_motion_the_extrinsics_remain(calibration_file):
    pose = ask(CalibrationPoses(calibration_file), final=True)
    assert pose.uncompensated == "no odometry"
    # Radar: 2 m ahead of the camera, 1 m below; x forward becomes z, y left becomes -x.
    expected = [[0, -1, 0, 0], [0, 0, -1, 1], [1, 0, 0, 2], [0, 0, 0, 1]]
    np.testing.assert_allclose(pose.camera_from_radar, expected, atol=1e-12)


def test_motion_between_the_stamps_is_interpolated(calibration_file):
    poses = CalibrationPoses(calibration_file)
    poses.add_odometry(odometry_message(START, x=100.0))
    poses.add_odometry(odometry_message(START + 100 * MS, x=102.0))
    pose = ask(poses, image=START + 25 * MS, radar=START + 75 * MS)
    assert pose.uncompensated is None
    # The vehicle drives 20 m/s: 50 ms later the radar is 1 m further ahead.
    assert pose.camera_from_radar[2, 3] == pytest.approx(3.0)


@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.floats(0, 1),
)
def test_rotations_agree_with_pyquaternion(first, second, share):
    first, second = Quaternion(first).normalised, Quaternion(second).normalised
    if abs(abs(np.dot(first.elements, second.elements))) < 1e-3:
        return  # half a turn apart: both ways round are right
    xyzw = [np.roll(q.elements, -1) for q in (first, second)]
    mixed = slerp(*xyzw, share)
    expected = Quaternion.slerp(first, second, share)
    np.testing.assert_allclose(
        pose_matrix(np.zeros(3), mixed)[:3, :3], expected.rotation_matrix, atol=1e-3
    )
    np.testing.assert_allclose(
        pose_matrix(np.zeros(3), xyzw[0])[:3, :3], first.rotation_matrix, atol=1e-9
    )


def test_odometry_that_is_behind_is_waited_for_and_then_done_without(calibration_file):
    poses = CalibrationPoses(calibration_file)
    poses.add_odometry(odometry_message(START - 50 * MS, x=0.0))
    with pytest.raises(PoseMayComeError):
        ask(poses)
    assert "ended" in ask(poses, final=True).uncompensated


def test_silent_odometry_is_not_waited_for(calibration_file, monkeypatch):
    poses = CalibrationPoses(calibration_file)
    poses.add_odometry(odometry_message(START - 50 * MS, x=0.0))
    later = calibration_poses.time.monotonic() + 2
    monkeypatch.setattr(calibration_poses, "time", SimpleNamespace(monotonic=lambda: later))
    assert "ended" in ask(poses).uncompensated
    poses.begin()  # nobody listened while the node was inactive
    with pytest.raises(PoseMayComeError):
        ask(poses)


def test_a_jump_back_forgets_the_motion(calibration_file):
    poses = CalibrationPoses(calibration_file)
    poses.add_odometry(odometry_message(START + 10 * SECOND, x=500.0))
    poses.add_odometry(odometry_message(START, x=0.0))
    poses.add_odometry(odometry_message(START + 100 * MS, x=0.0))
    assert ask(poses, image=START + 50 * MS).uncompensated is None
    assert "ended" in ask(poses, image=START + 10 * SECOND, final=True).uncompensated


def test_an_image_that_jumps_back_first_forgets_all_motion(calibration_file):
    poses = CalibrationPoses(calibration_file)
    # Those about its own stamp are of the old time too.
    for after, x in ((-100 * MS, 0.0), (200 * MS, 5.0), (10 * SECOND, 500.0)):
        poses.add_odometry(odometry_message(START + after, x=x))
    assert ask(poses).uncompensated is None
    poses.forget_after(START)
    assert ask(poses, final=True).uncompensated is not None


def test_memory_stays_bounded(calibration_file):
    poses = CalibrationPoses(calibration_file)
    for index in range(5000):
        poses.add_odometry(odometry_message(START + index * 10 * MS, x=0.0))
    assert len(poses._stamps) <= 4001


def test_the_first_odometry_is_waited_for(calibration_file):
    poses = CalibrationPoses(calibration_file)
    with pytest.raises(PoseMayComeError):
        ask(poses)
    assert ask(poses, final=True).uncompensated == "no odometry"


def test_an_unknown_frame_is_named(calibration_file):
    with pytest.raises(PoseUnavailableError, match="RADAR_NOWHERE"):
        ask(CalibrationPoses(calibration_file), frame="RADAR_NOWHERE")


def test_odometry_of_another_frame_or_without_a_rotation_is_refused(calibration_file):
    poses = CalibrationPoses(calibration_file)
    other = odometry_message(START, x=0.0)
    other.child_frame_id = "trailer"
    with pytest.raises(InputError, match="trailer"):
        poses.add_odometry(other)
    with pytest.raises(InputError, match="position"):
        poses.add_odometry(odometry_message(START, x=1e308))
    zero = odometry_message(START, x=0.0)
    zero.pose.pose.orientation.w = 0.0
    with pytest.raises(InputError, match="quaternion"):
        poses.add_odometry(zero)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "frames"),
        ("frames: [1]", "frames"),
        ("frames: {}", "base_frame"),
        ("base_frame: b\nframes: {A: {translation: [1, 2]}}", "frames.A"),
        ("base_frame: b\nframes: {A: {translation: [1, 2, 3], rotation: [0, 0, 0, 3]}}", "length"),
        ("base_frame: b\nframes: {A: {translation: [.nan, 2, 3], rotation: [0,0,0,1]}}", "finite"),
        (
            "base_frame: b\nframes: {A: {translation: [1, 2, %s], rotation: [0, 0, 0, 1]}}"
            % ("9" * 400),
            "300 digits",
        ),
        ("base_frame: 0x" + "f" * 5000, "a number of 5002 characters"),
        ('base_frame: b\nframes: {"A\\nB": 3}', "frames.A B"),
        ("a: [", "YAML"),
    ],
)
def test_a_bad_calibration_file_is_one_line_that_names_it(tmp_path, text, word):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=word) as error:
        read_calibration(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_calibration_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_calibration(tmp_path / "nowhere.yaml")


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just("frames"),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["base_frame", "frames", "translation", "rotation", "A"]),
                      inner, max_size=4),
))  # fmt: skip
def test_any_yaml_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("calibration") / "any.yaml"
    path.write_text(yaml.safe_dump(content))
    try:
        base_frame, poses = read_calibration(path)
    except InputError:
        return
    assert base_frame in poses


@pytest.fixture
def tf():
    if not tf_is_installed():
        pytest.skip("tf2_ros is not installed; there is no wheel")

    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("tf_test", context=context)
    poses = TfPoses(node)
    yield poses
    poses.close()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def transform(parent, child, x=0.0, at=None, rotation=(0.0, 0.0, 0.0, 1.0), z=0.0):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.transform.translation.x, message.transform.translation.z = x, z
    rotation_message = message.transform.rotation
    rotation_message.x, rotation_message.y, rotation_message.z, rotation_message.w = rotation
    if at is not None:
        message.header.stamp = stamp(at)
    return message


def put(poses, parent, child, x=0.0, at=None, **kwargs):
    message = transform(parent, child, x, at, **kwargs)
    if at is None:
        poses._buffer.set_transform_static(message, "test")
    else:
        poses._buffer.set_transform(message, "test")


def put_extrinsics(poses):
    put(poses, "base_link", "CAM_FRONT", 1.5, z=1.5, rotation=(-0.5, 0.5, -0.5, 0.5))
    put(poses, "base_link", "RADAR_FRONT", 3.5, z=0.5)


def test_without_a_fixed_frame_the_extrinsics_remain(tf):
    put_extrinsics(tf)
    with pytest.raises(PoseMayComeError):
        ask(tf)
    pose = ask(tf, final=True)
    assert "fixed_frame" in pose.uncompensated
    expected = [[0, -1, 0, 0], [0, 0, -1, 1], [1, 0, 0, 2], [0, 0, 0, 1]]
    np.testing.assert_allclose(pose.camera_from_radar, expected, atol=1e-12)


@pytest.mark.parametrize("fixed", ["odom", "map"])
def test_ego_motion_is_included(tf, fixed):
    put_extrinsics(tf)
    put(tf, fixed, "base_link", 100.0, at=START)
    put(tf, fixed, "base_link", 102.0, at=START + 100 * MS)
    pose = ask(tf, image=START + 25 * MS, radar=START + 75 * MS)
    assert pose.uncompensated is None
    assert pose.camera_from_radar[2, 3] == pytest.approx(3.0)


def test_tf_that_is_behind_is_waited_for_and_then_done_without(tf):
    put_extrinsics(tf)
    put(tf, "map", "base_link", 0.0, at=START - 50 * MS)
    put(tf, "map", "base_link", 0.0, at=START - 20 * MS)
    with pytest.raises(PoseMayComeError):
        ask(tf)
    assert ask(tf, final=True).uncompensated is not None


def test_tf_that_fell_silent_is_not_waited_for(tf, monkeypatch):
    put_extrinsics(tf)
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: now.seconds)
    hear(tf, 0.0, START - 50 * MS)
    with pytest.raises(PoseMayComeError):
        ask(tf)
    now.seconds += 100
    assert ask(tf).uncompensated is not None
    hear(tf, 0.0, START - 20 * MS)
    with pytest.raises(PoseMayComeError):
        ask(tf)


def test_unknown_frames_are_named(tf):
    with pytest.raises(PoseUnavailableError, match=r"RADAR_FRONT|CAM_FRONT"):
        ask(tf, final=True)


def test_a_jump_back_keeps_static_transforms(tf):
    put_extrinsics(tf)
    put(tf, "map", "base_link", 0.0, at=START)
    tf._forget()
    assert ask(tf, final=True).uncompensated is not None


def test_a_jump_back_in_tf_begins_a_new_time(tf):
    put_extrinsics(tf)
    hear(tf, 500.0, START + 20 * SECOND)
    hear(tf, 501.0, START + 20 * SECOND + 100 * MS)
    hear(tf, 100.0, START)
    hear(tf, 102.0, START + 100 * MS)
    tf.forget_after(START)  # the image's own jump comes later and must not undo this
    pose = ask(tf, image=START + 25 * MS, radar=START + 75 * MS)
    assert pose.uncompensated is None
    assert pose.camera_from_radar[2, 3] == pytest.approx(3.0)


def hear(poses, x, at):
    """As the subscription to /tf does."""
    poses._listener.callback(SimpleNamespace(transforms=[transform("map", "base_link", x, at)]))


def test_closing_leaves_nothing_on_the_node(tf):
    node = tf._listener.node
    services = len(list(node.services))
    again = TfPoses(node)
    again.close()
    assert len(list(node.services)) == services
