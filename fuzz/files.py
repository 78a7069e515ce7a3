"""Targets that read binary files: weights, checkpoints, nuScenes' point clouds, samples, bags."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

from fuzz.mutations import damaged
from fuzz.target import Target
from lircdepth_core.camera import Camera
from lircdepth_core.dataset.devkit import RADAR_DTYPE, read_lidar, read_radar
from lircdepth_core.dataset.sample import Sample
from lircdepth_core.dataset.sample_files import decode_sample, encode_sample
from lircdepth_core.drive.nuscenes_tables import write_radar
from lircdepth_core.inference.model_files import read_weights
from lircdepth_core.network.parameters import read_checkpoint
from lircdepth_ros.replay_bag import Bag

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

    return st.sampled_from(sorted(_SAMPLE)).flatmap(with_one)


def check_sample(files: dict[str, bytes]) -> None:
    """Every map is as large as the image."""
    sample = decode_sample(files, "fuzz")
    size = (sample.camera.height, sample.camera.width)
    assert sample.image.shape == (*size, 3)
    assert sample.single_scan.shape == size
    assert sample.radar.shape[1:] == (7,)
    assert sample.boxes.shape[1:] == (4,)


def _bags() -> list[tuple[str, bytes]]:
    """A small bag of each kind: the file's name, and what it holds."""
    store = get_typestore(Stores.ROS2_JAZZY)
    text = store.types["std_msgs/msg/String"]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
            path = Path(folder) / plugin.name
            with Ros2Writer(path, version=9, storage_plugin=plugin) as writer:
                topic = writer.add_connection("/text", text.__msgtype__, typestore=store)
                for number in range(4):
                    data = store.serialize_cdr(text(f"text {number}"), text.__msgtype__)
                    writer.write(topic, number, data)
            file = next(p for p in path.iterdir() if p.suffix != ".yaml")
            found.append((file.name, file.read_bytes()))
        old = get_typestore(Stores.ROS1_NOETIC)
        path = Path(folder) / "old.bag"
        with Ros1Writer(path) as writer:
            topic = writer.add_connection("/text", text.__msgtype__, typestore=old)
            for number in range(4):
                writer.write(topic, number, old.serialize_ros1(text("text"), text.__msgtype__))
        found.append((path.name, path.read_bytes()))
    return found


def bags() -> st.SearchStrategy[tuple[str, bytes]]:
    """A bag's file, damaged."""
    return st.sampled_from(_bags()).flatmap(lambda bag: st.tuples(st.just(bag[0]), damaged(bag[1])))


def check_bag(case: tuple[str, bytes]) -> None:
    """Each message has a topic of the bag and a time."""
    name, data = case
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        with Bag(path) as bag:
            for message in bag.messages(bag.topics):
                assert message.topic in bag.topics
                assert message.data[:1] == b"\0"


TARGETS = [
    Target("weights", damaged(_WEIGHTS), check_weights, 0.04),
    Target("checkpoint", damaged(_CHECKPOINT, _HARMFUL), check_checkpoint, 0.03),
    Target("radar file", damaged(_radar_file()), check_radar, 0.03),
    Target("lidar file", damaged(np.arange(20.0).astype("<f4").tobytes()), check_lidar, 0.01),
    Target("prepared sample", samples(), check_sample, 0.02),
    Target("bag", bags(), check_bag, 0.02),
]
