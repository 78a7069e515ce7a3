"""What soak and node_bench set, and leave."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from soak.dds_settings import PROFILE, keep_to_ourselves

VARIABLES = (
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_DOMAIN_ID",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
)


@pytest.fixture
def environment(monkeypatch):
    values: dict[str, str] = {}
    monkeypatch.setattr("soak.dds_settings.os.environ", values)
    return values


def room(free):
    return lambda _: SimpleNamespace(free=free)


def test_a_domain_of_its_own_and_the_profile_for_large_images(environment, monkeypatch):
    monkeypatch.setattr("soak.dds_settings.shutil.disk_usage", room(2**31))
    keep_to_ourselves()
    assert environment.keys() >= set(VARIABLES)
    assert environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(PROFILE)
    assert PROFILE.is_file()


def test_no_profile_where_shared_memory_is_too_small_for_its_segments(environment, monkeypatch):
    monkeypatch.setattr("soak.dds_settings.shutil.disk_usage", room(2**26))
    keep_to_ourselves()
    assert "ROS_DOMAIN_ID" in environment
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in environment


def test_what_the_user_set_stays(environment, monkeypatch):
    monkeypatch.setattr("soak.dds_settings.shutil.disk_usage", room(2**31))
    mine = dict.fromkeys(VARIABLES, "mine")
    environment |= mine
    keep_to_ourselves()
    assert mine.items() <= environment.items()
