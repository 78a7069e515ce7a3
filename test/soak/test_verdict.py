"""What a long run calls a broken promise."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from soak.verdict import judge
from soak.watch import faults, stamped

MIB = 2**20
SENT = {"whole": 90, "cut": 10}
VALUES = {"received": "100", "answered": "70", "dropped: replaced by newer": "20",
          "dropped: unusable image": "10", "answered without: radar": "3"}  # fmt: skip


def run(
    memory=lambda t: 500 * MIB,
    files=lambda t: 20,
    latency=lambda t: 0.1,
    lost=0,
    pairs=None,
    wrong=None,
    **values,
):
    values = VALUES | values
    times = [float(t) for t in range(100)]
    return judge(
        SENT,
        values,
        lost,
        [(t, latency(t)) for t in times],
        [(t, memory(t), files(t)) for t in times],
        int(values["answered"]) if pairs is None else pairs,
        wrong or {},
    )


def test_a_good_run_breaks_nothing():
    verdict = run()
    assert verdict.broken == []
    assert verdict.figures["dropped"] == {"replaced by newer": 20, "unusable image": 10}
    assert verdict.figures["latency_ms"]["99"] == pytest.approx(100)


def test_what_dds_lost_is_not_the_nodes_fault_if_it_counts_it():
    verdict = run(received="98", answered="68", lost=2)
    assert verdict.broken == []
    assert verdict.figures["lost_on_the_way"] == 2


def test_what_grows_while_it_warms_up_is_no_leak():
    verdict = run(memory=lambda t: (300 if t < 15 else 500) * MIB, latency=lambda t: 1 / (t + 1))
    assert verdict.broken == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"memory": lambda t: int((500 + t / 2) * MIB)}, "memory grew by 3."),
        ({"files": lambda t: 20 + (t > 90)}, "open files grew from 20 to 21"),
        ({"latency": lambda t: 0.1 if t < 70 else 0.3}, "latency p99 went from 100 to 300 ms"),
        ({"received": "99", "answered": "69"}, "received 99 of 100"),
        ({"answered": "69"}, "69 answered and 30 dropped"),
        ({"pairs": 60}, "of 70 answers 60 were heard"),
        ({"wrong": {"no depth at all": 3}}, "3 answers had no depth at all"),
    ],
)
def test_a_broken_promise_is_named_and_no_other(change, words):
    (line,) = run(**change).broken
    assert words in line


@pytest.mark.parametrize(
    ("depth", "sigma", "words"),
    [
        ([5.0, np.nan], [1.0, np.nan], []),
        ([5.0, -1.0], [1.0, 1.0], ["depth that is infinite or negative"]),
        ([5.0, 1.0], [np.inf, 1.0], ["sigma that is infinite or negative"]),
        ([5.0, np.nan], [1.0, 1.0], ["depth without sigma or the other way round"]),
        ([np.nan, np.nan], [np.nan, np.nan], ["no depth at all"]),
        ([5.0, 6.0], [np.nan, np.nan], []),
    ],
)
def test_wrong_numbers_in_an_answer_are_named(depth, sigma, words):
    assert faults(np.array(depth), np.array(sigma)) == words


@pytest.mark.parametrize("frame", ["", "a", "CAM_FRONT", "front"])
def test_a_serialised_image_is_taken_apart(frame):
    pixels = np.arange(6, dtype=np.float32).reshape(2, 3)
    message = Image(encoding="32FC1", height=2, width=3, step=12)
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = 7, 5
    message.data.frombytes(pixels.tobytes())
    stamp, found = stamped(serialize_message(message))
    assert stamp == 7_000_000_005
    np.testing.assert_array_equal(found, pixels.ravel())
