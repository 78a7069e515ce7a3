"""Targets that read text files: model.yaml and the calibration of the sensors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from fuzz.mutations import DEEP, changed_fields, damaged
from fuzz.target import Target
from lircdepth_core.inference.calibration import SIGMA_SHARE, BlindCalibration, Calibration
from lircdepth_core.inference.model_description import (
    Int8Form,
    ModelDescription,
    NetworkInput,
    StoredWeights,
    format_description,
    parse_description,
)
from lircdepth_core.network import MAX_DEPTH
from lircdepth_ros.calibration_poses import read_calibration

_MODEL = format_description(
    ModelDescription(
        name="whole",
        network="student",
        trained=True,
        uncertainty_trained=True,
        max_depth=MAX_DEPTH,
        input=NetworkInput(200.0, "area"),
        weights=StoredWeights("weights.safetensors", "0" * 64),
        calibration=Calibration(
            np.array([0.5, SIGMA_SHARE]),
            np.array([0.0, 100]),
            np.array([0.0, 1]),
            np.arange(8.0).reshape(2, 2, 2),
        ),
        blind_calibration=BlindCalibration(
            0.4,
            Calibration(
                np.array([SIGMA_SHARE]),
                np.array([0.0, 100]),
                np.array([0.0, 1]),
                np.arange(4.0).reshape(1, 2, 2),
            ),
        ),
        int8=Int8Form("int8.onnx", "1" * 64, "0" * 64),
    )
)
_POSE = {"translation": [1.0, 2.0, 3.0], "rotation": [0.0, 0.0, 0.0, 1.0]}
_SENSORS = {"base_frame": "base_link", "frames": {"CAM_FRONT": _POSE, "RADAR_FRONT": _POSE}}
_BOMB = "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n" + "".join(
    f"{n}: &{n} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n"
    for p, n in zip("bcdefgh", "cdefghi", strict=True)
)
_SENSOR_BOMB = _BOMB + ("base_frame: base_link\nframes: {RADAR: {translation: *i, rotation: *i}}\n")


_ODD = [*DEEP, b"a: 0x" + b"f" * 5000, b"base_frame: 0x" + b"f" * 5000 + b"\nframes: {}"]


def texts(whole: str, *more: str) -> st.SearchStrategy[bytes]:
    """A YAML file with bytes damaged, or with fields changed."""
    document = yaml.safe_load(whole)
    changed = changed_fields(document).map(lambda found: yaml.safe_dump(found).encode())
    broken = damaged(whole.encode(), *(text.encode() for text in more))
    return st.one_of(changed, changed, changed, broken, broken, broken, st.sampled_from(_ODD))


def check_model(data: bytes) -> None:
    """What is read is written and read again as the same."""
    description = parse_description(data.decode("utf-8", "replace"))
    again = parse_description(format_description(description))
    assert format_description(again) == format_description(description)


def check_sensors(data: bytes) -> None:
    """Every pose is one: finite, and a rotation."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.yaml"
        path.write_bytes(data)
        base, poses = read_calibration(path)
    assert base in poses
    for pose in poses.values():
        assert pose.shape == (4, 4)
        assert np.isfinite(pose).all()
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value)


TARGETS = [
    Target("model.yaml", texts(_MODEL, _BOMB), check_model, 0.07),
    Target("calibration.yaml", texts(_yaml(_SENSORS), _SENSOR_BOMB), check_sensors, 0.08),
]
