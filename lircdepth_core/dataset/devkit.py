"""nuScenes data sets as the official devkit reads them, with errors that say what to do."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lircdepth_core.errors import InputError, first_line

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

RADAR_DTYPE = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("dyn_prop", "i1"),
        ("id", "<i2"),
        ("rcs", "<f4"),
        ("vx", "<f4"),
        ("vy", "<f4"),
        ("vx_comp", "<f4"),
        ("vy_comp", "<f4"),
        ("is_quality_valid", "i1"),
        ("ambig_state", "i1"),
        ("x_rms", "i1"),
        ("y_rms", "i1"),
        ("invalid_state", "i1"),
        ("pdh0", "i1"),
        ("vx_rms", "i1"),
        ("vy_rms", "i1"),
    ]
)
"""One return of a nuScenes radar file: 18 fields, packed into 43 bytes, as its PCD header says."""

LIDAR_DTYPE = np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity", "ring")])
"""One point of a nuScenes lidar file."""

_PLACES = (
    "boston-seaport",
    "singapore-onenorth",
    "singapore-queenstown",
    "singapore-hollandvillage",
)

_EVERY_STATE = frozenset(range(-128, 128))


def open_dataset(dataroot: Path, version: str | None = None) -> NuScenes:
    """Open a data set.

    Args:
        dataroot: the folder that holds `v1.0-*`, `samples`, `sweeps` and `maps`.
        version: the folder of tables, such as `v1.0-mini`; None takes the only one there is.

    Raises:
        InputError: there is no such version or more than one, or the tables cannot be read.
        ImportError: the devkit is not installed.
    """
    from nuscenes.nuscenes import NuScenes

    version = version or _only_version(dataroot)
    if not (dataroot / version).is_dir():
        raise InputError(f"{dataroot / version}: no such folder; give the data set's version")
    try:
        return NuScenes(version, str(dataroot), verbose=False)
    except (AssertionError, OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{dataroot / version}: not a complete nuScenes data set ({first_line(error)}); "
            "unpack all of its tables and maps"
        ) from error


def find_scene(nusc: NuScenes, name: str) -> dict[str, Any]:
    """The row of the scene called `name`.

    Raises:
        InputError: there is no such scene; the message names those there are.
    """
    for scene in nusc.scene:
        if scene["name"] == name:
            return scene
    names = sorted(scene["name"] for scene in nusc.scene)
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    raise InputError(f"{nusc.dataroot}: no scene {name}; there are {shown}")


def is_original(nusc: NuScenes, scene: dict[str, Any]) -> bool:
    """Whether a scene was recorded where nuScenes was; others may bear the same names."""
    return nusc.get("log", scene["log_token"])["location"] in _PLACES


def sensor_rows(nusc: NuScenes, scene: dict[str, Any]) -> list[dict[str, Any]]:
    """All sample_data rows of a scene, key frames and sweeps, by stamp and channel."""
    samples = set()
    token = scene["first_sample_token"]
    while token:
        samples.add(token)
        token = nusc.get("sample", token)["next"]
    rows = [row for row in nusc.sample_data if row["sample_token"] in samples]
    return sorted(rows, key=lambda row: (row["timestamp"], row["channel"]))


def read_radar(path: Path, filtered: bool = False) -> np.ndarray:
    """Returns of a radar file; the devkit's global filter state is neither used nor touched.

    Args:
        path: the file.
        filtered: keep only what the devkit's default filters keep; else all.

    Returns:
        (N,) of `RADAR_DTYPE`: metres, m/s and dBsm in the radar's frame (x forward, y left).

    Raises:
        InputError: the file is damaged.
    """
    from nuscenes.utils.data_classes import RadarPointCloud

    try:
        points = RadarPointCloud.from_file(
            str(path), _EVERY_STATE, _EVERY_STATE, _EVERY_STATE
        ).points
    except (AssertionError, ValueError, IndexError, KeyError, struct.error) as error:
        raise InputError(
            f"{path}: not a nuScenes radar file ({first_line(error)}); download it again"
        ) from error
    names = RADAR_DTYPE.names or ()
    if len(points) != len(names):
        raise InputError(f"{path}: has {len(points)} fields, not nuScenes' {len(names)}")
    returns = np.zeros(points.shape[1], RADAR_DTYPE)
    for name, values in zip(names, points, strict=True):
        returns[name] = values
    if not filtered:
        return returns
    # nuScenes-devkit, RadarPointCloud.default_filters.
    return returns[
        (returns["invalid_state"] == 0)
        & (returns["dyn_prop"] >= 0)
        & (returns["dyn_prop"] <= 6)
        & (returns["ambig_state"] == 3)
    ]


def read_lidar(path: Path) -> np.ndarray:
    """All points of a lidar file, with the ring that the devkit's reader leaves out.

    Returns:
        (N,) of `LIDAR_DTYPE`: metres in the lidar's frame.

    Raises:
        InputError: the file is damaged.
    """
    data = path.read_bytes()
    if not data:
        raise InputError(f"{path}: empty; download it again")
    if len(data) % LIDAR_DTYPE.itemsize:
        raise InputError(
            f"{path}: {len(data)} bytes are no whole number of points; download it again"
        )
    return np.frombuffer(data, LIDAR_DTYPE)


def _only_version(dataroot: Path) -> str:
    """The name of the one `v1.0-*` folder."""
    versions = sorted(path.name for path in dataroot.glob("v1.0-*") if path.is_dir())
    if not versions:
        raise InputError(f"{dataroot}: no folder v1.0-*; give the root of a nuScenes data set")
    if len(versions) > 1:
        raise InputError(f"{dataroot}: has {', '.join(versions)}; choose one with --version")
    return versions[0]
