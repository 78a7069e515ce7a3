"""A seeded part of `python -m fuzz`, and what it calls a defect."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
from hypothesis import strategies as st

from fuzz import target as fuzz_target
from fuzz.largest import HEIGHT, INPUTS, WIDTH, Made, check
from fuzz.processes import targets
from fuzz.target import Target, run_target
from lircdepth_core.encoded_image import MAX_IMAGE_PIXELS
from lircdepth_core.errors import InputError

CASES = 150


# The largest may take a second each on a busy machine: their time is left to the whole run.
QUICK = [target for target in targets() if target.name != "largest inputs"]


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
def test_every_case_is_answered_rightly_or_refused(target):
    tally = run_target(target, max(20, round(CASES * min(1, 20 * target.share))), first_seed=1)
    assert tally.defect is None
    assert tally.answered > 0
    assert tally.refused > 0


@pytest.mark.parametrize("largest", INPUTS, ids=lambda largest: largest.name)
def test_the_largest_inputs_are_answered_but_for_what_is_too_large(largest):
    assert WIDTH * HEIGHT == MAX_IMAGE_PIXELS
    with pytest.raises(InputError) if largest.refusal else nullcontext():
        check(Made(largest))


def defect(check) -> str:
    found = run_target(Target("made", st.integers(0, 99), check, 1.0), 60, first_seed=1).defect
    return found or ""


def test_another_error_than_ours_is_a_defect():
    def check(case: int) -> None:
        if case > 90:
            raise ZeroDivisionError("by zero")

    assert "ZeroDivisionError: by zero" in defect(check)
    assert "case=9" in defect(check)


@pytest.mark.parametrize(("message", "words"), [("", "says nothing"), ("a\nb", "several lines")])
def test_an_error_that_is_not_one_line_is_a_defect(message, words):
    def check(case: int) -> None:
        raise InputError(message)

    assert words in defect(check)


def test_a_case_that_takes_long_is_a_defect(monkeypatch):
    monkeypatch.setattr(fuzz_target, "SECONDS", 0.02)

    def check(case: int) -> None:
        end = time.process_time() + 0.03 * (case > 80)
        while time.process_time() < end:
            pass

    assert "took 0.0 s" in defect(check)


def test_a_case_that_waits_is_a_defect(monkeypatch):
    monkeypatch.setattr(fuzz_target, "WAITS", 0.5)
    assert "waited 0.6 s" in defect(lambda case: time.sleep(0.6 * (case > 80)))


def test_memory_that_a_target_takes_is_a_defect(monkeypatch):
    monkeypatch.setattr(fuzz_target, "MEBIBYTES", 20)
    largest = [fuzz_target.largest_size()]
    monkeypatch.setattr(fuzz_target, "largest_size", lambda: largest[0])

    def check(case: int) -> None:
        largest[0] += 10

    assert "memory grew by" in defect(check)


def test_the_same_seed_makes_the_same_cases():
    seen: list[list[int]] = [[], []]
    for cases in seen:
        run_target(Target("made", st.integers(), cases.append, 1.0), 30, first_seed=7)
    assert seen[0] == seen[1]
