"""Which sweeps belong to an image, without ROS."""

from hypothesis import given
from hypothesis import strategies as st

from lircdepth_ros.sensors import RadarSweeps, radar_is_complete

MS = 1_000_000
SECOND = 1000 * MS


def sweeps_at(*stamps, received=0.0):
    radar = RadarSweeps("/radar")
    for stamp in stamps:
        radar.add(stamp * MS, f"cloud {stamp}", received)
    return radar


def chosen(radar, stamp, max_age=100, count=1):
    return [sweep.stamp // MS for sweep in radar.select(stamp * MS, max_age * MS, count)]


def test_the_nearest_sweep_wins_on_either_side():
    radar = sweeps_at(1000, 1077, 1154)
    assert chosen(radar, 1060) == [1077]
    assert chosen(radar, 1100) == [1077]
    assert chosen(radar, 1120) == [1154]


def test_a_sweep_beyond_the_age_limit_is_not_used():
    radar = sweeps_at(1000)
    assert chosen(radar, 1100) == [1000]
    assert chosen(radar, 1101) == []
    assert chosen(radar, 899) == []


def test_accumulation_takes_the_nearest_and_those_before_it():
    radar = sweeps_at(800, 900, 1000, 1100)
    assert chosen(radar, 1010, count=3) == [1000, 900, 800]
    assert chosen(radar, 810, count=3) == [800]


def test_accumulation_ends_at_a_gap():
    assert chosen(sweeps_at(800, 900, 6000, 6100), 6100, count=4) == [6100, 6000]


def test_sweeps_that_arrive_out_of_order_are_sorted():
    radar = sweeps_at(1000, 1100, 1050)
    assert chosen(radar, 1055) == [1050]
    assert radar.has_reached(1100 * MS)


def test_a_jump_back_forgets_the_old_time():
    radar = sweeps_at(5000, 5100)
    assert radar.add(1000 * MS, "looped", 0.0)
    assert chosen(radar, 5000) == []
    assert chosen(radar, 1000) == [1000]


def test_an_image_that_jumps_back_first_forgets_sweeps_of_its_future():
    # Those about its own stamp are of the old time too.
    radar = sweeps_at(900, 1000, 1900, 5000, 5100)
    radar.forget_after(1000 * MS)
    assert not radar.has_reached(900 * MS)


def test_sweeps_of_the_new_time_stay_when_an_image_jumps_back_later():
    radar = sweeps_at(5000, 5100, 1000, 1100)
    radar.forget_after(950 * MS)
    assert radar.has_reached(1100 * MS)
    assert not radar.has_reached(1200 * MS)


def complete(radars, stamp, now, since=0.0):
    return radar_is_complete(radars, stamp * MS, now, silence=1.0, since=since)


def test_waiting_ends_when_each_live_radar_has_reached_the_image():
    early, late = sweeps_at(900), sweeps_at(1000)
    assert not complete([early, late], 950, now=0.5)
    assert complete([early, late], 900, now=0.5)


def test_a_sweep_that_could_only_be_farther_away_is_not_waited_for():
    radar = sweeps_at(*range(1000, 1600, 100))
    assert complete([radar], 1500 + 37, now=0.5)
    assert not complete([radar], 1500 + 38, now=0.5)  # the next may come at 1575
    assert not complete([sweeps_at(*range(1100, 1600, 100))], 1501, now=0.5)  # too few to tell
    with_a_gap = sweeps_at(1000, 1100, 1200, 1500, 1600, 1700)
    assert complete([with_a_gap], 1737, now=0.5)
    assert not complete([with_a_gap], 1738, now=0.5)
    two_scans = sweeps_at(1000, 1001, 1080, 1081, 1160, 1161, 1240)
    assert not complete([two_scans], 1241, now=0.5)


def test_a_silent_radar_is_not_waited_for():
    assert complete([sweeps_at(900)], 950, now=1.1)


def test_a_radar_never_heard_is_waited_for_in_the_first_second_of_images_only():
    assert not complete([RadarSweeps("/never")], 950, now=5.5, since=5.0)
    assert complete([RadarSweeps("/never")], 950, now=6.1, since=5.0)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(0, 3000))
def test_the_choice_is_the_nearest_of_all_kept(stamps, at):
    radar = RadarSweeps("/radar")
    kept = []
    for stamp in stamps:
        if radar.add(stamp * MS, None, 0.0):
            kept = []
        kept.append(stamp)
    best = min(abs(stamp - at) for stamp in kept)
    found = chosen(radar, at)
    assert bool(found) == (best <= 100)
    assert not found or abs(found[0] - at) == best


def test_large_clouds_are_kept_up_to_a_number_of_bytes_and_the_newest_always():
    radar = RadarSweeps("/radar", max_bytes=100)
    for stamp, size in ((1, 40), (2, 40), (3, 40)):
        radar.add(stamp * MS, stamp, 0.0, size)
    assert [sweep.cloud for sweep in radar.select(3 * MS, MS, 9)] == [3, 2]
    radar.add(4 * MS, 4, 0.0, 1000)
    assert [sweep.cloud for sweep in radar.select(4 * MS, MS, 9)] == [4]


def test_a_sweep_sent_twice_is_accumulated_once_and_the_later_message_counts():
    radar = RadarSweeps("/radar")
    for stamp, cloud in ((1, "first"), (2, "second"), (3, "third"), (2, "again")):
        radar.add(stamp * MS, cloud, 0.0)
    assert [sweep.cloud for sweep in radar.select(3 * MS, MS, 9)] == ["third", "again", "first"]
