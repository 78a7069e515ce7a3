"""The node over real DDS: one answer per image, the right radar, and survival."""

import gc
import time
import weakref

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from node_rig import (
    FOCAL,
    HEIGHT,
    SECOND,
    START,
    WIDTH,
    camera_info_message,
    cloud_message,
    image_message,
    nanoseconds,
    odometry_message,
    wait_until,
)
from rclpy.context import Context
from sensor_msgs.msg import Image
from untrained_model import write_untrained_model

from lircdepth_core.errors import InputError
from lircdepth_core.inference import Predictor

pytestmark = pytest.mark.timed

LOAD = Predictor.load  # the rig puts another in its place
MS = 1_000_000
AHEAD = [[20.0, 2.0, 0.0, 5.0, -8.0, 1.0]]


def last_call(predictor, count=1):
    wait_until(lambda: len(predictor.calls) >= count, what=f"{count} inferences")
    return predictor.calls[count - 1]


def test_an_answer_has_the_stamp_frame_and_size_of_its_image(make_rig, predictor):
    rig = make_rig()
    rig.images.publish(image_message(START))
    depth = rig.answer_to(START)
    assert depth.header.frame_id == "CAM_FRONT"
    assert (depth.width, depth.height, depth.encoding) == (WIDTH, HEIGHT, "32FC1")
    values = np.frombuffer(depth.data, np.float32).reshape(HEIGHT, depth.step // 4)
    assert (values == 10.0).all()
    for topic in ("uncertainty/image_rect", "depth/camera_info"):
        other = wait_until(lambda topic=topic: rig.outputs[f"/depth/output/{topic}"])[0]
        assert other.header == depth.header
    assert rig.outputs["/depth/output/depth/camera_info"][0].p[0] == FOCAL


def test_each_answer_holds_its_own_depth_and_sigma(make_rig, predictor):
    rig = make_rig()
    sigmas = rig.outputs["/depth/output/uncertainty/image_rect"]
    for number in (1, 2, 3):
        at = START + number * SECOND
        rig.images.publish(image_message(at))
        depth = np.frombuffer(rig.answer_to(at).data, np.float32)
        assert (depth == 10.0 * number).all()
        sigma = wait_until(lambda at=at: [m for m in sigmas if nanoseconds(m) == at])[0]
        assert (np.frombuffer(sigma.data, np.float32) == number).all()


def test_maps_of_the_networks_size_come_with_their_camera_info(make_rig, tmp_path):
    model = write_untrained_model(tmp_path / "model", FOCAL / 2)
    rig = make_rig(load=LOAD, model=model, output_size="network")
    rig.images.publish(image_message(START))
    depth = rig.answer_to(START, timeout=30.0)
    assert (depth.width, depth.height) == (WIDTH // 2, HEIGHT // 2)
    values = np.frombuffer(depth.data, np.float32)
    assert len(values) == WIDTH * HEIGHT // 4
    assert (values > 0).all()
    info = wait_until(lambda: rig.outputs["/depth/output/depth/camera_info"])[0]
    assert (info.width, info.height) == (WIDTH // 2, HEIGHT // 2)
    assert info.k[0] == info.p[0] == FOCAL / 2


def test_radar_is_moved_to_the_camera(make_rig, predictor):
    rig = make_rig()
    rig.radar(cloud_message(START, AHEAD))
    rig.images.publish(image_message(START))
    radar = last_call(predictor).radar
    # 20 m ahead of a radar that sits 2 m before and 1 m below the camera, 2 m to the left.
    np.testing.assert_allclose(radar.position, [[-2.0, 1.0, 22.0]], atol=1e-9)
    np.testing.assert_allclose(radar.rcs, [5.0])
    np.testing.assert_allclose(radar.velocity, [[-8.0, 1.0]], atol=1e-6)


def test_a_sweep_stamped_after_the_image_is_waited_for(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    rig.radar(cloud_message(START - 95 * MS, AHEAD))
    rig.images.publish(image_message(START))
    rig.radar(cloud_message(START + 52 * MS, [[30.0, 0.0, 0.0, 0.0, 0.0, 0.0]]))
    radar = last_call(predictor).radar
    assert radar.position[0, 2] == pytest.approx(32.0)


def test_the_nearest_sweep_on_either_side_is_used(make_rig, predictor):
    rig = make_rig()
    for offset, distance in ((-60, 10.0), (-20, 20.0), (40, 30.0)):
        rig.radar(cloud_message(START + offset * MS, [[distance, 0, 0, 0, 0, 0]]))
    wait_until(lambda: rig.diagnostics.get("/depth/input/radar: received") == "3")
    rig.images.publish(image_message(START))
    assert last_call(predictor).radar.position[0, 2] == pytest.approx(22.0)


def test_a_sweep_too_far_from_the_image_is_not_used_and_the_camera_alone_answers(
    make_rig, predictor
):
    rig = make_rig()
    rig.radar(cloud_message(START - 150 * MS, AHEAD))
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    assert last_call(predictor).radar is None
    wait_until(
        lambda: any("no sweep of /depth/input/radar" in key for key in rig.diagnostics),
        what="diagnostics that say so",
    )


def test_a_silent_radar_is_not_waited_for(make_rig, predictor):
    rig = make_rig(radar_wait=5.0, radar_silence=0.3)
    rig.radar(cloud_message(START - SECOND, AHEAD))
    wait_until(lambda: rig.diagnostics.get("/depth/input/radar: received") == "1")
    wait_until(lambda: rig.diagnostics.get("/depth/input/radar: rate [Hz]"))
    time.sleep(0.4)
    begin = time.monotonic()
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    assert time.monotonic() - begin < 2.0


def test_two_radars_of_different_yaw_are_merged(make_rig, predictor):
    topics = ("/radar_front", "/radar_left")
    rig = make_rig(topics, radar_wait=2.0)
    rig.radar(cloud_message(START, AHEAD), "/radar_front")
    # The left radar looks to the left: its x is the vehicle's y. It sees 1 m/s along its x.
    left = cloud_message(START + MS, [[2.0, -25.0, 0.0, 7.0, 1.0, -6.0]], "RADAR_LEFT")
    rig.radar(left, "/radar_left")
    rig.images.publish(image_message(START))
    radar = last_call(predictor).radar
    assert len(radar) == 2
    order = np.argsort(radar.rcs)
    # Left radar at (3, 1): point at x = 3 + 25, y = 1 + 2 of the vehicle; camera at x = 1.5.
    np.testing.assert_allclose(radar.position[order][1], [-3.0, 1.0, 26.5], atol=1e-6)
    np.testing.assert_allclose(radar.velocity[order][1], [6.0, 1.0], atol=1e-6)


def test_ego_motion_between_the_stamps_is_compensated(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    rig.radar(cloud_message(START - 50 * MS, AHEAD))
    rig.radar(cloud_message(START + 90 * MS, []))
    for offset in range(-200, 201, 20):
        rig.odometry.publish(odometry_message(START + offset * MS, x=20.0 * offset / 1000))
    rig.images.publish(image_message(START))
    radar = last_call(predictor).radar
    # 20 m/s for 50 ms: the vehicle came 1 m nearer.
    np.testing.assert_allclose(radar.position, [[-2.0, 1.0, 21.0]], atol=1e-6)


def test_a_turning_vehicle_turns_what_the_radar_saw(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    rig.radar(cloud_message(START - 50 * MS, [[18.5, 0.0, 0.0, 0, 0, 0]]))
    rig.radar(cloud_message(START + 90 * MS, []))
    for offset in range(-200, 201, 20):
        rig.odometry.publish(odometry_message(START + offset * MS, 0.0, yaw=0.5 * offset / 1000))
    rig.images.publish(image_message(START))
    radar = last_call(predictor).radar
    # 22 m from the base; 25 mrad further left-turned, it lies to the right.
    expected = [22 * np.sin(0.025), 1.0, 22 * np.cos(0.025) - 1.5]
    np.testing.assert_allclose(radar.position, [expected], atol=1e-5)


def test_sweeps_are_accumulated_each_by_its_own_motion(make_rig, predictor):
    rig = make_rig(radar_sweeps=3, radar_wait=2.0)
    for offset in range(-400, 201, 20):
        rig.odometry.publish(odometry_message(START + offset * MS, x=10.0 * offset / 1000))
    for offset in (-300, -200, -100, 0):
        rig.radar(cloud_message(START + offset * MS, [[20.0, 0, 0, 0, 0, 0]]))
    rig.images.publish(image_message(START))
    radar = last_call(predictor).radar
    np.testing.assert_allclose(sorted(radar.position[:, 2]), [20.0, 21.0, 22.0], atol=1e-6)


def test_every_image_is_answered_or_counted_and_the_newest_wins(make_rig, predictor):
    predictor.seconds = 0.15
    rig = make_rig(radar_wait=0.0)
    for index in range(20):
        rig.images.publish(image_message(START + index * 50 * MS))
        time.sleep(0.02)
    rig.answer_to(START + 19 * 50 * MS)
    counts = wait_until(
        lambda: (
            (c := rig.counts())["received"] == 20
            and c["answered"] + c.get("dropped: replaced by newer", 0) == 20
            and c
        ),
        what="every image accounted for",
    )
    assert 2 <= counts["answered"] < 20
    answered = [nanoseconds(message) for message in rig.depths]
    assert answered == sorted(answered)


def test_no_camera_info_drops_the_image_with_that_reason(make_rig, predictor):
    rig = make_rig(camera_info=False, camera_info_wait=0.1)
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.diagnostics.get("dropped: no camera_info") == "1")
    rig.infos.publish(camera_info_message())
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)


def test_a_camera_info_that_comes_after_the_first_image_is_waited_for(make_rig, predictor):
    rig = make_rig(camera_info=False, camera_info_wait=5.0)
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.counts()["received"] == 1)
    rig.infos.publish(camera_info_message())
    rig.answer_to(START)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda m: setattr(m, "step", 7), "step"),
        (lambda m: setattr(m, "encoding", "rgb9"), "encoding"),
        (lambda m: setattr(m, "width", 300), "camera_info"),
        (lambda m: setattr(m, "data", m.data[:100]), "bytes"),
    ],
)
def test_a_bad_image_is_counted_and_the_next_one_answered(make_rig, predictor, spoil, word):
    rig = make_rig()
    bad = image_message(START)
    spoil(bad)
    rig.images.publish(bad)
    wait_until(lambda: rig.diagnostics.get("dropped: unusable image") == "1")
    assert rig.level == DiagnosticStatus.ERROR
    assert word in rig.message
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)


def test_a_bad_cloud_is_counted_and_the_image_answered_without_it(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    bad = cloud_message(START, AHEAD)
    bad.point_step = 9
    rig.radar(bad)
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    wait_until(lambda: rig.diagnostics.get("dropped: /depth/input/radar: unusable cloud") == "1")
    rig.radar(cloud_message(START + SECOND, AHEAD))
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)
    assert len(predictor.calls[-1].radar) == 1


def test_a_radar_of_unknown_frame_is_named(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    rig.radar(cloud_message(START, AHEAD, frame="RADAR_NOWHERE"))
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    wait_until(lambda: "RADAR_NOWHERE" in (rig.message or ""))
    assert "answered without: no transform for /depth/input/radar" in rig.diagnostics


def test_a_failing_inference_is_counted_and_the_next_image_answered(make_rig, predictor):
    predictor.failures = 1
    rig = make_rig()
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.diagnostics.get("dropped: inference failed") == "1")
    assert "the network broke" in rig.message
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)


def test_a_looping_bag_is_survived_ego_motion_included(make_rig, predictor):
    rig = make_rig(radar_wait=2.0)
    for _ in range(3):
        for index in range(4):
            at = START + index * SECOND
            for offset in range(-100, 101, 20):
                x = 10.0 * (at - START + offset * MS) / SECOND
                rig.odometry.publish(odometry_message(at + offset * MS, x))
            rig.radar(cloud_message(at + 50 * MS, AHEAD))
            rig.images.publish(image_message(at))
            wait_until(
                lambda at=at: rig.depths and nanoseconds(rig.depths[-1]) == at,
                what=f"the answer to {at}",
            )
    assert len(rig.depths) == 12
    # The radar drove on for 50 ms at 10 m/s before it saw what is 22 m before the camera.
    distances = [call.radar.position[0, 2] for call in predictor.calls]
    np.testing.assert_allclose(distances, 22.5, atol=1e-6)
    wait_until(lambda: rig.diagnostics.get("images: stamps jumped back") == "2")
    assert "answered without: ego motion not compensated" not in rig.diagnostics


def test_old_images_are_dropped_by_reception_not_by_their_stamp_of_years_ago(make_rig, predictor):
    rig = make_rig(max_image_age=0.5, radar_wait=0.0)
    predictor.gate.clear()
    rig.images.publish(image_message(START))
    wait_until(lambda: predictor.calls, what="the first inference")
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: rig.counts()["received"] == 2)
    time.sleep(0.6)
    predictor.gate.set()
    # The one became old in the network, the other before its turn.
    wait_until(lambda: rig.counts().get("dropped: older than max_image_age") == 2)
    assert len(predictor.calls) == 1
    rig.images.publish(image_message(START + 2 * SECOND))
    rig.answer_to(START + 2 * SECOND)
    assert rig.counts()["answered"] == 1


def test_old_images_are_dropped_by_their_stamp_where_that_is_asked_for(make_rig, predictor):
    rig = make_rig(max_image_age=5.0, age_from_stamps=True, radar_wait=0.0)
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.counts().get("dropped: older than max_image_age") == 1)
    now = time.time_ns()
    rig.images.publish(image_message(now))
    rig.answer_to(now)
    assert len(predictor.calls) == 1


@pytest.mark.parametrize(
    ("parameters", "ahead"),
    [({"use_sim_time": True}, 0), ({"age_from_stamps": True}, 3600 * SECOND)],
    ids=["no clock", "a stamp of the future"],
)
def test_where_stamps_tell_no_age_it_counts_from_reception(make_rig, predictor, parameters, ahead):
    rig = make_rig(max_image_age=0.3, radar_wait=0.0, **parameters)
    predictor.seconds = 0.6
    rig.images.publish(image_message(time.time_ns() + ahead))
    wait_until(lambda: rig.counts().get("dropped: older than max_image_age") == 1)
    assert rig.counts()["answered"] == 0


def test_depth_that_may_be_wrong_is_a_warning(make_rig, predictor):
    rig = make_rig(topics=(), radar_wait=0.0)
    predictor.doubts = ("the model is UNTRAINED",)
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    wanted = "depth may be wrong: the model is UNTRAINED"
    wait_until(lambda: rig.level == DiagnosticStatus.WARN and wanted in rig.message)
    predictor.doubts = ()
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)
    wait_until(lambda: rig.level == DiagnosticStatus.OK, what="the warning's end")


def test_approximate_sync_answers_pairs_and_counts_the_rest(make_rig, predictor):
    rig = make_rig(sync="approximate", approximate_slop=0.03, approximate_queue_size=3)
    for index in range(6):
        at = START + index * 100 * MS
        rig.images.publish(image_message(at))
        if index % 2 == 0:
            rig.radar(cloud_message(at + 10 * MS, AHEAD))
            rig.answer_to(at)
    assert all(len(call.radar) == 1 for call in predictor.calls)
    wait_until(lambda: rig.diagnostics.get("/depth/input/image: received") == "6")
    rig.trigger("deactivate")
    counts = rig.counts()
    assert counts["answered"] == 3
    assert counts["received"] == 6
    assert counts["dropped: no radar to synchronise with"] == 2
    assert counts["dropped: node stopped"] == 1  # the last one's might still have come


def test_approximate_sync_goes_on_when_a_bag_loops(make_rig, predictor):
    rig = make_rig(sync="approximate", approximate_slop=0.03)
    for _ in range(2):
        for index in range(12):
            at = START + index * SECOND
            rig.radar(cloud_message(at + 10 * MS, AHEAD))
            rig.images.publish(image_message(at))
            wait_until(
                lambda at=at: rig.depths and nanoseconds(rig.depths[-1]) == at,
                what=f"the answer to {at}",
            )
    assert rig.counts() == {"received": 24, "answered": 24}


@pytest.mark.parametrize("sync", ["nearest", "approximate"])
def test_a_negative_stamp_is_counted_and_survived(make_rig, predictor, sync):
    rig = make_rig(sync=sync)
    bad = image_message(START)
    bad.header.stamp.sec = -5
    rig.images.publish(bad)
    bad_cloud = cloud_message(START, AHEAD)
    bad_cloud.header.stamp.sec = -5
    rig.radar(bad_cloud)
    for key in ("dropped: negative stamp", "dropped: /depth/input/radar: negative stamp"):
        wait_until(lambda key=key: rig.diagnostics.get(key) == "1")
    assert rig.counts()["received"] == 1
    rig.radar(cloud_message(START, AHEAD))
    rig.images.publish(image_message(START))
    rig.answer_to(START)


def test_a_negative_stamp_of_camera_info_is_never_read(make_rig, predictor):
    rig = make_rig(topics=(), camera_info=False)
    info = camera_info_message()
    info.header.stamp.sec = -5
    rig.infos.publish(info)
    rig.images.publish(image_message(START))
    rig.answer_to(START)


def test_cleanup_forgets_a_worker_that_was_given_up(make_rig, predictor, monkeypatch):
    monkeypatch.setattr("lircdepth_ros.worker._STOP_SECONDS", 0.1)
    rig = make_rig(topics=())
    given_up = weakref.ref(rig.node._worker)
    predictor.gate.clear()
    rig.images.publish(image_message(START))
    wait_until(lambda: predictor.calls)
    rig.trigger("deactivate")
    predictor.gate.set()
    wait_until(lambda: not rig.node.has_unfinished_image)
    rig.trigger("cleanup")
    gc.collect()
    assert given_up() is None


def test_a_shutdown_amid_work_answers_the_image_in_work_and_counts_the_others(make_rig, predictor):
    rig = make_rig(topics=())
    predictor.seconds = 0.5
    rig.images.publish(image_message(START))
    wait_until(lambda: predictor.calls)
    rig.images.publish(image_message(START + 100 * MS))
    wait_until(lambda: rig.counts()["received"] == 2)
    rig.trigger("shutdown")
    counts = rig.counts()
    dropped = sum(count for name, count in counts.items() if name.startswith("dropped: "))
    assert (counts["received"], counts["answered"], dropped) == (2, 1, 1)
    assert not rig.node.has_unfinished_image
    rig.answer_to(START)


def test_an_older_image_does_not_replace_a_newer_one(make_rig, predictor):
    predictor.seconds = 0.4
    rig = make_rig(topics=())
    for offset in (0, 100, 70):
        rig.images.publish(image_message(START + offset * MS))
        wait_until(lambda n=offset: rig.counts()["received"] >= 1)
        time.sleep(0.05)
    rig.answer_to(START + 100 * MS)
    counts = wait_until(lambda: rig.counts()["received"] == 3 and rig.counts())
    assert counts["dropped: came after a newer one"] == 1


def test_a_transition_that_the_state_does_not_have_does_not_stop_the_node(make_rig, predictor):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    rig = make_rig()
    client = rig.peer.create_client(ChangeState, "/depth/change_state")
    assert client.wait_for_service(10)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    client.call_async(request)
    wait_until(lambda: rig.raised, what="rclpy to raise")
    rig.raised.clear()
    rig.images.publish(image_message(START))
    rig.answer_to(START)


def test_a_failed_activation_leaves_nothing_behind(make_rig, predictor):
    from rclpy.lifecycle import TransitionCallbackReturn

    rig = make_rig()
    node = rig.node
    rig.trigger("deactivate")
    node._settings.values.radar_topics = ["~/input/radar", "/depth/input/radar"]
    assert rig.trigger("activate") == TransitionCallbackReturn.FAILURE
    wait_until(lambda: "/depth/input/radar is named for two" in (rig.message or ""))
    assert rig.level == DiagnosticStatus.ERROR
    wait_until(lambda: not rig.images.get_subscription_count(), what="no subscription")
    node._settings.values.radar_topics = ["~/input/radar"]
    assert rig.trigger("activate") == TransitionCallbackReturn.SUCCESS
    wait_until(rig.images.get_subscription_count)
    rig.infos.publish(camera_info_message())
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    assert rig.counts() == {"received": 1, "answered": 1}


def test_deactivating_while_an_image_waits_counts_it(make_rig, predictor):
    rig = make_rig(radar_wait=8.0, radar_silence=8.0)
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.counts()["received"] == 1)
    rig.trigger("deactivate")
    assert rig.counts() == {"received": 1, "answered": 0, "dropped: node stopped": 1}


def test_without_a_clock_simulated_time_stops_neither_diagnostics_nor_subscriptions(
    make_rig, predictor
):
    rig = make_rig(use_sim_time=True, image_type="auto")
    assert rig.diagnostics
    rig.images.publish(image_message(START))
    rig.answer_to(START)


def test_where_rectification_finds_no_image_there_is_no_depth(make_rig, predictor):
    rig = make_rig(input_rectified=False, camera_info=False, topics=())
    info = camera_info_message()
    info.distortion_model, info.d = "plumb_bob", [0.0] * 5
    info.p[0] = info.p[5] = info.k[0] / 2  # twice the view of the image
    rig.infos.publish(info)
    rig.images.publish(image_message(START))
    answer = rig.answer_to(START)
    depth = np.frombuffer(bytes(answer.data), np.float32).reshape(answer.height, answer.width)
    shown = np.zeros(depth.shape, bool)
    shown[depth.shape[0] // 4 : -(depth.shape[0] // 4)] = True
    shown[:, : depth.shape[1] // 4] = shown[:, -(depth.shape[1] // 4) :] = False
    np.testing.assert_array_equal(np.isfinite(depth), shown)


def test_a_camera_that_the_network_cannot_take_is_an_unusable_camera_info(
    make_rig, predictor, monkeypatch
):
    def refuse(camera):
        raise InputError("camera: of a strange focal length")

    monkeypatch.setattr(predictor, "output_camera", refuse)
    rig = make_rig()
    rig.images.publish(image_message(START))
    wait_until(lambda: "of a strange focal length" in (rig.message or ""))
    assert rig.counts()["dropped: unusable camera_info"] == 1


def test_a_silent_camera_is_a_warning(make_rig, predictor):
    rig = make_rig()
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    wait_until(lambda: "no image answered for" in (rig.message or ""), what="the warning")
    assert rig.level == DiagnosticStatus.WARN


def test_a_reliability_override_is_kept(make_rig, predictor):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    name = "qos_overrides./depth/input/image.subscription.reliability"
    rig = make_rig(**{name: "best_effort"})
    (entry,) = rig.peer.get_subscriptions_info_by_topic("/depth/input/image")
    assert entry.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    rig.peer.create_publisher(Image, "/depth/input/image", QoSProfile(depth=1))
    time.sleep(0.5)
    (entry,) = rig.peer.get_subscriptions_info_by_topic("/depth/input/image")
    assert entry.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_a_publisher_that_a_reliability_override_shuts_out_is_a_warning(make_rig, predictor):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    topic = "/depth/input/image"
    rig = make_rig(**{f"qos_overrides.{topic}.subscription.reliability": "reliable"})
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    rig.peer.create_publisher(Image, topic, best_effort)
    expected = f"{topic}: incompatible QoS: a publisher offers another reliability"
    wait_until(lambda: (rig.message or "").startswith(expected), what="the warning")
    assert rig.level == DiagnosticStatus.WARN
    assert rig.diagnostics[f"{topic}: incompatible QoS"] == "1"
    assert not any(name.startswith("dropped") for name in rig.diagnostics)


def test_a_latched_camera_info_sent_before_the_node_is_received(make_rig, predictor):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import CameraInfo

    rig = make_rig(camera_info=False, camera_info_wait=5.0)
    rig.peer.destroy_publisher(rig.infos)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rig.peer.create_publisher(CameraInfo, "/depth/input/camera_info", latched).publish(
        camera_info_message()
    )
    rig.images.publish(image_message(START))
    rig.answer_to(START)


def test_a_publisher_of_the_other_image_type_is_followed(make_rig, predictor):
    import cv2
    from sensor_msgs.msg import CompressedImage

    rig = make_rig(image_type="auto")
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    rig.peer.destroy_publisher(rig.images)
    wait_until(lambda: not rig.node.count_publishers("/depth/input/image"))
    # A DDS participant keeps a topic's type, so another one comes with the new camera.
    context = Context()
    rclpy.init(context=context)
    camera = rclpy.create_node("camera", context=context)
    images = camera.create_publisher(CompressedImage, "/depth/input/image", 10)
    wait_until(images.get_subscription_count, what="the subscription of the new type")
    message = CompressedImage(header=image_message(START + SECOND).header, format="jpeg")
    message.data.frombytes(
        cv2.imencode(".jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    )
    images.publish(message)
    rig.answer_to(START + SECOND)
    camera.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_topic_of_another_type_is_named_as_long_as_its_publisher_is_there(make_rig, predictor):
    from sensor_msgs.msg import CompressedImage, LaserScan

    rig = make_rig()
    rig.peer.destroy_publisher(rig.images)
    # A DDS participant keeps a topic's type, so another one comes from another.
    context = Context()
    rclpy.init(context=context)
    other = rclpy.create_node("other", context=context)
    made = [
        other.create_publisher(CompressedImage, "/depth/input/image", 10),
        other.create_publisher(LaserScan, "/depth/input/radar", 10),
    ]
    told = (
        "/depth/input/image cannot be read: its publishers offer sensor_msgs/msg/CompressedImage; "
        "sensor_msgs/msg/Image is needed"
    )
    wait_until(lambda: told in (rig.message or ""), what="the warning")
    assert rig.level == DiagnosticStatus.WARN
    # The radar's own publisher is there too.
    assert "/depth/input/radar cannot be read" not in rig.message
    rig.peer.destroy_publisher(rig.radars.pop("/depth/input/radar"))
    wait_until(lambda: "sensor_msgs/msg/LaserScan; " in rig.message, what="the radar's warning")
    for publisher in made:
        other.destroy_publisher(publisher)
    wait_until(lambda: "cannot be read" not in rig.message, what="the warning's end")
    other.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_camera_faster_than_its_radar_gets_radar_for_every_image(make_rig, predictor):
    rig = make_rig(radar_wait=5.0, max_radar_age=0.04)
    for group in range(5):
        begin = START + group * SECOND // 10
        for number in range(3):
            rig.images.publish(image_message(begin + number * 33 * MS))
        time.sleep(0.3)  # on a machine that falls behind, images are rightly left out
        rig.radar(cloud_message(begin, AHEAD))
    rig.radar(cloud_message(START + SECOND // 2, AHEAD))
    wait_until(lambda: rig.counts()["answered"] == 15, what="15 answers")
    assert all(len(call.radar) == 1 for call in predictor.calls)
    stamps = [nanoseconds(message) for message in rig.depths]
    assert stamps == sorted(stamps)


def test_a_remapped_name_is_not_remapped_again(make_rig, predictor):
    remaps = ["--ros-args", "-r", "~/input/image:=/cam", "-r", "/cam:=/never"]
    rig = make_rig(arguments=remaps, image_topic="/cam")
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    wait_until(lambda: rig.diagnostics.get("/cam: received") == "1")


def test_the_node_can_be_deactivated_activated_and_cleaned_up(make_rig, predictor, monkeypatch):
    rig = make_rig()
    rig.trigger("deactivate")
    rig.images.publish(image_message(START))
    wait_until(lambda: rig.message == "inactive", what="diagnostics of the inactive node")
    rig.trigger("activate")
    wait_until(lambda: rig.images.get_subscription_count(), what="the subscription")
    rig.infos.publish(camera_info_message())
    rig.images.publish(image_message(START + SECOND))
    rig.answer_to(START + SECOND)
    assert not [m for m in rig.depths if nanoseconds(m) == START]
    given_back = []
    monkeypatch.setattr(
        "lircdepth_ros.depth_node.release_device_memory", lambda: given_back.append(True)
    )
    rig.trigger("deactivate")
    assert not given_back
    rig.trigger("cleanup")
    wait_until(lambda: rig.message == "unconfigured")
    assert given_back


def test_colours_are_made_only_for_listeners(make_rig, predictor, monkeypatch):
    import lircdepth_ros.depth_node as depth_node

    made = []
    original = depth_node.colourise
    monkeypatch.setattr(depth_node, "colourise", lambda *args: made.append(args) or original(*args))
    rig = make_rig()
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    assert not made
    pictures = []
    rig.peer.create_subscription(Image, "/depth/debug/depth_color", pictures.append, 10)
    wait_until(lambda: rig.node.count_subscribers("/depth/debug/depth_color"))
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: pictures)
    assert pictures[0].encoding == "bgr8"
    assert len(made) == 1


def test_a_reliable_subscription_becomes_best_effort_when_a_publisher_asks_for_it(
    make_rig, predictor
):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    rig = make_rig()
    best_effort = rig.peer.create_publisher(
        Image,
        "/depth/input/image",
        QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
    )
    wait_until(best_effort.get_subscription_count, what="a subscription it can match")
    best_effort.publish(image_message(START))
    rig.answer_to(START)


def test_a_misspelt_parameter_is_named(make_rig, predictor, capfd):
    given = {"max_radar_agee": 0.2, "gain": 1.0, "use_sim_time": False}
    make_rig(**given, **{"qos_overrides./depth/input/image.subscription.depth": 5})
    warned = [line for line in capfd.readouterr().err.splitlines() if "unknown" in line]
    assert [line.partition("parameter ")[2] for line in warned] == [
        "gain is unknown and ignored",
        "max_radar_agee is unknown and ignored; did you mean max_radar_age?",
    ]


@pytest.mark.parametrize("name", ["~/input/image.subscription.depth", "/depth/input/image.x.depth"])
def test_a_qos_override_of_no_input_is_named(name, make_rig, predictor, capfd):
    make_rig(**{f"qos_overrides.{name}": 5})
    (warned,) = (line for line in capfd.readouterr().err.splitlines() if "is ignored" in line)
    assert f"parameter qos_overrides.{name} is ignored: no input has it" in warned
    assert "qos_overrides./depth/input/image.subscription.reliability (or depth)" in warned


def test_parameters_change_at_run_time_within_their_bounds(make_rig, predictor):
    from rclpy.parameter import Parameter

    rig = make_rig()
    node = rig.node
    assert node.set_parameters([Parameter("max_radar_age", value=0.5)])[0].successful
    rig.radar(cloud_message(START - 300 * MS, AHEAD))
    rig.images.publish(image_message(START))
    assert len(last_call(predictor).radar) == 1
    assert not node.set_parameters([Parameter("max_radar_age", value=-1.0)])[0].successful
    for bad in ([1.0], [5.0, 5.0], [float("inf"), 1.0], [float("nan"), 1.0]):
        assert not node.set_parameters([Parameter("debug_depth_range", value=bad)])[0].successful
    assert not node.set_parameters([Parameter("model", value="other")])[0].successful
