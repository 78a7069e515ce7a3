"""Faults around the node, over real DDS: it answers, or says why not, and recovers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from described_model import describe_model
from diagnostic_msgs.msg import DiagnosticStatus
from node_rig import (
    SECOND,
    START,
    RecordingPredictor,
    camera_info_message,
    cloud_message,
    image_message,
    nanoseconds,
    wait_until,
)
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from lircdepth_core.inference import Predictor

pytestmark = pytest.mark.timed

MS = 1_000_000
AHEAD = [[20.0, 0.0, 0.0, 5.0, -1.0, 0.0]]


def ask(rig, at):
    rig.images.publish(image_message(at))
    return rig.answer_to(at)


def accounted_for(rig, received):
    def all_of_them():
        counts = rig.counts()
        dropped = sum(n for key, n in counts.items() if key.startswith("dropped: "))
        return counts["received"] == received == counts["answered"] + dropped and counts

    return wait_until(all_of_them, what=f"{received} images accounted for")


def test_a_camera_stops_and_returns(make_rig, predictor):
    rig = make_rig(topics=())
    ask(rig, START)
    wait_until(lambda: "no image answered for" in (rig.message or ""), what="the warning")
    assert rig.level == DiagnosticStatus.WARN
    ask(rig, START + 10 * SECOND)
    wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status again")


def silence_is_said(rig):
    wait_until(lambda: "no image answered for" in (rig.message or ""), what="the warning")
    assert rig.level == DiagnosticStatus.WARN


def test_a_camera_whose_publishers_go_and_return_with_another_qos(make_rig, predictor):
    rig = make_rig(topics=())
    ask(rig, START)
    for number, (reliability, durability) in enumerate(
        (
            (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.TRANSIENT_LOCAL),
            (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ),
        start=1,
    ):
        rig.peer.destroy_publisher(rig.images)
        rig.peer.destroy_publisher(rig.infos)
        silence_is_said(rig)
        qos = QoSProfile(depth=1, reliability=reliability)
        rig.images = rig.peer.create_publisher(Image, "/depth/input/image", qos)
        qos = QoSProfile(depth=1, durability=durability)
        rig.infos = rig.peer.create_publisher(CameraInfo, "/depth/input/camera_info", qos)
        for publisher in (rig.images, rig.infos):
            wait_until(publisher.get_subscription_count, what="the node's subscription")
        # It returns as another camera.
        rig.infos.publish(camera_info_message(width=320 + 32 * number))
        received = str(number + 1)
        wait_until(lambda n=received: rig.diagnostics["/depth/input/camera_info: received"] == n)
        rig.images.publish(image_message(START + number * SECOND, width=320 + 32 * number))
        assert rig.answer_to(START + number * SECOND).width == 320 + 32 * number
        wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status again")
    assert rig.counts() == {"received": 3, "answered": 3}


CAMERA = """
import sys, time
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from node_rig import SECOND, image_message
rclpy.init()
qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[sys.argv[1]])
images = rclpy.create_node("camera").create_publisher(Image, "/depth/input/image", qos)
at = int(sys.argv[2])
while True:
    images.publish(image_message(at))
    at += SECOND // 10
    time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("first", "second"), [("RELIABLE", "BEST_EFFORT"), ("BEST_EFFORT", "RELIABLE")]
)
def test_a_camera_process_that_is_killed_and_returns_with_another_qos(
    make_rig, predictor, first, second
):
    rig = make_rig(topics=())
    rig.peer.destroy_publisher(rig.images)
    support = Path(__file__).resolve().parents[1] / "support"
    path = os.pathsep.join((str(support), os.environ.get("PYTHONPATH", "")))
    for reliability, begin in ((first, START), (second, START + 100 * SECOND)):
        camera = subprocess.Popen(
            [sys.executable, "-c", CAMERA, reliability, str(begin)],
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            wait_until(
                lambda n=begin: sum(nanoseconds(m) >= n for m in rig.depths) >= 3, 30, "answers"
            )
            wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status")
        finally:
            camera.kill()  # DDS takes the dead one for alive while the next begins
            camera.wait()
        silence_is_said(rig)
    counts = rig.counts()
    assert counts["answered"] >= 6
    assert counts.keys() <= {"received", "answered", "dropped: replaced by newer"}


def test_a_radar_stops_and_returns(make_rig, predictor):
    rig = make_rig(radar_wait=8.0, radar_silence=0.3)
    rig.radar(cloud_message(START, AHEAD))
    ask(rig, START)
    assert len(predictor.calls[-1].radar) == 1
    time.sleep(0.4)
    begin = time.monotonic()
    ask(rig, START + SECOND)
    assert time.monotonic() - begin < 7.0
    assert predictor.calls[-1].radar is None
    rig.radar(cloud_message(START + 2 * SECOND, AHEAD))
    wait_until(lambda: rig.diagnostics.get("/depth/input/radar: received") == "2")
    ask(rig, START + 2 * SECOND)
    assert len(predictor.calls[-1].radar) == 1


def test_stamps_of_zero_of_the_future_and_back_again_are_answered(make_rig, predictor):
    rig = make_rig(topics=())
    for at in (0, START, START + 3600 * SECOND, START + SECOND, 0, START + 2 * SECOND):
        rig.depths.clear()
        ask(rig, at)
    assert rig.counts() == {"received": 6, "answered": 6}


def test_a_repeated_stamp_is_answered_or_counted(make_rig, predictor):
    rig = make_rig(topics=())
    for _ in range(5):
        rig.images.publish(image_message(START))
    counts = accounted_for(rig, 5)
    assert counts["answered"] >= 1


def test_a_bag_loops_fifty_times(make_rig, predictor):
    rig = make_rig(radar_wait=0.2)
    for loop in range(50):
        for index in range(3):
            at = START + index * SECOND
            rig.radar(cloud_message(at, AHEAD))
            rig.images.publish(image_message(at))
            count = 3 * loop + index + 1
            wait_until(lambda n=count: rig.counts()["answered"] == n, what=f"answer {count}")
    assert rig.counts() == {"received": 150, "answered": 150}
    assert all(call.radar is not None for call in predictor.calls)
    wait_until(lambda: rig.diagnostics.get("images: stamps jumped back") == "49")


def test_ten_times_its_rate_costs_neither_latency_nor_memory(make_rig, predictor):
    predictor.seconds = 0.1
    rig = make_rig(topics=(), radar_wait=0.0)
    ask(rig, START)
    begin, before = time.monotonic(), resident_bytes()
    waiting = []
    for number in range(1, 201):
        at = START + number * 10 * MS
        rig.images.publish(image_message(at))
        time.sleep(0.01)
        waiting.append(len(rig.node._worker._waiting))
    assert max(waiting) <= 2
    rig.answer_to(START + 200 * 10 * MS)
    received = int(wait_until(lambda: rig.diagnostics.get("/depth/input/image: received")))
    assert received >= 190  # the reader keeps the newest; what it loses is counted by DDS
    counts = accounted_for(rig, rig.counts()["received"])
    assert 15 <= counts["answered"] <= 2 + (time.monotonic() - begin) / predictor.seconds
    stages = rig.diagnostics
    # Waiting for the image in work and its own inference; the newest is never far behind.
    assert float(wait_until(lambda: stages.get("in all p95 [ms]"))) < 600
    # 18 MiB for the work; the 200 images would take 37 more.
    assert resident_bytes() - before < 36 * 2**20
    assert [nanoseconds(m) for m in rig.depths] == sorted(nanoseconds(m) for m in rig.depths)


def resident_bytes():
    with open("/proc/self/statm") as file:  # noqa: PTH123 as the kernel writes it
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_subscriber_that_takes_nothing_holds_nobody_up(make_rig, predictor):
    import rclpy

    rig = make_rig(topics=())
    context = Context()
    rclpy.init(context=context)
    asleep = rclpy.create_node("asleep", context=context)
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    asleep.create_subscription(Image, "/depth/output/depth/image_rect", lambda m: None, reliable)
    try:
        wait_until(lambda: rig.peer.count_subscribers("/depth/output/depth/image_rect") == 2)
        begin = time.monotonic()
        for number in range(30):
            ask(rig, START + number * 100 * MS)
        assert time.monotonic() - begin < 15
    finally:
        asleep.destroy_node()
        rclpy.try_shutdown(context=context)


def test_inference_that_always_fails_is_an_error_until_it_can(make_rig, predictor):
    rig = make_rig(topics=())
    ask(rig, START)
    predictor.failures = 10**6
    for number in range(1, 6):
        rig.images.publish(image_message(START + number * SECOND))
        wait_until(lambda n=number: rig.counts().get("dropped: inference failed") == n)
    wait_until(lambda: rig.level == DiagnosticStatus.ERROR, what="an error in the diagnostics")
    assert "the network broke" in rig.message
    predictor.failures = 0
    # More than one: the status is good only once the error is old and while an answer is not.
    end, number = time.monotonic() + 10, 10
    while rig.level != DiagnosticStatus.OK:
        assert time.monotonic() < end, "no good status again"
        ask(rig, START + number * SECOND)
        number += 1
        time.sleep(0.1)


class BreakableNetwork(torch.nn.Module):
    """Answers 20 m, or in NaN, as half precision that overflows does."""

    broken = False

    def forward(self, image, radar):
        depth = torch.full_like(image[:, :1], float("nan") if self.broken else 20.0)
        return SimpleNamespace(depth=depth, uncertainty=torch.full_like(depth, 0.5))


def model_around(network):
    model = describe_model(focal_length=260.0)
    return staticmethod(lambda *_, **__: Predictor(model, network, "cpu"))


def test_a_network_that_answers_in_nan_is_an_error_until_it_does_not(make_rig):
    network = BreakableNetwork()
    rig = make_rig(topics=(), load=model_around(network))
    ask(rig, START)
    network.broken = True
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: rig.counts().get("dropped: inference failed") == 1)
    wait_until(lambda: rig.level == DiagnosticStatus.ERROR, what="an error in the diagnostics")
    assert (
        "NonFiniteError: the network: depth is negative or not finite at 61440 of 61440"
        in rig.message
    )
    network.broken = False
    ask(rig, START + 2 * SECOND)
    assert rig.counts() == {"received": 3, "answered": 2, "dropped: inference failed": 1}


def test_a_network_that_answers_in_nan_from_the_start_is_not_configured(make_rig):
    network = BreakableNetwork()
    rig = make_rig(topics=(), load=model_around(network))
    assert rig.trigger("deactivate") == TransitionCallbackReturn.SUCCESS
    assert rig.trigger("cleanup") == TransitionCallbackReturn.SUCCESS
    network.broken = True
    assert rig.trigger("configure") == TransitionCallbackReturn.FAILURE
    wait_until(lambda: "configure failed: NonFiniteError: the network" in rig.message)
    assert rig.level == DiagnosticStatus.ERROR


def test_inference_that_hangs_is_an_error_until_it_answers(make_rig, predictor):
    rig = make_rig(topics=(), hang_after=0.5)
    predictor.seconds = 1.0  # the first of its size: an engine may be built
    ask(rig, START)
    assert rig.level != DiagnosticStatus.ERROR
    predictor.gate.clear()
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: rig.level == DiagnosticStatus.ERROR, what="an error in the diagnostics")
    assert "inference hangs: an image has been in work for" in rig.message
    assert not rig.node.gave_up
    predictor.gate.set()
    rig.answer_to(START + SECOND)
    wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status again")


def test_a_new_focal_length_at_the_same_image_size_may_build_an_engine(make_rig, predictor):
    rig = make_rig(topics=(), hang_after=0.5)
    ask(rig, START)
    rig.infos.publish(camera_info_message(focal=520.0))
    wait_until(lambda: rig.diagnostics.get("/depth/input/camera_info: received") == "2")
    levels = []
    predictor.seconds = 1.5
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: levels.append(rig.level) or len(rig.depths) == 2, what="the answer")
    assert DiagnosticStatus.ERROR not in levels
    predictor.seconds = 0.0
    rig.infos.publish(camera_info_message())  # the first again, whose engine is there
    wait_until(lambda: rig.diagnostics.get("/depth/input/camera_info: received") == "3")
    predictor.gate.clear()
    rig.images.publish(image_message(START + 2 * SECOND))
    wait_until(lambda: rig.level == DiagnosticStatus.ERROR, what="an error in the diagnostics")
    predictor.gate.set()
    rig.answer_to(START + 2 * SECOND)


def test_what_hung_while_it_was_deactivated_is_not_published(make_rig, predictor, monkeypatch):
    monkeypatch.setattr("lircdepth_ros.worker._STOP_SECONDS", 0.2)
    rig = make_rig(topics=(), hang_after=0.05)
    predictor.gate.clear()
    rig.images.publish(image_message(START))
    wait_until(lambda: predictor.calls, what="the image in the network")
    assert rig.trigger("deactivate") == TransitionCallbackReturn.SUCCESS
    assert rig.trigger("activate") == TransitionCallbackReturn.FAILURE
    wait_until(lambda: "still hangs in the network" in rig.message, what="the reason")
    assert rig.level == DiagnosticStatus.ERROR
    predictor.gate.set()
    wait_until(lambda: rig.counts().get("dropped: node stopped") == 1, what="the image dropped")
    wait_until(lambda: not rig.node.has_unfinished_image, what="the worker's end")
    assert rig.trigger("activate") == TransitionCallbackReturn.SUCCESS
    wait_until(lambda: rig.images.get_subscription_count(), what="the subscription")
    rig.infos.publish(camera_info_message())
    ask(rig, START + SECOND)
    assert [nanoseconds(m) for m in rig.depths] == [START + SECOND]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_gpu_that_runs_out_of_memory_is_replaced_by_the_cpu_if_allowed(
    allowed, make_rig, predictor, monkeypatch
):
    lost = RecordingPredictor()
    lost.device = "cuda:0"
    by_device = {"auto": lost, "cpu": predictor}
    load = staticmethod(lambda *_, device, **__: by_device[device])
    rig = make_rig(topics=(), cpu_fallback=allowed, load=load)
    ask(rig, START)
    lost.error, lost.failures = torch.OutOfMemoryError("CUDA out of memory"), 10
    rig.images.publish(image_message(START + SECOND))
    if not allowed:
        wait_until(lambda: rig.counts().get("dropped: inference failed") == 1)
        return
    rig.answer_to(START + SECOND)
    assert len(predictor.calls) == 1
    wait_until(lambda: rig.diagnostics.get("device") == "cpu")
    assert rig.diagnostics["warned of: GPU"] == "1"
    assert "cuda:0 failed" in rig.message
    assert rig.counts() == {"received": 2, "answered": 2}


def test_a_gpu_that_fails_while_the_model_is_loaded_is_replaced_by_the_cpu(
    make_rig, predictor, monkeypatch
):
    monkeypatch.setattr("lircdepth_core.inference.cpu_fallback.cuda_devices", lambda: 1)

    def load(*_, device, **__):
        if device == "auto":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predictor

    rig = make_rig(topics=(), cpu_fallback=True, load=staticmethod(load))
    ask(rig, START)
    wait_until(lambda: rig.diagnostics.get("device") == "cpu")
    assert rig.diagnostics["warned of: GPU"] == "1"


def test_a_back_end_that_torch_replaces_is_warned_of(make_rig, predictor):
    """As slow as the CPU where a card failed, and for as good as ever."""
    warn = []

    def load(*_, **given):
        warn.append(given["warn"])
        return predictor

    rig = make_rig(topics=(), load=staticmethod(load))
    ask(rig, START)
    warn[0]("tensorrt, the fastest, fails: a library is gone; from now on torch answers")
    wait_until(lambda: rig.diagnostics.get("warned of: back end") == "1")
    level, message = keep_asking(rig, START + SECOND, 0.5)
    assert level == DiagnosticStatus.WARN
    assert "back end: tensorrt, the fastest, fails" in message


def keep_asking(rig, begin, seconds):
    """Ask for depth for so many seconds, from a stamp on; the level and message then."""
    end, at = time.monotonic() + seconds, begin
    while time.monotonic() < end:
        ask(rig, at)
        at += SECOND
        time.sleep(0.2)
    return rig.level, rig.message


def test_a_lost_gpu_is_a_warning_until_the_model_is_loaded_anew(make_rig, predictor, monkeypatch):
    monkeypatch.setattr("lircdepth_core.inference.cpu_fallback.cuda_devices", lambda: 1)
    monkeypatch.setattr("lircdepth_ros.health.RECENT_SECONDS", 0.5)
    lost = [True]

    def load(*_, device, **__):
        if device == "auto" and lost[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predictor

    rig = make_rig(topics=(), cpu_fallback=True, load=staticmethod(load))
    level, message = keep_asking(rig, START, 1.5)
    assert level == DiagnosticStatus.WARN
    assert "CUDA out of memory" in message
    assert rig.diagnostics["warned of: GPU"] == "1"
    lost[0] = False
    rig.trigger("deactivate")
    rig.trigger("cleanup")
    rig.trigger("configure")
    rig.trigger("activate")
    wait_until(rig.images.get_subscription_count, what="the subscription")
    wait_until(rig.infos.get_subscription_count, what="the subscription")
    rig.infos.publish(camera_info_message())
    ask(rig, START + 100 * SECOND)
    wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status")


def test_distortion_without_p_is_a_warning_until_another_camera_info_comes(
    make_rig, predictor, monkeypatch
):
    monkeypatch.setattr("lircdepth_ros.health.RECENT_SECONDS", 0.5)
    rig = make_rig(topics=(), camera_info=False)
    info = camera_info_message()
    info.distortion_model, info.d = "plumb_bob", [0.1, 0.0, 0.0, 0.0, 0.0]
    info.p = [0.0] * 12
    rig.infos.publish(info)
    level, message = keep_asking(rig, START, 1.5)
    assert level == DiagnosticStatus.WARN
    assert "camera_info has distortion and no P" in message
    rig.infos.publish(camera_info_message())
    wait_until(lambda: rig.diagnostics["/depth/input/camera_info: received"] == "2")
    ask(rig, START + 100 * SECOND)
    wait_until(lambda: rig.level == DiagnosticStatus.OK, what="a good status")


def test_an_image_named_raw_with_distortion_is_a_warning(make_rig, predictor, monkeypatch):
    monkeypatch.setattr("lircdepth_ros.health.RECENT_SECONDS", 0.5)
    remap = ["--ros-args", "-r", "~/input/image:=/camera/image_raw"]
    rig = make_rig(topics=(), camera_info=False, arguments=remap, image_topic="/camera/image_raw")
    info = camera_info_message()
    info.distortion_model, info.d = "plumb_bob", [0.1, 0.0, 0.0, 0.0, 0.0]
    rig.infos.publish(info)
    level, message = keep_asking(rig, START, 1.5)
    assert level == DiagnosticStatus.WARN
    assert message.startswith("/camera/image_raw has distortion and is named raw: ")
    assert "set input_rectified: false" in message


def test_radar_that_never_lands_in_the_image_is_a_warning_until_it_does(
    make_rig, predictor, monkeypatch
):
    monkeypatch.setattr("lircdepth_ros.health.RECENT_SECONDS", 0.5)
    monkeypatch.setattr("lircdepth_ros.worker._UNSEEN_SECONDS", 0.5)
    rig = make_rig()

    def ask_for_a_second(begin, points):
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            rig.radar(cloud_message(begin, points))
            ask(rig, begin)
            begin += SECOND
            time.sleep(0.1)
        return rig.level, rig.message

    level, message = ask_for_a_second(START, [[-20, 0, 0, 0, 0, 0], [-30, 1, 0, 0, 0, 0]])
    assert level == DiagnosticStatus.WARN
    assert "no radar return is in the image: of 2 returns in RADAR_FRONT 2 lie behind" in message
    assert "REP 103" in message
    _, message = ask_for_a_second(START + 100 * SECOND, [])
    assert "no points" in message
    level, _ = ask_for_a_second(START + 200 * SECOND, AHEAD)
    assert level == DiagnosticStatus.OK


def test_another_camera_info_in_the_middle_is_followed(make_rig, predictor):
    rig = make_rig(topics=())
    ask(rig, START)
    rig.infos.publish(camera_info_message(width=640, height=384))
    wait_until(lambda: rig.diagnostics.get("/depth/input/camera_info: received") == "2")
    rig.images.publish(image_message(START + SECOND))
    wait_until(lambda: rig.counts().get("dropped: unusable image") == 1)
    rig.images.publish(image_message(START + 2 * SECOND, width=640, height=384))
    answer = rig.answer_to(START + 2 * SECOND)
    assert (answer.width, answer.height) == (640, 384)


def test_what_is_larger_than_allowed_is_dropped_with_that_reason(make_rig, predictor):
    rig = make_rig(topics=(), max_image_pixels=320 * 192)
    rig.infos.publish(camera_info_message(width=640, height=384))
    wait_until(lambda: rig.diagnostics.get("/depth/input/camera_info: received") == "2")
    rig.images.publish(image_message(START + SECOND, width=640, height=384))
    wait_until(lambda: rig.counts().get("dropped: unusable camera_info") == 1)
    wait_until(lambda: "give up to 61440 pixels" in rig.message)


@pytest.mark.parametrize("sync", ["nearest", "approximate"])
@pytest.mark.parametrize(
    ("limit", "told"), [("max_cloud_points", "4 points"), ("max_cloud_bytes", "96 bytes")]
)
def test_a_cloud_beyond_a_limit_is_counted_when_it_comes_and_never_again(
    make_rig, predictor, sync, limit, told
):
    rig = make_rig(sync=sync, **{limit: 3 if limit == "max_cloud_points" else 3 * 24})
    rig.radar(cloud_message(START, AHEAD * 4))
    counted = f"dropped: /depth/input/radar: more than {limit}"
    wait_until(lambda: rig.diagnostics.get(counted) == "1", what="the cloud's count")
    assert rig.level == DiagnosticStatus.WARN
    assert told in rig.message
    ask(rig, START)
    assert not len(predictor.calls[-1].radar)
    rig.radar(cloud_message(START + SECOND, AHEAD * 3))
    wait_until(lambda: rig.diagnostics.get("/depth/input/radar: received") == "2")
    ask(rig, START + SECOND)
    assert len(predictor.calls[-1].radar) == 3
    assert rig.diagnostics[counted] == "1"
    assert not [key for key in rig.diagnostics if "unusable" in key]


def test_open_files_do_not_grow(make_rig, predictor):
    rig = make_rig(topics=())
    ask(rig, START)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(1, 40):
        ask(rig, START + number * SECOND)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_images_that_come_while_the_node_is_held_up_are_counted_as_lost(make_rig, predictor):
    rig = make_rig()
    rig.images.publish(image_message(START))
    rig.answer_to(START)
    go_on = threading.Event()
    rig.executors[0].create_task(go_on.wait)
    time.sleep(0.2)  # until it is held up
    for index in range(1, 31):
        rig.images.publish(image_message(START + index * SECOND // 10))
        time.sleep(0.01)
    time.sleep(0.2)  # until the last has come
    go_on.set()
    rig.answer_to(START + 3 * SECOND)

    def counted(what):
        return int(rig.diagnostics[f"/depth/input/image: {what}"].split()[0])

    wait_until(lambda: counted("received") + counted("messages lost") == 31, what="31 images")
    assert counted("messages lost") >= 19  # it keeps ten, and may have taken one just before
