"""Targets that read binary files: weights, checkpoints, nuScenes' point clouds, samples, bags."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import yaml
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

from fuzz.messages import check_framing
from fuzz.mutations import DEEP, LONG_INTEGERS, NUMBERS, VALUES, changed_fields, damaged
from fuzz.target import Target
from lircdepth_core.camera import Camera
from lircdepth_core.dataset.devkit import RADAR_DTYPE, read_lidar, read_radar
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_sample, encode_sample
from lircdepth_core.dataset.shards import (
    MAX_INDEX_SAMPLES,
    Shard,
    find_shards,
    read_samples,
    read_shard,
)
from lircdepth_core.drive.nuscenes_tables import write_radar
from lircdepth_core.errors import InputError
from lircdepth_core.inference.model_files import read_weights
from lircdepth_core.inference.published import load_published
from lircdepth_core.network import Student
from lircdepth_core.network.parameters import read_checkpoint
from lircdepth_ros.replay_bag import Bag
from lircdepth_ros.replay_clock import CLOCK_END, CLOCK_TOPIC, with_clock

# In memory where there is a place for that: thousands of small files are written.
_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None

_TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}
_WEIGHTS = safetensors.torch.save(_TENSORS)


def check_weights(data: bytes) -> None:
    """Tensors of the stored kinds, finite; the hash is right, as an attacker would make it."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "weights.safetensors"
        path.write_bytes(data)
        state = read_weights(path, hashlib.sha256(data).hexdigest())
    for tensor in state.values():
        assert torch.isfinite(tensor).all()


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/lircdepth-fuzz-was-run",)


_CHECKPOINT = _saved({"model": _TENSORS, "epoch": 3, "best": np.float64(0.5)})
_HARMFUL = _saved({"model": _TENSORS, "x": _Harmful()})
_RUN = Path("/tmp/lircdepth-fuzz-was-run")


def check_checkpoint(data: bytes) -> None:
    """A dict; and nothing in it was run."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "checkpoint.pth"
        path.write_bytes(data)
        try:
            assert hasattr(read_checkpoint(path), "items")
        finally:
            assert not _RUN.exists(), "what the file holds was run"


@cache
def _published() -> dict[str, torch.Tensor]:
    """Parameters of a student as they are published: without the head of the uncertainty."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = Student().state_dict()
    return {k: v for k, v in state.items() if not k.startswith("uncertainty_head.")}


def published() -> st.SearchStrategy[dict[str, object]]:
    """A checkpoint of a student, whole, or with names, shapes and kinds of values changed."""
    names = st.sampled_from([*sorted(_published()), "added", "encoder"])
    odd = st.one_of(
        st.just(torch.zeros(1)),
        st.just(torch.full((1,), torch.nan)),
        st.just(torch.zeros(2, 0)),
        st.just(np.float64(1)),
        st.just(bytearray(10)),
        VALUES,
    )
    changes = st.dictionaries(st.one_of(names, names, VALUES.filter(_hashable)), odd, max_size=3)
    wrap = st.sampled_from(["model", "", "other"])
    return st.tuples(changes, wrap, st.integers(0, 3)).map(_with_changes)


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _with_changes(case: tuple[dict[Any, object], str, int]) -> dict[str, object]:
    changes, wrap, kept = case
    state: dict[str, object] = dict(_published())
    if kept:  # mostly
        state |= changes
    return {wrap: state, "epoch": 3} if wrap else state


def check_published(content: dict[str, object]) -> None:
    """A network whose parameters are those of the file."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "checkpoint.pth"
        torch.save(content, path)
        state = load_published(path, "student").state_dict()
    given = content.get("model", content)
    assert isinstance(given, dict)
    for name, value in given.items():
        assert torch.equal(state[name], value)


def _radar_file() -> bytes:
    returns = np.zeros(3, RADAR_DTYPE)
    returns["x"], returns["y"], returns["ambig_state"] = (10, 20, 30), (-1, 0, 1), 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radar.pcd"
        write_radar(path, returns)
        return path.read_bytes()


def check_radar(data: bytes) -> None:
    """Returns in nuScenes' layout."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "radar.pcd"
        path.write_bytes(data)
        assert read_radar(path).dtype == RADAR_DTYPE
        read_radar(path, filtered=True)


def check_lidar(data: bytes) -> None:
    """As many points as there are bytes for."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "lidar.pcd.bin"
        path.write_bytes(data)
        assert len(read_lidar(path)) == len(data) // 20


def _sample() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 90, (24, 32)).astype(np.float32)
    return encode_sample(
        Sample(
            key="scene/sample/CAM_FRONT",
            scene="scene",
            channel="CAM_FRONT",
            stamp=1_500_000_000_000_000,
            image=rng.integers(0, 256, (24, 32, 3), np.uint8),
            camera=Camera(np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]]), 32, 24),
            radar=np.array([[5, 6, 20, 3, 1, 0, 0]], np.float32),
            single_scan=depth,
            accumulated=depth,
            dense=depth,
            exact=depth,
            boxes=np.array([[1, 2, 10, 12]], np.float32),
            conditions={"weather": "rain"},
        )
    )


_SAMPLE = _sample()


def samples() -> st.SearchStrategy[dict[str, bytes]]:
    """The files of a sample, one of them damaged or missing."""

    def with_one(name: str) -> st.SearchStrategy[dict[str, bytes]]:
        missing = {other: data for other, data in _SAMPLE.items() if other != name}
        changed = damaged(_SAMPLE[name]).map(lambda data: {**_SAMPLE, name: data})
        return changed | st.just(missing)

    def with_record(data: bytes) -> dict[str, bytes]:
        return {**_SAMPLE, "json": data}

    record = changed_fields(json.loads(_SAMPLE["json"])).map(
        lambda found: json.dumps(found, default=str).encode()
    )
    one = st.sampled_from(sorted(_SAMPLE)).flatmap(with_one)
    return st.one_of(one, one, one, record.map(with_record), st.sampled_from(DEEP).map(with_record))


def indices() -> st.SearchStrategy[bytes]:
    """An index of shards, damaged or with other values."""
    changed = changed_fields(_INDEX) | st.one_of(NUMBERS, LONG_INTEGERS, VALUES).map(_with_count)
    as_json = changed.map(lambda found: json.dumps(found, default=str).encode())
    broken = damaged(json.dumps(_INDEX).encode())
    return st.one_of(as_json, as_json, broken, st.sampled_from(DEEP))


_INDEX = {"format": 1, "shards": [{"file": "a.tar", "samples": 2}, {"file": "b", "samples": 0}]}


def _with_count(count: object) -> dict[str, object]:
    return {"format": 1, "shards": [{"file": "a.tar", "samples": count}]}


def check_index(data: bytes) -> None:
    """Every shard lies beside the index, and has a number of samples."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        (Path(folder) / "index.json").write_bytes(data)
        for shard in find_shards(folder):
            assert Path(shard.location).parent == Path(folder)
            assert isinstance(shard.samples, int)
            assert 0 <= shard.samples <= MAX_INDEX_SAMPLES


@cache
def _shard() -> bytes:
    """A tar file of two samples."""
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as tar:
        for number in range(2):
            for extension, data in _SAMPLE.items():
                member = tarfile.TarInfo(f"{number}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return stored.getvalue()


def check_shard(data: bytes) -> None:
    """Its samples are whole, and all there where nothing was damaged; streamed, it is read too."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "a.tar"
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            assert len(list(read_shard(Shard(str(path))))) == 2 or data != _shard()
        samples = list(read_samples(path))
        assert len(samples) == 2 or data != _shard()
        for sample in samples:
            assert sample.key
            assert sample.image.shape == (sample.camera.height, sample.camera.width, 3)


def check_sample(files: dict[str, bytes]) -> None:
    """Every map is as large as the image."""
    sample = decode_sample(files, "fuzz")
    size = (sample.camera.height, sample.camera.width)
    assert sample.image.shape == (*size, 3)
    assert sample.single_scan.shape == size
    assert sample.radar.shape[1:] == (7,)
    assert sample.boxes.shape[1:] == (4,)
    check_framing(sample.camera)
    sample.radar_returns()


def _write_ros2(folder: Path, plugin: StoragePlugin) -> Path:
    """The file of a new rosbag2 folder."""
    store = get_typestore(Stores.ROS2_JAZZY)
    text = store.types["std_msgs/msg/String"]
    path = folder / plugin.name
    with Ros2Writer(path, version=9, storage_plugin=plugin) as writer:
        topic = writer.add_connection("/text", text.__msgtype__, typestore=store)
        for number in range(4):
            data = store.serialize_cdr(text(f"text {number}"), text.__msgtype__)
            writer.write(topic, number, data)
    return next(file for file in path.iterdir() if file.suffix != ".yaml")


def _bags() -> list[tuple[str, bytes]]:
    """A small bag of each kind: the file's name, and what it holds."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
            file = _write_ros2(Path(folder), plugin)
            found.append((file.name, file.read_bytes()))
        old = get_typestore(Stores.ROS1_NOETIC)
        text = old.types["std_msgs/msg/String"]
        path = Path(folder) / "old.bag"
        with Ros1Writer(path) as writer:
            topic = writer.add_connection("/text", text.__msgtype__, typestore=old)
            for number in range(4):
                writer.write(topic, number, old.serialize_ros1(text("text"), text.__msgtype__))
        found.append((path.name, path.read_bytes()))
    return found


def bags() -> st.SearchStrategy[tuple[str, bytes]]:
    """A bag's file, damaged, or a database whose times and data are of any type."""
    found = _bags()
    broken = st.sampled_from(found).flatmap(lambda bag: st.tuples(st.just(bag[0]), damaged(bag[1])))
    name, database = next(bag for bag in found if bag[0].endswith(".db3"))
    times = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, CLOCK_END - 1, CLOCK_END])
    values = st.one_of(times, st.none(), st.floats(), st.text(max_size=6), st.binary(max_size=6))
    columns = st.sampled_from(["timestamp", "timestamp", "data"])
    changed = st.lists(st.tuples(columns, st.integers(1, 4), values), min_size=1, max_size=3).map(
        lambda changes: (name, _with_values(database, changes))
    )
    return st.one_of(broken, broken, broken, changed)


def _with_values(database: bytes, changes: Sequence[tuple[str, int, object]]) -> bytes:
    """A database bag with other values: column, number of the message from 1, and value."""
    opened = sqlite3.connect(":memory:")
    opened.deserialize(database)
    for column, number, value in changes:
        opened.execute(f"UPDATE OR IGNORE messages SET {column} = ? WHERE id = ?", (value, number))
    opened.commit()
    changed = opened.serialize()
    opened.close()
    return changed


@cache
def _folder() -> tuple[dict[str, Any], str, bytes]:
    """A rosbag2 folder: metadata.yaml, and the name and content of its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = _write_ros2(Path(folder), StoragePlugin.MCAP)
        whole = yaml.safe_load((path.parent / "metadata.yaml").read_text())
        return whole, path.name, path.read_bytes()


def metadata() -> st.SearchStrategy[bytes]:
    """A bag's metadata.yaml, damaged."""
    whole = _folder()[0]
    inner = whole["rosbag2_bagfile_information"]
    names = st.sampled_from(["../../secret.mcap", "/etc/passwd", "", "..", "a\0b", "other.mcap"])
    elsewhere = names.map(
        lambda name: {"rosbag2_bagfile_information": {**inner, "relative_file_paths": [name]}}
    )
    changed = (changed_fields(whole) | changed_fields(inner).map(_wrapped) | elsewhere).map(
        lambda found: yaml.safe_dump(found).encode()
    )
    broken = damaged(yaml.safe_dump(whole).encode())
    return st.one_of(changed, changed, broken, broken, st.sampled_from(DEEP))


def _wrapped(inner: Any) -> dict[str, Any]:
    return {"rosbag2_bagfile_information": inner}


def check_metadata(data: bytes) -> None:
    """Nothing beside the bag's own messages is read."""
    _, name, content = _folder()
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "outer" / "bag"
        path.mkdir(parents=True)
        (Path(folder) / "secret.mcap").write_bytes(content)
        (path / name).write_bytes(content)
        (path / "metadata.yaml").write_bytes(data)
        with Bag(path) as bag:
            assert {file.parent for file in opened_files(bag)} <= {path}
            for message in bag.messages(bag.topics):
                assert message.topic in bag.topics


def opened_files(bag: Bag) -> list[Path]:
    """The files that a folder's reader reads."""
    return [Path(storage.path) for storage in bag._reader.storage.storages]  # type: ignore[union-attr]


def check_bag(case: tuple[str, bytes]) -> None:
    """Each message has a topic of the bag, and a time that the clock tells before it."""
    name, data = case
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        with Bag(path) as bag:
            # A message an age: damaged times lie far apart.
            for message in with_clock(bag.messages(bag.topics), 1e-9, path):
                assert message.topic in {*bag.topics, CLOCK_TOPIC}
                assert message.data[:1] == b"\0"
                assert 0 <= message.time < CLOCK_END


TARGETS = [
    Target("weights", damaged(_WEIGHTS), check_weights, 0.04),
    Target("checkpoint", damaged(_CHECKPOINT, _HARMFUL), check_checkpoint, 0.03),
    Target("radar file", damaged(_radar_file()), check_radar, 0.03),
    Target("lidar file", damaged(np.arange(20.0).astype("<f4").tobytes()), check_lidar, 0.01),
    Target("prepared sample", samples(), check_sample, 0.02),
    Target("shard", damaged(_shard()), check_shard, 0.01),
    Target("bag", bags(), check_bag, 0.02),
    Target("bag's metadata", metadata(), check_metadata, 0.02),
    Target("published checkpoint", published(), check_published, 0.005),
    Target("index of shards", indices(), check_index, 0.02),
]
