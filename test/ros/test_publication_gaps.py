from __future__ import annotations

import pytest

from lircdepth_ros.publication_gaps import PublicationGaps

A, B = b"a", b"b"


class Topic:
    """A topic whose publishers the middleware knows."""

    def __init__(self, *publishers):
        self.publishers = frozenset(publishers)
        self.gaps = PublicationGaps(lambda: self.publishers)

    def missed(self, *numbers):
        return [self.gaps.missed(number) for number in numbers]


def test_a_gap_is_counted_once():
    assert Topic(A).missed(7, 8, 12, 13) == [0, 0, 3, 0]


def test_a_publisher_that_counts_from_its_beginning_again_has_lost_nothing():
    assert Topic(A).missed(7, 1, 2, 4) == [0, 0, 0, 1]


def test_another_that_was_there_for_a_moment_is_no_loss():
    assert Topic(A).missed(5000, 5001, 1, 5002, 5003, 5005) == [0, 0, 0, 0, 0, 1]


def test_another_publisher_has_lost_nothing():
    topic = Topic(A)
    topic.missed(7)
    topic.publishers = {B}
    assert topic.missed(90, 91, 93) == [0, 0, 1]


@pytest.mark.parametrize("reviewed", [False, True])
def test_nothing_is_counted_of_several_publishers(reviewed):
    topic = Topic(A)
    topic.missed(7)
    topic.publishers = {A, B}
    if reviewed:
        topic.gaps.review(topic.publishers)
    assert topic.missed(100, 12, 101, 20) == [0, 0, 0, 0]
    assert not topic.gaps.follows
    topic.publishers = {B}
    topic.gaps.review(topic.publishers)
    assert topic.missed(102, 104) == [0, 1]
    assert topic.gaps.follows


def test_a_middleware_without_numbers_is_asked_nothing_of():
    topic = Topic(A)
    assert topic.missed(None, None) == [0, 0]
    assert not topic.gaps.follows
