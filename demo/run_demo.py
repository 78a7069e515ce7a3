"""The demo: a generated drive as a bag, replayed over DDS into the node, its answers as pictures.

Run by `make demo`; needs no data. Everything lands in the folder given: the data set, the bag,
pictures, `report.md` and `report.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("ROS_DOMAIN_ID", "73")  # away from a ROS that may run beside

import rclpy
from demo_report import Frame, write_report
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from lircdepth_core.dataset.bag import write_bag
from lircdepth_core.drive.simple_scene import SCENE, true_depth, write_scene
from lircdepth_core.radar import RadarReturns
from lircdepth_ros.conversions import (
    RadarFields,
    camera_from_message,
    image_from_message,
    radar_from_message,
)
from lircdepth_ros.transforms import CalibrationPoses, stamp_nanoseconds

FRAMES = 24
PICTURES = 4
IMAGE, CAMERA_INFO, RADAR, ODOMETRY = (
    "/CAM_FRONT/image_rect_compressed",
    "/CAM_FRONT/camera_info",
    "/RADAR_FRONT",
    "/odom",
)
DEPTH, SIGMA = "/depth/output/depth/image_rect", "/depth/output/uncertainty/image_rect"
TOPICS = {
    IMAGE: CompressedImage,
    CAMERA_INFO: CameraInfo,
    RADAR: PointCloud2,
    ODOMETRY: Odometry,
    DEPTH: Image,
    SIGMA: Image,
}


class Recorder:
    """Keeps what goes over the topics, by stamp, and the node's last diagnostics."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[int, object]] = defaultdict(dict)
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("demo_recorder", context=self._context)
        for topic, kind in TOPICS.items():
            self._node.create_subscription(kind, topic, self._keeper(topic), 100)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._keep_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        rclpy.try_shutdown(context=self._context)
        self._thread.join()
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _keeper(self, topic: str):
        kept = self.messages[topic]
        return lambda message: kept.setdefault(stamp_nanoseconds(message.header.stamp), message)

    def _keep_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {value.key: value.value for value in status.values}


def main(out: Path) -> int:
    """Run the demo into a folder; the exit code."""
    started = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    data, bag = out / "dataset", out / "bag"
    print(f"generating {FRAMES} images with radar and exact depth ...", flush=True)
    write_scene(data, frames=FRAMES)
    print(write_bag(data, bag, SCENE), flush=True)
    calibration = bag / "calibration.yaml"

    recorder = Recorder()
    tools = Path(sys.executable).parent
    node = subprocess.Popen(
        [
            *(tools / "lircdepth_node", "--ros-args"),
            *("-p", f"calibration_file:={calibration}"),
            *("-r", f"~/input/image:={IMAGE}", "-r", f"~/input/camera_info:={CAMERA_INFO}"),
            *("-r", f"~/input/radar:={RADAR}", "-r", f"~/input/odometry:={ODOMETRY}"),
        ]
    )
    try:
        replay = subprocess.run(
            [
                *(tools / "lircdepth_replay", bag, "--lockstep", "--answer-timeout", "60"),
                *("--topics", IMAGE, CAMERA_INFO, RADAR, ODOMETRY),
                *("--wait", IMAGE, CAMERA_INFO, RADAR, ODOMETRY),
            ],
            check=False,
        )
        time.sleep(1.5)  # the last diagnostics come once a second
    finally:
        node.send_signal(signal.SIGINT)
        node_code = node.wait(30)
        recorder.close()

    frames = collect_frames(recorder, data, CalibrationPoses(calibration))
    chosen = np.unique(np.linspace(0, len(frames) - 1, PICTURES).round().astype(int))
    facts = {
        "images in the bag": FRAMES,
        "images answered": len(frames),
        "replay exit code": replay.returncode,
        "node exit code": node_code,
        "seconds in all": round(time.monotonic() - started, 1),
        "node": recorder.diagnostics,
    }
    write_report(out, frames, [frames[index] for index in chosen], facts)
    (out / "report.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(frames)} of {FRAMES} images answered; see {out / 'report.md'}")
    return 0 if len(frames) == FRAMES and replay.returncode == node_code == 0 else 1


def collect_frames(recorder: Recorder, data: Path, poses: CalibrationPoses) -> list[Frame]:
    """Put each answer beside its image, the radar as the camera saw it, and the truth."""
    messages = recorder.messages
    for odometry in messages[ODOMETRY].values():
        poses.add_odometry(odometry)
    stems = {
        int(path.stem.rsplit("_", 1)[1]) * 1000: f"{path.parent.name}/{path.stem}"
        for path in (data / "depth").rglob("*.npz")
    }
    frames = []
    for stamp, answer in sorted(messages[DEPTH].items()):
        image = messages[IMAGE][stamp]
        camera = camera_from_message(messages[CAMERA_INFO][stamp], rectified=True).camera
        radar_stamp = min(messages[RADAR], key=lambda other: abs(other - stamp))
        cloud = messages[RADAR][radar_stamp]
        pose = poses.radar_pose(
            image.header.frame_id, stamp, cloud.header.frame_id, radar_stamp, final=True
        )
        returns = radar_from_message(cloud, RadarFields())
        radar = RadarReturns.from_sensor(
            returns.position, returns.rcs, returns.velocity, pose.camera_from_radar
        )
        frames.append(
            Frame(
                stamp=stamp,
                image=image_from_message(image),
                radar=radar.visible_in(camera),
                depth=_pixels(answer),
                sigma=_pixels(messages[SIGMA][stamp]),
                truth=true_depth(data, stems[stamp]),
            )
        )
    return frames


def _pixels(message: Image) -> np.ndarray:
    """(H, W) float32 of a 32FC1 image."""
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")))
