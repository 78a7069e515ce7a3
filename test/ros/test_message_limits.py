"""What only the hostile make long is cut before it is kept, and refused when it is used."""

from __future__ import annotations

import pytest
from nav_msgs.msg import Odometry
from node_rig import START, camera_info_message, cloud_message, image_message, wait_until
from sensor_msgs.msg import PointField

from lircdepth_core.errors import InputError
from lircdepth_ros.conversions import RadarFields, camera_from_message, radar_from_message
from lircdepth_ros.message_limits import MAX_CLOUD_FIELDS, MAX_TEXT, cut_long_parts

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


def test_the_node_keeps_none_of_it(make_rig, predictor):
    rig = make_rig()
    cloud = cloud_message(START, AHEAD)
    cloud.fields += [PointField(name=f"f{n}", datatype=7, count=1) for n in range(5_000)]
    rig.radar(cloud)
    rig.images.publish(image_message(START, frame="CAM_FRONT"))
    rig.answer_to(START)
    wait_until(lambda: "more than 256 fields" in (rig.message or ""), what="the warning")
    sweeps = rig.node._worker._radars["/depth/input/radar"]._sweeps
    assert [len(sweep.cloud.fields) for sweep in sweeps] == [MAX_CLOUD_FIELDS + 1]
