"""What `sync: approximate` keeps, with the real synchroniser and no DDS."""

import time

import message_filters
import pytest
from node_rig import SECOND, START, cloud_message, image_message

from lircdepth_core.errors import InputError
from lircdepth_ros.approximate_sync import ApproximateSync, check_queue_size

MILLISECOND = SECOND // 1000

CLOUD_BYTES = 24
"""Of a cloud of one point."""

IMAGE_BYTES = 12
"""Of an image of 2 x 2 pixels."""


class Input:
    """Stands in for an InputSubscription."""

    def __init__(self, topic):
        self.topic = topic
        self.restart_filter()

    def restart_filter(self):
        self.filter = message_filters.SimpleFilter()
        return self.filter


class Synchronised:
    """An image and two radars; keeps what was matched and how many images were not."""

    def __init__(self, max_bytes, queue_size=10):
        self.matched, self.unmatched, self.ended = [], 0, 0
        self.image, self.left, self.right = Input("/image"), Input("/left"), Input("/right")
        self.sync = ApproximateSync(queue_size, 0.03, self.match, self.give_up, max_bytes)
        self.sync.connect(self.image, [self.left, self.right])

    def match(self, image, clouds):
        self.matched.append([image, *(cloud for _, cloud in clouds)])

    def give_up(self, for_want_of_clouds):
        self.unmatched += 1
        self.ended += not for_want_of_clouds

    def send_image(self, at):
        message = image_message(at, width=2, height=2)
        self.sync.saw_image(message)
        self.image.filter.signalMessage(message)

    def send_cloud(self, radar, at, points=1):
        message = cloud_message(at, [[0.0] * 6] * points)
        self.sync.saw_cloud(radar.topic, message)
        radar.filter.signalMessage(message)

    def send_all(self, at):
        self.send_image(at)
        for radar in (self.left, self.right):
            self.send_cloud(radar, at)


def test_the_oldest_clouds_are_forgotten_beyond_a_number_of_bytes_of_each_radar():
    synchronised = Synchronised(max_bytes=2 * CLOUD_BYTES)
    for index in range(3):
        for radar in (synchronised.left, synchronised.right):
            synchronised.send_cloud(radar, START + index * SECOND)
    for index in range(3):
        synchronised.send_image(START + index * SECOND)
    assert len(synchronised.matched) == 2
    synchronised.sync.close()
    assert synchronised.unmatched == 1


def test_the_newest_cloud_is_kept_however_large_it_is():
    synchronised = Synchronised(max_bytes=2 * CLOUD_BYTES)
    synchronised.send_cloud(synchronised.left, START)
    synchronised.send_cloud(synchronised.left, START + SECOND, points=1000)
    synchronised.send_cloud(synchronised.right, START + SECOND)
    synchronised.send_image(START + SECOND)
    assert len(synchronised.matched) == 1


@pytest.mark.parametrize("kept", [1, 3])
def test_images_forgotten_for_their_bytes_are_counted_once(kept):
    synchronised = Synchronised(max_bytes=kept * IMAGE_BYTES)
    for index in range(6):
        synchronised.send_image(START + index * SECOND)
    assert (synchronised.unmatched, synchronised.ended) == (6 - kept, 0)
    synchronised.sync.close()
    assert (synchronised.unmatched, synchronised.ended) == (6, kept)


def test_what_was_matched_takes_no_room():
    synchronised = Synchronised(max_bytes=CLOUD_BYTES)
    for index in range(4):
        synchronised.send_all(START + index * SECOND)
    assert len(synchronised.matched) == 4
    assert synchronised.unmatched == 0


def test_a_jump_back_forgets_no_message_of_the_new_time():
    synchronised = Synchronised(max_bytes=2 * CLOUD_BYTES)
    for _ in range(2):
        for index in range(3):
            synchronised.send_all(START + index * 2 * SECOND)
    assert len(synchronised.matched) == 6


@pytest.mark.parametrize(("radars", "most"), [(2, 141), (3, 27), (4, 11), (5, 7), (6, 5)])
def test_more_clouds_than_can_be_compared_in_time_are_refused(radars, most):
    check_queue_size(most, radars)
    words = f"approximate_queue_size is {most + 1}; of {radars} radars no more than {most} clouds"
    with pytest.raises(InputError, match=words):
        check_queue_size(most + 1, radars)


def test_clouds_of_which_none_match_hold_nothing_up():
    inputs = [Input(f"/radar{number}") for number in range(5)]
    sync = ApproximateSync(7, 0.1, print, print)
    sync.connect(Input("/image"), inputs)
    begin = time.process_time()
    for number, radar in enumerate(inputs):
        for index in range(7):
            # Early and late by turns: each near an image in between, none near another radar's.
            at = START + (-1) ** number * 60_000_000 + index * 1_000_000
            sync.saw_cloud(radar.topic, cloud := cloud_message(at, [[0.0] * 6]))
            radar.filter.signalMessage(cloud)
    sync.saw_image(image := image_message(START, width=2, height=2))
    sync._image.filter.signalMessage(image)
    assert time.process_time() - begin < 5.0


def test_images_that_come_out_of_order_are_counted_once():
    synchronised = Synchronised(max_bytes=100 * IMAGE_BYTES, queue_size=2)
    for milliseconds in (100, 200, 50):
        synchronised.send_image(START + milliseconds * MILLISECOND)
    assert synchronised.unmatched == 1  # the synchroniser keeps the newest stamps
    for radar in (synchronised.left, synchronised.right):
        synchronised.send_cloud(radar, START + 100 * MILLISECOND)
    synchronised.sync.close()
    assert (len(synchronised.matched), synchronised.unmatched) == (1, 2)
