"""Radars and odometry whose stamps are wrong, over real DDS: what images are answered with."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_rig import SECOND, START, cloud_message, image_message, odometry_message, wait_until

pytestmark = pytest.mark.timed

MS = 1_000_000
HOUR = 3600 * SECOND
DRIVE = 16
"""Messages of a drive."""

STILL, DRIVING = 22.0, 21.0
"""Metres from the camera to what is seen, without ego motion and after 50 ms at 20 m/s."""

TOPIC = "/depth/input/radar"
NO_SWEEP = f"answered without: no sweep of {TOPIC} within max_radar_age"
UNCOMPENSATED = "answered without: ego motion not compensated"


def send(rig, *clouds):
    """Publish (stamp, number of points) and wait until the node has them."""
    before = int(rig.diagnostics[f"{TOPIC}: received"])
    for at, points in clouds:
        rig.radar(cloud_message(at, [[20.0, 0.0, 0.0, 5.0, -1.0, 0.0]] * points))
    wanted = str(before + len(clouds))
    wait_until(lambda: rig.diagnostics[f"{TOPIC}: received"] == wanted, what="the clouds' arrival")


def points_seen(rig, predictor, at):
    """Ask for the depth of an image: how many radar points the network was given, or None."""
    rig.images.publish(image_message(at))
    rig.answer_to(at)
    radar = predictor.calls[-1].radar
    return None if radar is None else len(radar)


def expect(rig, **counts):
    """The diagnostics come to say so many; zero: they do not mention it."""
    for key, count in counts.items():
        wanted = str(count) if count else None
        wait_until(lambda k=key, n=wanted: rig.diagnostics.get(k) == n, what=f"{key}: {count}")


def expect_jumps(rig, count, topic=TOPIC):
    expect(rig, **{f"{topic}: stamps jumped back": count})


def drive(rig, at, speed=20.0):
    """Odometry at 50 Hz from 200 ms before a stamp to 100 ms after it, m/s."""
    for offset in range(-200, 101, 20):
        rig.odometry.publish(odometry_message(at + offset * MS, x=speed * offset / 1000))


def odometry_arrives(rig, count):
    key = "/depth/input/odometry: received"
    wait_until(lambda: rig.diagnostics[key] == str(count), what=f"{count} odometry messages")


@pytest.mark.parametrize("wrong", [0, START + HOUR], ids=["zero", "future"])
def test_a_radar_with_wrong_stamps_is_done_without_until_they_are_right(make_rig, predictor, wrong):
    rig = make_rig(radar_wait=0.2)
    for number in range(3):
        send(rig, (wrong + number, 1))
        assert points_seen(rig, predictor, START + number * SECOND) is None
    expect(rig, **{NO_SWEEP: 3})
    wait_until(lambda: rig.level == DiagnosticStatus.WARN, what="the warning")
    assert f"no sweep of {TOPIC} within max_radar_age" in rig.message
    send(rig, (START + 3 * SECOND, 2))
    assert points_seen(rig, predictor, START + 3 * SECOND) == 2
    expect(rig, **{NO_SWEEP: 3})
    expect_jumps(rig, 1 if wrong > START else 0)
    assert rig.counts() == {"received": 4, "answered": 4}


@pytest.mark.parametrize("wrong", [0, START + HOUR, START - HOUR], ids=["zero", "future", "past"])
def test_one_cloud_with_a_wrong_stamp_costs_no_more_than_its_own_turn(make_rig, predictor, wrong):
    rig = make_rig(radar_wait=0.2)
    send(rig, (START, 1))
    assert points_seen(rig, predictor, START) == 1
    send(rig, (wrong, 9))
    assert points_seen(rig, predictor, START + SECOND) is None
    expect(rig, **{NO_SWEEP: 1})
    for number in (2, 3):
        send(rig, (START + number * SECOND, number))
        assert points_seen(rig, predictor, START + number * SECOND) == number
    expect(rig, **{NO_SWEEP: 1})
    expect_jumps(rig, 1)


@pytest.mark.parametrize("wrong", [0, START + HOUR, START - HOUR], ids=["zero", "future", "past"])
def test_one_image_with_a_wrong_stamp_costs_no_more_than_its_own_turn(make_rig, predictor, wrong):
    rig = make_rig(radar_wait=0.2)
    drive(rig, START)
    odometry_arrives(rig, DRIVE)
    send(rig, (START, 1), (START + 90 * MS, 4))
    assert points_seen(rig, predictor, START) == 1
    assert points_seen(rig, predictor, wrong) is None
    for offset in (20, 80):
        assert points_seen(rig, predictor, START + offset * MS) == (1 if offset == 20 else 4)
    expect(rig, **{NO_SWEEP: 1, UNCOMPENSATED: 0})


def test_clouds_that_come_in_another_order_than_their_stamps_are_put_in_order(make_rig, predictor):
    rig = make_rig(radar_sweeps=3, radar_wait=0.2)
    drive(rig, START)
    odometry_arrives(rig, DRIVE)
    send(rig, (START - 100 * MS, 1), (START, 2), (START - 50 * MS, 4), (START + 200 * MS, 8))
    assert points_seen(rig, predictor, START - 40 * MS) == 4 + 1
    assert points_seen(rig, predictor, START) == 2 + 4 + 1
    expect_jumps(rig, 0)


def test_a_repeated_stamp_is_one_sweep_the_last_of_its_clouds(make_rig, predictor):
    rig = make_rig(radar_sweeps=3, radar_wait=0.2)
    drive(rig, START)
    odometry_arrives(rig, DRIVE)
    send(rig, (START - 50 * MS, 1), *[(START, points) for points in (2, 8, 4)])
    assert points_seen(rig, predictor, START) == 4 + 1
    # A radar whose clock stands still is done without once its stamp is too old.
    send(rig, (START, 4))
    assert points_seen(rig, predictor, START + SECOND) is None
    expect(rig, **{NO_SWEEP: 1})
    expect_jumps(rig, 0)


def distance_seen(rig, predictor, at):
    """The distance, m, of what a radar saw 20 m ahead of it 50 ms before the image."""
    send(rig, (at - 50 * MS, 1), (at + 90 * MS, 0))
    rig.images.publish(image_message(at))
    rig.answer_to(at)
    return pytest.approx(predictor.calls[-1].radar.position[0, 2], abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (0, "odometry has a gap at the stamps"),
        (START - HOUR, "odometry has a gap at the stamps"),
        (START + HOUR, "odometry begins after the stamps"),
    ],
    ids=["zero", "past", "future"],
)
def test_one_wrong_stamp_of_odometry_costs_no_more_than_the_motion_around_it(
    make_rig, predictor, wrong, reason
):
    rig = make_rig(radar_wait=0.5)
    drive(rig, START)
    odometry_arrives(rig, DRIVE)
    assert distance_seen(rig, predictor, START) == DRIVING
    at = START + SECOND
    rig.odometry.publish(odometry_message(wrong, x=-500.0))
    rig.odometry.publish(odometry_message(at + 60 * MS, x=1.2))
    odometry_arrives(rig, DRIVE + 2)
    assert distance_seen(rig, predictor, at) == STILL
    expect(rig, **{UNCOMPENSATED: 1})
    assert reason in wait_until(lambda: rig.message, what="a message")
    expect_jumps(rig, 1, "odometry")
    drive(rig, START + 2 * SECOND)
    odometry_arrives(rig, 2 * DRIVE + 2)
    assert distance_seen(rig, predictor, START + 2 * SECOND) == DRIVING
    expect(rig, **{UNCOMPENSATED: 1})


def test_an_image_amid_odometry_of_the_future_is_not_given_its_motion(make_rig, predictor):
    rig = make_rig(radar_wait=0.5)
    rig.odometry.publish(odometry_message(START - 200 * MS, x=0.0))
    rig.odometry.publish(odometry_message(START + HOUR, x=1e6))
    odometry_arrives(rig, 2)
    assert distance_seen(rig, predictor, START) == STILL
    expect(rig, **{UNCOMPENSATED: 1})
    assert "odometry has a gap at the stamps" in rig.message


def test_odometry_that_is_always_stamped_zero_is_done_without_and_named(make_rig, predictor):
    rig = make_rig(radar_wait=0.2)
    for number in range(3):
        rig.odometry.publish(odometry_message(0, x=float(number)))
        odometry_arrives(rig, number + 1)
        assert distance_seen(rig, predictor, START + number * SECOND) == STILL
    expect(rig, **{UNCOMPENSATED: 3})
    wait_until(lambda: "odometry ended before the stamps" in rig.message, what="the reason")
    assert rig.level == DiagnosticStatus.WARN
    expect_jumps(rig, 0, "odometry")


def test_odometry_of_a_negative_stamp_is_counted_and_the_rest_used(make_rig, predictor):
    rig = make_rig(radar_wait=0.5)
    bad = odometry_message(START, x=-500.0)
    bad.header.stamp.sec = -5
    rig.odometry.publish(bad)
    expect(rig, **{"dropped: /depth/input/odometry: negative stamp": 1})
    drive(rig, START)
    odometry_arrives(rig, DRIVE + 1)
    assert distance_seen(rig, predictor, START) == DRIVING


def test_odometry_in_another_order_and_repeated_is_put_in_order_the_last_counts(
    make_rig, predictor
):
    rig = make_rig(radar_wait=0.5)
    drive(rig, START, speed=5.0)
    offsets = np.random.default_rng(0).permutation(np.arange(-200, 101, 20))
    for offset in map(int, offsets):
        rig.odometry.publish(odometry_message(START + offset * MS, x=20.0 * offset / 1000))
    odometry_arrives(rig, 2 * DRIVE)
    assert distance_seen(rig, predictor, START) == DRIVING
    expect(rig, **{UNCOMPENSATED: 0})
    expect_jumps(rig, 0, "odometry")
