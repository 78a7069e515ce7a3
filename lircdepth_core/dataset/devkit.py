"""nuScenes data sets as the official devkit reads them, with errors that say what to do."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lircdepth_core.errors import InputError, first_line
from lircdepth_core.nuscenes_files import LIDAR_DTYPE, RADAR_DTYPE
from lircdepth_core.plain_json import parse_plain_json
from lircdepth_core.result_files import naming_file

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

_PLACES = (
    "boston-seaport",
    "singapore-onenorth",
    "singapore-queenstown",
    "singapore-hollandvillage",
)

_EVERY_STATE = frozenset(range(-128, 128))

# Together with a camera's and an extension it is still the name of a file.
_PLAIN = re.compile(r"\w[\w+-]{0,99}", re.ASCII)

# Microseconds from which on ROS, which counts seconds in 32 bits, has no stamps.
_STAMP_END = 2**31 * 1_000_000


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
    tables = dataroot / version
    if not tables.is_dir():
        raise InputError(f"{tables}: no such folder; give the data set's version")
    for path in tables.glob("*.json"):
        if not path.is_file():  # a pipe would be waited for
            raise InputError(f"{path}: no regular file; unpack the tables again")
    try:
        nusc = NuScenes(version, str(dataroot), verbose=False)
        # The devkit takes an empty object for an empty table.
        if not all(isinstance(getattr(nusc, table), list) for table in nusc.table_names):
            raise TypeError("a table is not a list")
    except Exception as error:  # of damaged tables the devkit raises any type
        damaged = _damaged_table(tables)
        if damaged:
            raise InputError(f"{damaged}: not a list of rows; unpack the tables again") from error
        raise InputError(
            f"{tables}: not a complete nuScenes data set ({first_line(error)}); "
            "unpack all of its tables and maps"
        ) from error
    return nusc


@contextmanager
def reading_tables(nusc: NuScenes) -> Iterator[None]:
    """Let errors of the body, which takes rows out of the tables, say that the tables are damaged.

    Raises:
        InputError: a field is missing or of the wrong type, or a token leads nowhere.
    """
    try:
        yield
    except InputError:
        raise
    except KeyError as error:
        raise InputError(
            f"{nusc.dataroot}: the tables refer to {error}, which is not there; unpack them again"
        ) from error
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(
            f"{nusc.dataroot}: its tables are damaged ({first_line(error)}); unpack them again"
        ) from error


def chain(nusc: NuScenes, table: str, token: str, link: str = "next") -> Iterator[dict[str, Any]]:
    """A row and all that follow it, or with the link `prev` all before it.

    Raises:
        InputError: a row comes again.
        KeyError: a row is not there, or has no such link.
    """
    seen = set()
    while token:
        if token in seen:
            raise InputError(
                f"{nusc.dataroot}: {table} {cited(token)} comes again in its own chain ({link}); "
                "unpack the tables again"
            )
        seen.add(token)
        row = nusc.get(table, token)
        yield row
        token = row[link]


def samples_of(nusc: NuScenes, scene: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a scene's samples in the order of time.

    Raises:
        InputError: there is none, or one comes again.
        KeyError: a row or a field is not there.
    """
    samples = list(chain(nusc, "sample", scene["first_sample_token"]))
    if not samples:
        name = cited(scene["name"])
        raise InputError(f"{nusc.dataroot}: {name} has no sample; unpack the tables again")
    return samples


def stamp_of(table: str, row: dict[str, Any]) -> int:
    """A row's stamp in microseconds.

    Raises:
        InputError: it is none.
    """
    stamp = row["timestamp"]
    if not isinstance(stamp, int) or not 0 <= stamp < _STAMP_END:
        raise InputError(
            f"{table} {cited(row['token'])}: timestamp {stamp!r:.80} is none; unpack the tables "
            "again"
        )
    return stamp


def text_of(table: str, row: dict[str, Any], field: str) -> str:
    """A row's text that is written somewhere.

    Raises:
        InputError: it is none, or holds half a character.
    """
    text = row[field]
    try:
        if isinstance(text, str) and text.encode():
            return text
    except UnicodeEncodeError:
        pass
    raise InputError(f"{table}: {field} {text!a:.80} is no text; unpack the tables again")


def name_of(table: str, row: dict[str, Any], field: str) -> str:
    """A row's text that becomes part of files' names.

    Raises:
        InputError: it is none, or not plain.
    """
    name = text_of(table, row, field)
    if not is_plain(name):
        raise InputError(f"{table}: {field} {name!a:.80} cannot name a file; rename it")
    return name


def is_plain(name: str) -> bool:
    """Whether a text can be part of files' names, and of a shard's keys, which end at a dot."""
    return _PLAIN.fullmatch(name) is not None


def cited(name: object) -> str:
    """What the tables hold as an error cites it: a part of one line, whatever it is."""
    return " ".join(str(name).split())[:80]


def listed(names: Iterable[object]) -> str:
    """What the tables hold, as an error cites it, with commas."""
    return ", ".join(map(cited, names))


def find_scene(nusc: NuScenes, name: str) -> dict[str, Any]:
    """The row of the scene called `name`.

    Raises:
        InputError: there is no such scene, and the message names those there are; or there are
            several.
    """
    with reading_tables(nusc):
        called_so = [scene for scene in nusc.scene if scene["name"] == name]
        if len(called_so) > 1:
            raise InputError(f"{nusc.dataroot}: {ambiguous(name, len(called_so))}")
        if called_so:
            return called_so[0]
        names = sorted(str(scene["name"]) for scene in nusc.scene)
    shown = listed(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    raise InputError(f"{nusc.dataroot}: no scene {name}; there are {shown}")


def ambiguous(name: str, scenes: int) -> str:
    """What to say of a name that several scenes have."""
    return f"{scenes} scenes are called {cited(name)}; rename all but one in the scene table"


def is_original(nusc: NuScenes, scene: dict[str, Any]) -> bool:
    """Whether a scene was recorded where nuScenes was; others may bear the same names."""
    return nusc.get("log", scene["log_token"])["location"] in _PLACES


def sensor_rows(nusc: NuScenes, scene: dict[str, Any]) -> list[dict[str, Any]]:
    """All sample_data rows of a scene, key frames and sweeps, by stamp and channel.

    Raises:
        InputError: the tables are damaged.
    """
    with reading_tables(nusc):
        samples = {row["token"] for row in samples_of(nusc, scene)}
        rows = [row for row in nusc.sample_data if row["sample_token"] in samples]
        return sorted(rows, key=lambda row: _place_of(row))


def _place_of(row: dict[str, Any]) -> tuple[int, str]:
    return stamp_of("sample_data", row), text_of("sample_data", row, "channel")


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

    with naming_file(path), path.open("rb") as file:
        types = [file.readline() for _ in range(5)][-1]
    if len(types.split()) < 2:  # of which the devkit would read as many as the header says
        raise InputError(f"{path}: not a nuScenes radar file (no fields); download it again")
    try:
        points = RadarPointCloud.from_file(
            str(path), _EVERY_STATE, _EVERY_STATE, _EVERY_STATE
        ).points
    except (
        AssertionError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
        struct.error,
    ) as error:
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
    with naming_file(path):
        data = path.read_bytes()
    if not data:
        raise InputError(f"{path}: empty; download it again")
    if len(data) % LIDAR_DTYPE.itemsize:
        raise InputError(
            f"{path}: {len(data)} bytes are no whole number of points; download it again"
        )
    return np.frombuffer(data, LIDAR_DTYPE)


def _damaged_table(tables: Path) -> Path | None:
    """The file of a table that is not a list of rows."""
    for path in sorted(tables.glob("*.json")):
        try:
            rows = parse_plain_json(path.read_bytes())
        except InputError:
            return path
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return path
    return None


def _only_version(dataroot: Path) -> str:
    """The name of the one `v1.0-*` folder."""
    versions = sorted(path.name for path in dataroot.glob("v1.0-*") if path.is_dir())
    if not versions:
        raise InputError(f"{dataroot}: no folder v1.0-*; give the root of a nuScenes data set")
    if len(versions) > 1:
        raise InputError(f"{dataroot}: has {', '.join(versions)}; choose one with --version")
    return versions[0]
