"""What only the hostile make long is cut before it is kept, and refused when it is used."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from node_rig import START, camera_info_message, cloud_message, image_message, wait_until
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointField

from lircdepth_core.errors import InputError
from lircdepth_ros.conversions import RadarFields, camera_from_message, radar_from_message
from lircdepth_ros.message_limits import (
    MAX_CLOUD_FIELDS,
    MAX_TEXT,
    cut_long_parts,
    read_cloud,
)

AHEAD = [(20.0, 0.0, 0.0, 5.0, -10.0, 0.0)]


def test_ordinary_messages_stay_as_they_are():
    for make in (
        lambda: image_message(START),
        camera_info_message,
        lambda: cloud_message(START, AHEAD),
        Odometry,
    ):
        message = make()
        cut_long_parts(message)
        assert message == make()


def test_names_are_cut():
    cloud = cloud_message(START, AHEAD, frame="f" * 100_000)
    cloud.fields[0].name = "n" * 100_000
    cut_long_parts(cloud)
    assert (len(cloud.header.frame_id), len(cloud.fields[0].name)) == (MAX_TEXT + 1, MAX_TEXT + 1)


def test_fields_are_cut_and_then_said_to_be_too_many():
    cloud = cloud_message(START, AHEAD)
    cloud.fields += [PointField(name=f"f{n}", datatype=7, count=1) for n in range(20_000)]
    cut_long_parts(cloud)
    assert len(cloud.fields) == MAX_CLOUD_FIELDS + 1
    with pytest.raises(InputError, match="more than 256 fields"):
        radar_from_message(cloud, RadarFields())


@pytest.mark.parametrize("rectified", [True, False])
def test_distortion_is_cut_and_then_said_to_be_too_long(rectified):
    info = camera_info_message()
    info.d = [0.0] * 100_000
    cut_long_parts(info)
    assert len(info.d) == 101
    with pytest.raises(InputError, match="more than 100 distortion coefficients"):
        camera_from_message(info, rectified)


def test_a_field_s_name_cannot_break_a_line():
    cloud = cloud_message(START, AHEAD)
    cloud.fields[0].name = "a\nFATAL: no"
    with pytest.raises(InputError) as caught:
        radar_from_message(cloud, RadarFields())
    assert "\n" not in str(caught.value)


def cloud_of_fields(count: int) -> bytes:
    """The CDR of a cloud of so many fields, which has no points."""
    name, description = struct.pack("<I2sxx", 2, b"f"), struct.pack("<IBxxxI", 0, 7, 1)
    head = struct.pack("<4sIIIIII", b"\0\1\0\0", 0, 0, 1, 0, 1, 0)
    return head + struct.pack("<I", count) + count * (name + description) + bytes(24)


def test_as_many_fields_as_are_allowed_are_read():
    cloud = read_cloud(cloud_of_fields(MAX_CLOUD_FIELDS))
    assert (len(cloud.fields), cloud.fields[-1].name) == (MAX_CLOUD_FIELDS, "f")


@pytest.mark.parametrize("encapsulation", [b"\0\1", b"\0\7"])
def test_a_cloud_of_half_a_million_fields_is_refused_at_once(encapsulation):
    data = encapsulation + cloud_of_fields(500_000)[2:]
    begin = time.process_time()
    with pytest.raises(InputError, match="radar cloud: 500000 fields; give up to 256"):
        read_cloud(data)
    assert time.process_time() - begin < 0.1  # reading them takes more than a second


def refusal(data: bytes) -> str:
    try:
        read_cloud(data)
    except InputError as error:
        return str(error)
    return ""


@given(st.binary(max_size=60), st.integers(0, 1), st.integers(0, 40))
def test_what_is_no_cloud_is_refused_in_one_line(data, byte_order, kept):
    for hostile in (data, bytes([0, byte_order]) + data, cloud_of_fields(2)[:kept] + data):
        assert "\n" not in refusal(hostile)


def test_clouds_of_either_byte_order_are_read():
    assert read_cloud(serialize_message(cloud_message(START, AHEAD))) == cloud_message(START, AHEAD)
    big = struct.pack(">4sIII8sIII", b"\0\0\0\0", 7, 8, 5, b"left\0", 2, 3, 0)
    big += struct.pack(">?xxxIII?", False, 0, 0, 0, True)
    cloud = read_cloud(big)
    assert (cloud.header.stamp.sec, cloud.header.frame_id) == (7, "left")
    assert (cloud.height, cloud.width, cloud.is_dense) == (2, 3, True)


def test_the_node_keeps_none_of_it(make_rig, predictor):
    rig = make_rig()
    cloud = cloud_message(START, AHEAD)
    cloud.fields += [PointField(name=f"f{n}", datatype=7, count=1) for n in range(5_000)]
    rig.radar(cloud)
    rig.images.publish(image_message(START, frame="CAM_FRONT"))
    rig.answer_to(START)
    key = "dropped: /depth/input/radar: unusable cloud"
    wait_until(lambda: rig.diagnostics.get(key) == "1", what="diagnostics to count it")
    assert not rig.node._worker._radars["/depth/input/radar"]._sweeps
