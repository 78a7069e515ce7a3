"""What the node's diagnostics say over time, by a clock of the test's own."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from lircdepth_ros.health import MAX_EVENTS, Health


class Watched:
    """A Health, its clock and what it logged."""

    def __init__(self):
        self.seconds = 1000.0
        self.logged = []
        self.health = Health(self.logged.append, lambda: self.seconds)
        self.health.begin()

    def status(self, period=0.0):
        self.health.image_answered({})
        images = self.health.diagnostics("depth", "active", "cpu", period=period).status[0]
        return images.level, images.message

    def facts(self):
        facts = self.health.diagnostics("depth", "active", "cpu").status[3]
        return {value.key: value.value for value in facts.values}


@pytest.fixture
def watched():
    return Watched()


def test_a_condition_is_a_warning_as_long_as_it_holds_activation_included(watched):
    watched.health.condition("GPU", "lost; the CPU answers")
    watched.seconds += 3600
    watched.health.begin()
    assert watched.status() == (DiagnosticStatus.WARN, "GPU: lost; the CPU answers")
    watched.health.condition("GPU", None)
    assert watched.status() == (DiagnosticStatus.OK, "active")
    assert watched.logged == ["GPU: lost; the CPU answers"]


def test_a_condition_is_counted_each_time_it_begins_and_logged_again_after_a_minute(watched):
    for detail in ("lost", "lost", None, None, "lost again", None):
        watched.health.condition("GPU", detail)
    assert watched.logged == ["GPU: lost"]
    images = watched.health.diagnostics("depth", "active", "cpu").status[0]
    assert {v.key: v.value for v in images.values}["warned of: GPU"] == "2"
    watched.seconds += 61
    watched.health.condition("GPU", "lost once more")
    assert watched.logged[1:] == ["GPU: lost once more"]


def test_a_fact_that_says_nothing_any_more_goes(watched):
    watched.health.fact("radar age [ms]", 12)
    watched.health.fact("device", "cpu")
    watched.health.forget("radar age [ms]", "notes")
    assert watched.facts() == {"device": "cpu"}


def test_a_condition_does_not_hide_what_just_failed(watched):
    watched.health.condition("GPU", "lost")
    watched.health.image_dropped("inference failed", "out of memory")
    assert watched.status() == (DiagnosticStatus.ERROR, "inference failed: out of memory")


def test_facts_and_conditions_go_with_the_model(watched):
    watched.health.fact("device", "cuda:0")
    watched.health.condition("GPU", "lost")
    watched.health.forget_model()
    assert watched.facts() == {}
    assert watched.status() == (DiagnosticStatus.OK, "active")


def test_a_reason_is_logged_again_after_a_minute_without_it(watched):
    for _ in range(100):  # ten seconds of it
        watched.health.image_dropped("inference failed", "first")
        watched.health.notice("no transform for /radar")
        watched.health.message_dropped("/radar", "no x", "give one")
        watched.seconds += 0.1
    assert len(watched.logged) == 3
    watched.seconds += 61
    watched.health.image_dropped("inference failed", "second")
    assert watched.logged[3:] == ["image dropped: inference failed: second"]


def test_a_problem_is_seen_however_rare_diagnostics_are(watched):
    watched.status(period=10.0)
    watched.health.image_dropped("inference failed")
    watched.seconds += 9.0
    assert watched.status(period=10.0)[0] == DiagnosticStatus.ERROR
    watched.seconds += 12.0
    assert watched.status(period=10.0)[0] == DiagnosticStatus.OK


def inputs(watched):
    values = watched.health.diagnostics("depth", "active", "cpu").status[1].values
    return {value.key: value.value for value in values}


def test_an_event_that_is_a_problem_is_counted_said_and_warned_of_for_a_while(watched):
    for _ in range(2):
        watched.health.event("/camera: cannot subscribe", problem="no such type")
    assert watched.status() == (DiagnosticStatus.WARN, "/camera: cannot subscribe: no such type")
    assert watched.logged == ["/camera: cannot subscribe: no such type"]
    assert inputs(watched)["/camera: cannot subscribe"] == "2"
    watched.seconds += 10
    assert watched.status() == (DiagnosticStatus.OK, "active")


def test_events_of_names_without_end_are_counted_together(watched):
    for number in range(MAX_EVENTS + 30):
        watched.health.event(f"TF: stamps of wheel{number} jumped back", problem="")
    counted = inputs(watched)
    assert counted["TF: stamps of wheel0 jumped back"] == "1"
    assert counted["other events"] == "30"
    assert len(counted) == MAX_EVENTS + 1


def test_a_fault_of_a_megabyte_is_told_in_a_few_words(watched):
    watched.health.image_dropped("unusable image", "x" * 1_000_000)
    watched.health.message_dropped("/radar", "unusable cloud", "x" * 1_000_000)
    _, told = watched.status()
    assert told.startswith("unusable image: xxx")
    watched.health.event("TF: stamps of " + "x" * 1_000_000, problem="y" * 1_000_000)
    assert len(watched.logged) == 3
    assert all(len(text) < 1100 for text in (told, *watched.logged, *inputs(watched)))


def test_topics_that_should_flow_and_do_not_are_named_and_said_once(watched):
    watched.health.expect("/image")
    watched.health.expect("/camera_info", must_flow=False)
    for _ in range(3):
        watched.seconds += 6
        status = watched.health.diagnostics("depth", "active", "cpu").status
        assert (status[1].level, status[1].message) == (
            DiagnosticStatus.WARN,
            "nothing comes on /image",
        )
    assert watched.logged == ["no image is answered: nothing comes on /image"]
    watched.health.image_answered({})
    watched.health.received("/image")
    watched.health.expect("/radar")
    for _ in range(35):
        watched.seconds += 0.1
        watched.health.received("/image")
        watched.health.diagnostics("depth", "active", "cpu")
    assert watched.logged[1:] == ["no image is answered: nothing comes on /radar"]
    watched.health.received("/radar")
    status = watched.health.diagnostics("depth", "active", "cpu").status[1]
    assert (status.level, status.message) == (DiagnosticStatus.OK, "")
    watched.seconds += 6
    inactive = watched.health.diagnostics("depth", "inactive", "cpu").status[1]
    assert inactive.level == DiagnosticStatus.OK
