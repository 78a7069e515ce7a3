"""The demo: the bag of a generated drive, replayed over DDS into the node, its answers as pictures.

Run by `make demo`. The bag and its exact depth stand in `demo/data` (`make demo-data` makes them);
pictures, `report.md` and `report.json` land in the folder given.
"""

from __future__ import annotations

import argparse
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

from lircdepth_core.inference.depth_png import read_depth_png
from lircdepth_core.radar import RadarReturns
from lircdepth_ros.calibration_poses import CalibrationPoses
from lircdepth_ros.conversions import (
    RadarFields,
    camera_from_message,
    image_from_message,
    radar_from_message,
)
from lircdepth_ros.stamps import stamp_nanoseconds

DATA = Path(__file__).parent / "data"
REPORT = "report.json"
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
    if out.exists() and not (out / REPORT).is_file() and (out.is_file() or any(out.iterdir())):
        print(f"{out}: holds something else than a demo; give a new folder", file=sys.stderr)
        return 2
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    bag = DATA / "bag"
    calibration = bag / "calibration.yaml"

    recorder = Recorder()
    tools = Path(sys.executable).parent
    node = subprocess.Popen(
        [
            *(tools / "lircdepth_node", "--ros-args"),
            *("-p", f"calibration_file:={calibration}"),
            # Replay waits for the node, however slow the machine is.
            *("-p", "radar_wait:=2.0", "-p", "radar_silence:=60.0"),
            *("-r", f"~/input/image:={IMAGE}", "-r", f"~/input/camera_info:={CAMERA_INFO}"),
            *("-r", f"~/input/radar:={RADAR}", "-r", f"~/input/odometry:={ODOMETRY}"),
        ]
    )
    try:
        # They come once the node is active and has heard of the recorder; answers before are lost.
        while not recorder.diagnostics:
            if node.poll() is not None:
                print(f"the node ended with {node.returncode}; its log is above", file=sys.stderr)
                return 1
            time.sleep(0.1)
        replay = subprocess.run(
            [
                *(tools / "lircdepth_replay", bag, "--lockstep", "--answer-timeout", "60"),
                *("--topics", IMAGE, CAMERA_INFO, RADAR, ODOMETRY),
                *("--wait", IMAGE, CAMERA_INFO, RADAR, ODOMETRY),
                *("--wait-readers", "2"),  # the node, and the recorder here
                # The first start tries back ends, which takes a busy machine a minute and more.
                *("--wait-timeout", "300"),
            ],
            check=False,
        )
        time.sleep(1.5)  # the last diagnostics come once a second
    finally:
        node.send_signal(signal.SIGINT)
        node_code = node.wait(30)
        recorder.close()

    frames = collect_frames(recorder, CalibrationPoses(calibration))
    images, answers = len(recorder.messages[IMAGE]), len(recorder.messages[DEPTH])
    spread = np.linspace(0, len(frames) - 1, PICTURES if frames else 0)
    chosen = np.unique(spread.round().astype(int))
    facts = {
        "images replayed": images,
        "images answered": answers,
        "images with exact depth": len(frames),
        "replay exit code": replay.returncode,
        "node exit code": node_code,
        "seconds in all": round(time.monotonic() - started, 1),
        "node": recorder.diagnostics,
    }
    write_report(out, frames, [frames[index] for index in chosen], facts)
    (out / REPORT).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(f"{answers} of {images} images answered; see {out / 'report.md'}")
    return 0 if 0 < answers == images and replay.returncode == node_code == 0 else 1


def collect_frames(recorder: Recorder, poses: CalibrationPoses) -> list[Frame]:
    """Put answers beside their image, the radar as the camera saw it, and the truth."""
    messages = recorder.messages
    for odometry in messages[ODOMETRY].values():
        poses.add_odometry(odometry)
    truths = {int(path.stem) * 1000: path for path in (DATA / "truth").glob("*.png")}
    frames = []
    # Images are best effort: a busy machine may lose one on its way to the recorder.
    kept = (messages[topic].keys() for topic in (DEPTH, SIGMA, IMAGE, CAMERA_INFO))
    for stamp in sorted(truths.keys() & set.intersection(*map(set, kept))):
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
                depth=_pixels(messages[DEPTH][stamp]),
                sigma=_pixels(messages[SIGMA][stamp]),
                truth=read_depth_png(truths[stamp]),
            )
        )
    return frames


def _pixels(message: Image) -> np.ndarray:
    """(H, W) float32 of a 32FC1 image."""
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, nargs="?", default="out/demo", help="(%(default)s)")
    sys.exit(main(parser.parse_args().out))
