from __future__ import annotations

import math

import pytest

from lircdepth_core.dataset.devkit import open_dataset
from lircdepth_core.dataset.scene_tables import read_scene
from lircdepth_core.errors import InputError

CHANNELS = ("CAM_FRONT", "RADAR_FRONT")


@pytest.fixture(scope="module")
def nusc(annotated):
    return open_dataset(annotated)


@pytest.mark.parametrize("table", ["ego_pose", "calibrated_sensor", "sample_annotation"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("translation", [1.0, math.nan, 0.0]),
        ("translation", [1.0, 0.0, math.inf]),
        ("translation", [1.0, 1e300, 0.0]),
        ("translation", [1.0, 0.0]),
        ("rotation", [0.0, 0.0, 0.0, 0.0]),
        ("rotation", [math.nan, 0.0, 0.0, 1.0]),
        ("rotation", [1.0, 0.0, 0.0, 0.5]),
        ("rotation", [0.0, 0.0, 1.0]),
    ],
)
def test_a_damaged_pose_is_named(table, field, value, nusc, monkeypatch):
    lidar = nusc.get("sample_data", nusc.sample[1]["data"]["LIDAR_TOP"])
    token = lidar.get(f"{table}_token") or nusc.sample[1]["anns"][0]
    row = nusc.get(table, token)
    monkeypatch.setitem(row, field, value)
    with pytest.raises(InputError, match=f"^{table} {token}: .* is no pose"):
        read_scene(nusc, nusc.scene[0], CHANNELS)


@pytest.mark.parametrize(
    "size", [[0.0, 4.0, 1.5], [2.0, -4.0, 1.5], [2.0, 4.0, math.nan], [1e300, 4.0, 1.5]]
)
def test_a_box_without_a_size_is_named(size, nusc, monkeypatch):
    row = nusc.sample_annotation[0]
    monkeypatch.setitem(row, "size", size)
    with pytest.raises(InputError, match=f"sample_annotation {row['token']}: size"):
        read_scene(nusc, nusc.scene[0], CHANNELS)


@pytest.mark.parametrize(
    ("description", "weather", "light"),
    [
        ("Parked truck, construction, intersection, turn left", "dry", "day"),
        ("Night, big street, bus stop, high speed", "dry", "night"),
        ("Rain, wait at intersection", "rain", "day"),
        ("Night, after rain, many peds, PMD, ped with bag", "dry", "night"),
        ("After rain, turn right", "dry", "day"),
        ("Heavy rain, train station, night", "rain", "night"),
        ("Construction, terrain, train", "dry", "day"),
    ],
)
def test_nuscenes_own_scenes_say_their_conditions(description, weather, light, nusc, monkeypatch):
    scene = nusc.scene[0]
    monkeypatch.setitem(scene, "description", description)
    assert read_scene(nusc, scene, CHANNELS).conditions == {}
    monkeypatch.setitem(nusc.log[0], "location", "boston-seaport")
    assert read_scene(nusc, scene, CHANNELS).conditions == {"weather": weather, "light": light}
    given = {"scene-0001": {"weather": "fog"}}
    assert read_scene(nusc, scene, CHANNELS, conditions=given).conditions == {"weather": "fog"}
