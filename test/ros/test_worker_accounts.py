"""The worker's accounts, without DDS: every image given to it is answered or dropped, once."""

import random
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from node_rig import START, RecordingPredictor, camera_info_message, cloud_message, image_message

from lircdepth_ros.health import Health
from lircdepth_ros.parameters import describe_parameters
from lircdepth_ros.stamps import stamp_nanoseconds
from lircdepth_ros.transforms import PoseMayComeError, PoseUnavailableError, RadarPose
from lircdepth_ros.waiting_images import WaitingImages
from lircdepth_ros.worker import DepthWorker

pytestmark = pytest.mark.timed

MILLISECOND = 1_000_000
RADARS = ("/front", "/left")
RETURN = [[20.0, 0.0, 0.0, 0.0, 0.0, 0.0]]


class Poses:
    """A radar at the camera, or what `fails` chooses to raise."""

    def __init__(self, fails=lambda final: None):
        self._fails = fails

    def radar_pose(self, *_stamps_and_frames, final):
        error = self._fails(final)
        if error is not None:
            raise error
        return RadarPose(np.eye(4))

    def begin(self):
        pass

    def forget_after(self, stamp):
        pass


class Accounts:
    """A worker, what was given to it and what came of it."""

    def __init__(self, poses=None, seconds=0.0, **parameters):
        defaults = {entry.name: entry.default for entry in describe_parameters()}
        self.parameters = SimpleNamespace(**{**defaults, **parameters})
        self.predictor = RecordingPredictor()
        self.predictor.seconds = seconds
        self.health = Health(lambda text: None)
        self.given = []
        self.published = []
        self.worker = DepthWorker(
            self.predictor,
            poses or Poses(),
            list(RADARS),
            lambda: self.parameters,
            self.health,
            lambda answer: self.published.append(stamp_nanoseconds(answer.image.header.stamp)),
            lambda: None,
        )

    def image(self, stamp, synchronised=False):
        self.given.append(stamp)
        message = image_message(stamp, width=64, height=32)
        if synchronised:
            self.worker.on_synchronised(message, ((RADARS[0], cloud_message(stamp, RETURN)),))
        else:
            self.worker.on_image(message)

    def radar(self, topic, stamp):
        self.worker.on_radar(topic, cloud_message(stamp, RETURN))

    def camera_info(self):
        self.worker.on_camera_info(camera_info_message(width=64, height=32))

    @property
    def dropped(self):
        """Reasons and how many images each cost."""
        counts = self.health.snapshot()
        return {name: count for name, count in counts.items() if name.startswith("dropped")}

    def wait_for(self, count):
        deadline = time.monotonic() + 10
        while len(self.published) < count:
            assert time.monotonic() < deadline, f"{count} answers: {self.health.snapshot()}"
            time.sleep(0.002)

    def check(self):
        counts = self.health.snapshot()
        assert counts["received"] == len(self.given)
        assert counts["answered"] == len(self.published)
        assert len(self.given) == len(self.published) + sum(self.dropped.values()), counts
        assert not Counter(self.published) - Counter(self.given)


def with_three_waiting():
    """A worker that was given three images and waits for their radar."""
    accounts = Accounts(radar_wait=5.0)
    accounts.worker.start()
    accounts.camera_info()
    for index in range(3):
        accounts.image(START + index * 10 * MILLISECOND)
    time.sleep(0.1)  # the thread has seen them: it waits
    return accounts


def test_images_that_wait_are_dropped_by_stop_each_counted_once():
    accounts = with_three_waiting()
    accounts.worker.stop()
    assert accounts.dropped == {"dropped: node stopped": 3}
    assert accounts.worker.has_ended
    accounts.check()


def test_images_that_wait_for_one_sweep_are_all_answered_in_their_order():
    accounts = with_three_waiting()
    for topic in RADARS:
        accounts.radar(topic, START + 30 * MILLISECOND)
    accounts.wait_for(3)
    accounts.worker.stop()
    assert accounts.published == accounts.given
    assert all(call.radar is not None for call in accounts.predictor.calls)
    accounts.check()


def test_where_a_bag_begins_again_no_image_loses_its_radar():
    accounts = Accounts(radar_wait=5.0)
    accounts.worker.start()
    accounts.camera_info()
    length = 80  # more than the sweeps that are kept
    for loop in range(2):
        for index in range(length):
            stamp = START + index * 100 * MILLISECOND
            accounts.image(stamp)
            time.sleep(0 if index else 0.05)  # the thread has seen it, before its radar comes
            for topic in RADARS:
                accounts.radar(topic, stamp + 10 * MILLISECOND)
            accounts.wait_for(length * loop + index + 1)
    accounts.worker.stop()
    assert len(accounts.predictor.calls) == 2 * length
    assert all(call.radar is not None for call in accounts.predictor.calls)
    accounts.check()


@pytest.mark.parametrize("wrong", [0, START - 3_600_000 * MILLISECOND], ids=["zero", "past"])
def test_an_image_with_a_wrong_stamp_does_not_end_the_wait_of_another(wrong):
    accounts = Accounts(radar_wait=1.0)
    accounts.worker.start()
    accounts.camera_info()
    for topic in RADARS:
        accounts.radar(topic, START - 100 * MILLISECOND)
    accounts.image(START)
    accounts.image(wrong)
    time.sleep(0.1)
    for topic in RADARS:
        accounts.radar(topic, START + 10 * MILLISECOND)
    accounts.wait_for(2)
    accounts.worker.stop()
    assert sorted(accounts.published) == [wrong, START]
    assert sum(call.radar is not None for call in accounts.predictor.calls) == 1
    accounts.check()


@pytest.mark.parametrize("seed", range(16))
def test_whatever_comes_every_image_is_answered_or_counted_once(seed):
    draw = random.Random(seed)
    errors = [None] * 13 + [PoseMayComeError("later")] * 4
    errors += [PoseUnavailableError("no such frame")] * 2 + [RuntimeError("broken poses")]

    def fails(final):
        error = draw.choice(errors)
        return None if final and isinstance(error, PoseMayComeError) else error

    accounts = Accounts(
        Poses(fails),
        seconds=draw.choice([0.0, 0.003, 0.015]),
        radar_wait=draw.choice([0.0, 0.02, 0.08]),
        camera_info_wait=draw.choice([0.0, 0.05, 0.5]),
        max_image_age=draw.choice([0.0, 0.0, 0.03]),
        radar_sweeps=draw.choice([1, 3]),
    )
    accounts.predictor.failures = draw.choice([0, 0, 5])
    if draw.random() < 0.5:
        accounts.worker._waiting = WaitingImages(max_bytes=3 * 64 * 32 * 3)
    accounts.worker.start()
    info_after, now = draw.choice([0, 0, 10, 50]), START
    for index in range(80):
        if index == info_after:
            accounts.camera_info()
        now += draw.choice([5, 10, 33, -3]) * MILLISECOND
        if draw.random() < 0.04:
            now -= 3000 * MILLISECOND
        kind = draw.random()
        if kind < 0.6:
            accounts.image(now, synchronised=kind > 0.5)
        else:
            age = draw.choice([0, 20, 60]) * MILLISECOND
            accounts.radar(draw.choice(RADARS), now - age)
        if draw.random() < 0.3:
            time.sleep(draw.choice([0.001, 0.01]))
    time.sleep(draw.choice([0.0, 0.1]))
    accounts.worker.stop()
    assert accounts.worker.has_ended
    accounts.check()
