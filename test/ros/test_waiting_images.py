"""Which of the waiting images is answered next, without ROS."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lircdepth_ros import waiting_images
from lircdepth_ros.waiting_images import WaitingImage, WaitingImages

LIMIT = 0.08


def image(received, size=1):
    return WaitingImage(SimpleNamespace(data=bytes(size)), int(received * 1e9), received)


class Camera:
    """Waiting images, of which those up to `complete` have all that they need."""

    def __init__(self, *received, max_bytes=1000):
        self.waiting = WaitingImages(max_bytes)
        self.complete = -1.0
        for time in received:
            self.waiting.add(image(time))

    def take(self, now, *, idle=False):
        taken, dropped = self.waiting.take(now, LIMIT, self._inputs_of, idle)
        return (None if taken is None else (taken.image.received, taken.inputs)), dropped

    def _inputs_of(self, image, final):
        if image.received <= self.complete:
            return "complete"
        return "overdue" if final else None


def test_an_image_waits_until_it_is_complete():
    camera = Camera(0.0)
    assert camera.take(0.01, idle=True) == (None, 0)
    camera.complete = 0.0
    assert camera.take(0.02, idle=True) == ((0.0, "complete"), 0)
    assert camera.take(0.03, idle=True) == (None, 0)


def test_a_newer_image_does_not_end_the_wait_of_one_before_it():
    camera = Camera(0.0, 0.033)
    assert camera.take(0.04, idle=True) == (None, 0)
    assert camera.take(0.081, idle=True) == ((0.0, "overdue"), 0)
    assert len(camera.waiting) == 1


def test_images_that_one_sweep_completes_are_answered_one_after_another():
    camera = Camera(0.0, 0.033, 0.066)
    camera.complete = 0.066
    assert camera.take(0.07, idle=True) == ((0.0, "complete"), 0)
    assert camera.take(0.075) == ((0.033, "complete"), 0)
    assert camera.take(0.08) == ((0.066, "complete"), 0)


def test_where_answers_take_longer_than_images_the_newest_complete_one_is_next():
    camera = Camera(0.0)
    camera.complete = 0.0
    assert camera.take(0.0, idle=True) == ((0.0, "complete"), 0)
    for time in (0.033, 0.066, 0.1):
        camera.waiting.add(image(time))
    camera.complete = 0.066
    assert camera.take(0.11) == ((0.066, "complete"), 1)
    assert len(camera.waiting) == 1


def test_the_rest_of_a_group_keeps_its_turn_unless_two_images_came_meanwhile():
    for arrivals, expected in (((0.05,), (0.01, 0)), ((0.05, 0.06), (0.06, 3))):
        camera = Camera(0.0, 0.01, 0.02)
        camera.complete = 0.02
        assert camera.take(0.02, idle=True) == ((0.0, "complete"), 0)
        for time in arrivals:
            camera.waiting.add(image(time))
        camera.complete = 0.06
        assert camera.take(0.06) == ((expected[0], "complete"), expected[1])


def simulate(period, sweep_period, late, network, seconds=4000):
    """Milliseconds: what becomes of a camera's images; how many were answered and dropped."""
    camera, free_at, idle, answered, dropped = Camera(), 0, True, 0, 0
    for now in range(seconds):
        if now % period == 0:
            camera.waiting.add(image(now / 1000))
        if now >= late and (now - late) % sweep_period == 0:
            camera.complete = (now - late) / 1000
        if now < free_at:
            continue
        dropped += camera.waiting.drop_before_overdue(now / 1000, LIMIT)
        taken, older = camera.take(now / 1000, idle=idle)
        dropped += older
        idle = taken is None
        if taken:
            answered += 1
            free_at = now + network
    return answered, dropped


@pytest.mark.parametrize("late", [5, 30, 60])
@pytest.mark.parametrize("network", [1, 20, 30])
def test_a_network_that_keeps_up_with_the_camera_answers_every_image(late, network):
    answered, dropped = simulate(33, 100, late, network)
    assert dropped == 0
    assert answered >= 4000 // 33 - 4


def test_a_network_that_does_not_answers_as_many_as_it_can():
    answered, dropped = simulate(33, 100, 60, 50)
    assert answered >= 0.95 * 4000 / 50
    assert dropped > 0


def test_of_overdue_images_only_the_newest_stays():
    camera = Camera(0.0, 0.01, 0.02, 0.09)
    assert camera.waiting.drop_before_overdue(0.1, LIMIT) == 2
    assert camera.take(0.1) == ((0.02, "overdue"), 0)
    assert camera.waiting.next_overdue(0.1, LIMIT) == 0.09 + LIMIT - 0.1
    assert Camera(0.0, 0.01).waiting.next_overdue(0.02, LIMIT) == 0.0 + LIMIT - 0.02


def test_images_are_kept_up_to_a_number_of_bytes_and_the_newest_always():
    waiting = WaitingImages(max_bytes=100)
    assert [waiting.add(image(time, 40)) for time in range(3)] == [0, 0, 1]
    assert waiting.add(image(3, 1000)) == 2
    assert len(waiting) == 1
    assert waiting.clear() == 1
    assert waiting.newest is None
    assert waiting.next_overdue(5, LIMIT) is None
    assert waiting.add(image(4, 40)) == 0


def test_however_small_they_are_only_so_many_wait(monkeypatch):
    monkeypatch.setattr(waiting_images, "MAX_WAITING", 3)
    waiting = WaitingImages(max_bytes=100)
    assert [waiting.add(image(time)) for time in range(5)] == [0, 0, 0, 1, 1]
    assert len(waiting) == 3
    camera = Camera(0.0, 0.01)
    assert camera.take(0.02, idle=True) == (None, 0)
    camera.waiting.add(image(0.02))
    assert camera.take(0.03, idle=True) == ((0.0, "overdue"), 0)


def test_where_there_is_no_room_the_oldest_waits_no_longer():
    camera = Camera(0.0, 0.01, max_bytes=2)
    assert camera.take(0.02, idle=True) == ((0.0, "overdue"), 0)
    assert camera.take(0.03, idle=True) == (None, 0)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=30))
def test_every_image_is_taken_or_dropped_once_and_none_after_a_newer_one(steps):
    camera, now, gone, taken = Camera(), 0.0, 0, []
    for gap, completes in steps:
        now += gap
        gone += camera.waiting.drop_before_overdue(now, LIMIT)
        camera.waiting.add(image(now))
        if completes:
            camera.complete = now
        answer, dropped = camera.take(now, idle=completes)
        gone += dropped
        if answer:
            taken.append(answer[0])
    assert len(steps) == gone + len(taken) + len(camera.waiting)
    assert taken == sorted(taken)
