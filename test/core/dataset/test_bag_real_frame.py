"""A real nuScenes sample, converted and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import RadarPointCloud
from nuscenes.utils.geometry_utils import transform_matrix
from pyquaternion import Quaternion
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from lircdepth_core.dataset.bag import BagSummary, write_bag

CAMERAS = ["FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK", "BACK_LEFT", "BACK_RIGHT"]
TYPESTORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def bag(
    request: pytest.FixtureRequest, real_frame: Path, tmp_path_factory: pytest.TempPathFactory
) -> BagSummary:
    out = tmp_path_factory.mktemp("bags") / "frame"
    return write_bag(real_frame, out, "scene-0061", storage=request.param)


@pytest.fixture(scope="module")
def messages(bag: BagSummary) -> list[tuple[str, int, Any]]:
    with Reader(bag.path) as reader:
        return [
            (connection.topic, stamp, TYPESTORE.deserialize_cdr(data, connection.msgtype))
            for connection, stamp, data in reader.messages()
        ]


@pytest.fixture(scope="module")
def nusc(real_frame: Path) -> NuScenes:
    return NuScenes("v1.0-mini", str(real_frame), verbose=False)


def only(messages: list[tuple[str, int, Any]], topic: str) -> Any:
    (found,) = [content for name, _, content in messages if name == topic]
    return found


def stamp_of(message: Any) -> int:
    header = message.transforms[0].header if hasattr(message, "transforms") else message.header
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def matrix(translation: Any, rotation: Any) -> np.ndarray:
    return transform_matrix(
        [translation.x, translation.y, translation.z],
        Quaternion(rotation.w, rotation.x, rotation.y, rotation.z),
    )


def test_every_sensor_has_its_message_and_nothing_is_missing(bag: BagSummary) -> None:
    cameras = {
        f"/CAM_{name}/{kind}"
        for name in CAMERAS
        for kind in ("camera_info", "image_rect_compressed")
    }
    once = cameras | {"/RADAR_FRONT", "/LIDAR_TOP", "/tf_static"}
    assert bag.messages == dict.fromkeys(once, 1) | {"/tf": 8, "/odom": 8}
    assert bag.missing == ()
    assert bag.duration == pytest.approx(
        0.059334
    )  # CAM_FRONT_LEFT 604844 us, RADAR_FRONT 664178 us


def test_messages_stand_in_stamp_order_under_their_own_stamps(
    messages: list[tuple[str, int, Any]],
) -> None:
    stamps = [stamp for _, stamp, _ in messages]
    assert stamps == sorted(stamps)
    assert all(stamp_of(content) == stamp for _, stamp, content in messages)
    assert only(messages, "/RADAR_FRONT").header.stamp.sec == 1532402927
    assert only(messages, "/RADAR_FRONT").header.stamp.nanosec == 664178000
    topics = [topic for topic, _, _ in messages]
    for name in CAMERAS:
        image = topics.index(f"/CAM_{name}/image_rect_compressed")
        assert topics[image - 1] == f"/CAM_{name}/camera_info"


def test_only_tf_static_is_recorded_as_latched(bag: BagSummary) -> None:
    with Reader(bag.path) as reader:
        profiles = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert all(len(profile) == 1 for profile in profiles.values())
    assert {p.reliability for (p,) in profiles.values()} == {QosReliability.RELIABLE}
    latched = {t for t, (p,) in profiles.items() if p.durability == QosDurability.TRANSIENT_LOCAL}
    assert latched == {"/tf_static"}


def test_images_are_the_files_own_bytes(
    messages: list[tuple[str, int, Any]], real_frame: Path
) -> None:
    for name in CAMERAS:
        (path,) = (real_frame / f"samples/CAM_{name}").iterdir()
        message = only(messages, f"/CAM_{name}/image_rect_compressed")
        assert message.data.tobytes() == path.read_bytes()
        assert (message.format, message.header.frame_id) == ("jpeg", f"CAM_{name}")


def test_camera_info_is_that_of_an_undistorted_image(messages: list[tuple[str, int, Any]]) -> None:
    info = only(messages, "/CAM_FRONT/camera_info")
    K = [1266.417203046554, 0, 816.2670197447984, 0, 1266.417203046554, 491.50706579294757, 0, 0, 1]
    assert info.k.tolist() == K
    assert info.p.reshape(3, 4)[:, :3].ravel().tolist() == K
    assert info.p.reshape(3, 4)[:, 3].tolist() == [0, 0, 0]
    assert info.r.tolist() == np.eye(3).ravel().tolist()
    assert (info.distortion_model, info.d.tolist()) == ("plumb_bob", [0] * 5)
    assert (info.width, info.height, info.header.frame_id) == (1600, 900, "CAM_FRONT")


def test_radar_cloud_is_the_files_packed_points(
    messages: list[tuple[str, int, Any]], real_frame: Path
) -> None:
    (path,) = (real_frame / "samples/RADAR_FRONT").iterdir()
    header, data = path.read_bytes().split(b"DATA binary\n", 1)
    cloud = only(messages, "/RADAR_FRONT")
    assert (cloud.width, cloud.height, cloud.point_step) == (74, 1, 43)
    assert cloud.data.tobytes() == data[: 74 * 43]
    assert " ".join(field.name for field in cloud.fields) in header.decode()
    assert [field.offset for field in cloud.fields][:6] == [0, 4, 8, 12, 13, 15]
    kinds = [field.datatype for field in cloud.fields]
    assert kinds == [7, 7, 7, 1, 3, 7, 7, 7, 7, 7, 1, 1, 1, 1, 1, 1, 1, 1]


def test_lidar_cloud_is_the_files_points(
    messages: list[tuple[str, int, Any]], real_frame: Path
) -> None:
    (path,) = (real_frame / "samples/LIDAR_TOP").iterdir()
    cloud = only(messages, "/LIDAR_TOP")
    assert cloud.data.tobytes() == path.read_bytes()
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "intensity", "ring"]
    assert (cloud.width, cloud.point_step) == (34688, 20)


def test_transforms_move_radar_into_the_camera_as_the_devkit_does(
    messages: list[tuple[str, int, Any]], nusc: NuScenes
) -> None:
    static = {t.child_frame_id: t for t in only(messages, "/tf_static").transforms}
    assert {t.header.frame_id for t in static.values()} == {"base_link"}
    moving = {stamp: c.transforms[0] for topic, stamp, c in messages if topic == "/tf"}
    assert {(t.header.frame_id, t.child_frame_id) for t in moving.values()} == {
        ("map", "base_link")
    }

    def map_from(message: Any) -> np.ndarray:
        pose, mount = moving[stamp_of(message)].transform, static[message.header.frame_id].transform
        return matrix(pose.translation, pose.rotation) @ matrix(mount.translation, mount.rotation)

    image, cloud = (
        only(messages, "/CAM_FRONT/image_rect_compressed"),
        only(messages, "/RADAR_FRONT"),
    )
    raw = cloud.data.reshape(-1, 43)[:, :12].copy().view("<f4").astype(np.float64)
    ours = np.linalg.inv(map_from(image)) @ map_from(cloud) @ np.c_[raw, np.ones(len(raw))].T

    data = nusc.sample[0]["data"]
    points = RadarPointCloud.from_file(nusc.get_sample_data_path(data["RADAR_FRONT"]))
    for channel, inverse in (("RADAR_FRONT", False), ("CAM_FRONT", True)):
        row = nusc.get("sample_data", data[channel])
        steps = [
            nusc.get("calibrated_sensor", row["calibrated_sensor_token"]),
            nusc.get("ego_pose", row["ego_pose_token"]),
        ]
        for step in reversed(steps) if inverse else steps:
            rotation = Quaternion(step["rotation"])
            points.transform(transform_matrix(step["translation"], rotation, inverse))
    np.testing.assert_allclose(ours[:3], points.points[:3], atol=1e-6)


def test_odometry_is_the_pose_and_its_change(messages: list[tuple[str, int, Any]]) -> None:
    odometry = [content for topic, _, content in messages if topic == "/odom"]
    moving = {stamp: c.transforms[0].transform for topic, stamp, c in messages if topic == "/tf"}
    first, last = odometry[0], odometry[-1]
    seconds = (stamp_of(last) - stamp_of(first)) / 1e9
    for message in odometry:
        assert (message.header.frame_id, message.child_frame_id) == ("map", "base_link")
        transform, pose = moving[stamp_of(message)], message.pose.pose
        np.testing.assert_array_equal(
            matrix(pose.position, pose.orientation),
            matrix(transform.translation, transform.rotation),
        )
    # The vehicle drives forward: its speed is the distance per time, along base_link's x.
    start, end = first.pose.pose.position, last.pose.pose.position
    speed = np.hypot(end.x - start.x, end.y - start.y) / seconds
    assert first.twist.twist.linear.x == pytest.approx(speed, rel=0.1)
    assert abs(first.twist.twist.linear.y) < 0.1 * speed


def test_calibration_file_repeats_tf_static(
    bag: BagSummary, messages: list[tuple[str, int, Any]]
) -> None:
    content = yaml.safe_load((bag.path / "calibration.yaml").read_text())
    assert content["base_frame"] == "base_link"
    static = only(messages, "/tf_static").transforms
    assert set(content["frames"]) == {t.child_frame_id for t in static}
    for stamped in static:
        pose = content["frames"][stamped.child_frame_id]
        t, r = stamped.transform.translation, stamped.transform.rotation
        assert pose == {"translation": [t.x, t.y, t.z], "rotation": [r.x, r.y, r.z, r.w]}


def test_conversion_leaves_the_devkits_radar_filters_alone(bag: BagSummary) -> None:
    assert RadarPointCloud.invalid_states == [0]
    assert list(RadarPointCloud.dynprop_states) == list(range(7))
    assert RadarPointCloud.ambig_states == [3]
