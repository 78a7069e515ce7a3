"""A short run of `python -m soak` over real DDS."""

from __future__ import annotations

import os

import pytest
from dds_domain import own_domain

os.environ.update(own_domain())

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("matplotlib", reason="needs the extra 'train'")

from untrained_model import write_untrained_model

from soak.__main__ import draw, soak
from soak.dds_settings import keep_to_ourselves
from soak.feed import IMAGE_FAULTS

pytestmark = pytest.mark.timed

PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"


def test_every_image_of_a_short_run_is_answered_or_dropped_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("soak.feed.IMAGE_FAULTS", {**IMAGE_FAULTS, "cut": 0.1, "another size": 0.1})
    monkeypatch.setenv(PROFILES, "")  # what there was is put back at the end
    monkeypatch.delenv(PROFILES)
    keep_to_ourselves()
    model = write_untrained_model(tmp_path / "model", 100.0)
    verdict, watch = soak(model, 0.2, 1, tmp_path)
    found = verdict.figures
    assert found["received"] + found["lost_on_the_way"] == sum(found["sent"].values()) > 50
    assert found["received"] == found["answered"] + sum(found["dropped"].values())
    assert found["answered"] > 20
    assert found["dropped"]["unusable image"] > 0
    # Memory and latency are not judged on twelve seconds of a busy machine.
    assert not any("received" in line or "SIGINT" in line for line in verdict.broken)
    draw(watch, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
