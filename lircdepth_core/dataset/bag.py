"""nuScenes scenes as ROS 2 bags: `write_bag` and the command `lircdepth bag`."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml

from lircdepth_core.dataset.devkit import (
    find_scene,
    open_dataset,
    read_lidar,
    read_radar,
    reading_tables,
    sensor_rows,
    stamp_of,
)
from lircdepth_core.dataset.scene_tables import Measurement, measurement
from lircdepth_core.errors import InputError
from lircdepth_core.output_folder import output_folder
from lircdepth_core.progress import Progress
from lircdepth_core.result_files import naming_file, unwritten
from lircdepth_core.unfinished_folder import unfinished_folder

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

    from lircdepth_core.dataset.ros_messages import MessageFactory

STORAGES = ("mcap", "sqlite3")
CALIBRATION_FILE = "calibration.yaml"

# /tf and /tf_static as tf2_ros' broadcasters offer them.
_QUEUE_DEPTH = {"/tf": 100, "/tf_static": 1}

Row = dict[str, Any]


@dataclass(frozen=True)
class BagSummary:
    """What a conversion wrote.

    Attributes:
        path: the bag's folder.
        messages: number of messages by topic.
        duration: seconds from the first to the last message.
        size: bytes on disk.
        missing: files that the tables name and the data set lacks, relative to its root.
    """

    path: Path
    messages: dict[str, int]
    duration: float
    size: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        text = (
            f"{self.path}: {sum(self.messages.values())} messages on {len(self.messages)} topics, "
            f"{self.duration:.2f} s, {self.size / 1e6:.1f} MB"
        )
        if self.missing:
            text += f"; skipped {len(self.missing)} missing files, such as {self.missing[0]}"
        return text


def write_bag(
    dataroot: Path,
    out: Path,
    scene: str,
    *,
    version: str | None = None,
    storage: str = "mcap",
    sensors: list[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BagSummary:
    """Convert one nuScenes scene, key frames and sweeps, to a ROS 2 bag.

    Topics: `/<CAMERA>/image_rect_compressed` with `/<CAMERA>/camera_info` right before each image,
    `/<RADAR>` and `/<LIDAR>` (PointCloud2), `/tf` and `/odom` (map -> base_link from the ego poses
    of all measurements of the chosen sensors), `/tf_static` (base_link -> sensor). Messages stand
    in the order of their stamps, which are the sensors'. `calibration.yaml` in the bag's folder
    repeats the static poses.

    Args:
        dataroot: root of the nuScenes data set.
        out: the bag's folder, made by this call; nothing is left there if the conversion fails.
        scene: name of the scene, such as `scene-0061`.
        version: folder of tables; None takes the only one.
        storage: `mcap` or `sqlite3`.
        sensors: channels to convert; None takes all.
        progress: called with the number of rows done and the number of all rows.

    Raises:
        InputError: `out` exists or cannot be written, the data set, the version, the scene or a
            sensor is not there, a file is damaged, or not one of the scene's files is there.
        ImportError: a package of the extra `bag` is not installed.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    from lircdepth_core.dataset.ros_messages import MessageFactory

    if storage not in STORAGES:
        raise InputError(f"storage {storage}: not known; choose from {', '.join(STORAGES)}")
    if out.exists():
        raise InputError(f"{out}: exists; remove it or choose another folder")

    with output_folder(out.parent):
        nusc = open_dataset(dataroot, version)
        rows = _choose_sensors(sensor_rows(nusc, find_scene(nusc, scene)), sensors)
        with reading_tables(nusc):
            measured = [measurement(nusc, row) for row in rows]
            present = [(dataroot / one.file).is_file() for one in measured]
            calibrations = _calibrations(nusc, rows)
            poses = _poses(nusc, rows)
        missing = tuple(one.file for one, there in zip(measured, present, strict=True) if not there)
        if not any(present):
            raise InputError(
                f"{dataroot}: holds none of the {len(rows)} files of {scene}"
                + (f", such as {missing[0]}; unpack samples and sweeps" if missing else "")
            )

    typestore = get_typestore(Stores.ROS2_JAZZY)
    factory = MessageFactory(typestore.types)
    try:
        unfinished_bag = unfinished_folder(out.parent, f".{out.name}.unfinished-")
        with naming_file(out), unfinished_bag as scratch:
            # The file inside takes its name from the folder's, hence a folder of the same name.
            unfinished = scratch / out.name
            plugin = StoragePlugin[storage.upper()]
            with Writer(unfinished, version=9, storage_plugin=plugin) as writer:
                connections: dict[str, Any] = {}
                for topic, stamp, content in _messages(
                    factory, dataroot, rows, measured, present, calibrations, poses, progress
                ):
                    if topic not in connections:
                        connections[topic] = writer.add_connection(
                            topic,
                            content.__msgtype__,
                            typestore=typestore,
                            offered_qos_profiles=[_qos(topic)],
                        )
                    data = typestore.serialize_cdr(content, content.__msgtype__)
                    writer.write(connections[topic], stamp, data)
            (unfinished / CALIBRATION_FILE).write_text(_calibration_text(calibrations))
            unfinished.rename(out)
    except OSError as error:
        raise InputError(unwritten(error)) from error
    except sqlite3.Error as error:  # what its writer says of a disk that is full
        raise InputError(f"{out}: cannot be written ({error}); free some space") from error
    return BagSummary(
        path=out,
        messages={topic: writer.counts[connections[topic].id] for topic in sorted(connections)},
        duration=(writer.max_timestamp - writer.min_timestamp) / 1e9,
        size=sum(path.stat().st_size for path in out.iterdir()),
        missing=missing,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lircdepth bag`."""
    parser.add_argument(
        "dataroot", type=Path, metavar="DATAROOT", help="root of a nuScenes data set"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the bag, to be made")
    parser.add_argument("--scene", required=True, metavar="NAME", help="such as scene-0061")
    parser.add_argument("--version", help="such as v1.0-mini; needed only if there are several")
    parser.add_argument("--storage", choices=STORAGES, default="mcap", help="(default: mcap)")
    parser.add_argument(
        "--sensors",
        nargs="+",
        metavar="CHANNEL",
        help="such as CAM_FRONT RADAR_FRONT (default: all)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `lircdepth bag`; errors are raised as `InputError`."""
    summary = write_bag(
        args.dataroot,
        args.out,
        args.scene,
        version=args.version,
        storage=args.storage,
        sensors=args.sensors,
        progress=Progress("measurements"),
    )
    print(summary)
    return 0


class _Message(NamedTuple):
    """A message and where it goes; `stamp` in nanoseconds."""

    topic: str
    stamp: int
    content: Any


def _choose_sensors(rows: list[Row], sensors: list[str] | None) -> list[Row]:
    """The rows of the chosen channels."""
    if sensors is None:
        return rows
    channels = sorted({row["channel"] for row in rows})
    unknown = sorted(set(sensors) - set(channels))
    if unknown:
        raise InputError(f"no sensor {', '.join(unknown)}; there are {', '.join(channels)}")
    return [row for row in rows if row["channel"] in sensors]


def _calibrations(nusc: NuScenes, rows: list[Row]) -> dict[str, Row]:
    """The calibrated_sensor row of each channel."""
    calibrations: dict[str, Row] = {}
    for row in rows:
        found = nusc.get("calibrated_sensor", row["calibrated_sensor_token"])
        if calibrations.setdefault(row["channel"], found) is not found:
            raise InputError(
                f"{nusc.dataroot}: {row['channel']} has more than one calibration in the scene; "
                "/tf_static can hold one, leave the sensor out with --sensors"
            )
    return dict(sorted(calibrations.items()))


def _poses(nusc: NuScenes, rows: list[Row]) -> dict[int, Row]:
    """The ego_pose rows of all measurements by their stamps in nanoseconds."""
    poses: dict[int, Row] = {}
    for row in rows:
        pose = nusc.get("ego_pose", row["ego_pose_token"])
        poses.setdefault(stamp_of("ego_pose", pose) * 1000, pose)
    return poses


def _calibration_text(calibrations: dict[str, Row]) -> str:
    """The calibration file."""
    from lircdepth_core.dataset.ros_messages import BASE_FRAME

    frames = {}
    for channel, calibration in calibrations.items():
        w, x, y, z = calibration["rotation"]
        frames[channel] = {"translation": calibration["translation"], "rotation": [x, y, z, w]}
    content = {"base_frame": BASE_FRAME, "frames": frames}
    return "# poses of the sensors in base_frame: metres, quaternion x y z w\n" + yaml.safe_dump(
        content, default_flow_style=None, sort_keys=False, width=200
    )


def _messages(
    factory: MessageFactory,
    dataroot: Path,
    rows: list[Row],
    measured: list[Measurement],
    present: list[bool],
    calibrations: dict[str, Row],
    pose_at: dict[int, Row],
    progress: Callable[[int, int], None] | None,
) -> Iterator[_Message]:
    """All messages in the order of their stamps, a pose before what was measured there."""
    from lircdepth_core.dataset.ros_messages import BASE_FRAME, MAP_FRAME, twists

    stamps = np.array(sorted(pose_at))
    poses = [pose_at[int(stamp)] for stamp in stamps]
    motions = twists(stamps, poses)

    is_row = 1
    events = [(int(stamp), 0, index) for index, stamp in enumerate(stamps)]
    events += [(one.stamp * 1000, is_row, index) for index, one in enumerate(measured)]
    events.sort()

    start = events[0][0]
    yield _Message("/tf_static", start, factory.transforms(start, BASE_FRAME, calibrations))
    for stamp, kind, index in events:
        if kind == is_row:
            if present[index]:
                yield from _measurement(factory, dataroot, rows[index], measured[index])
            if progress:
                progress(index + 1, len(rows))
        else:
            pose = poses[index]
            yield _Message("/tf", stamp, factory.transforms(stamp, MAP_FRAME, {BASE_FRAME: pose}))
            yield _Message("/odom", stamp, factory.odometry(stamp, pose, motions[index]))


def _measurement(
    factory: MessageFactory, dataroot: Path, row: Row, measured: Measurement
) -> Iterator[_Message]:
    """The message of a sample_data row; a camera's info comes before its image."""
    channel, path, stamp = row["channel"], dataroot / measured.file, measured.stamp * 1000
    camera = measured.camera
    if camera:
        info = factory.camera_info(stamp, channel, camera.K, (camera.width, camera.height))
        yield _Message(f"/{channel}/camera_info", stamp, info)
        with naming_file(path):
            encoded = path.read_bytes()
        image = factory.compressed_image(stamp, channel, encoded)
        yield _Message(f"/{channel}/image_rect_compressed", stamp, image)
    else:
        radar = row["sensor_modality"] == "radar"
        points = read_radar(path) if radar else read_lidar(path)
        yield _Message(f"/{channel}", stamp, factory.point_cloud(stamp, channel, points))


def _qos(topic: str) -> Any:
    """The QoS that the topic's usual publisher offers: all reliable, /tf_static latched."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    infinite = QosTime(9223372036, 854775807)
    static = topic == "/tf_static"
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=_QUEUE_DEPTH.get(topic, 10),
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if static else QosDurability.VOLATILE,
        deadline=infinite,
        lifespan=infinite,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=infinite,
        avoid_ros_namespace_conventions=False,
    )
