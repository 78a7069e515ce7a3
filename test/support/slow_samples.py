"""The table "Training data as published", one point at a time: slow, obvious, and independent.

Only the devkit's tables and file readers, pyquaternion, scipy's triangulation and the rule for its
ties are shared with the program.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import Box, LidarPointCloud
from pyquaternion import Quaternion
from scipy.interpolate import LinearNDInterpolator

from lircdepth_core.dataset.depth_maps import tie_breaks
from lircdepth_core.dataset.devkit import read_radar

CLASSES = (
    "vehicle.car",
    "vehicle.motorcycle",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.truck",
    "vehicle.trailer",
    "human.pedestrian.adult",
)


class SlowSample:
    """One key frame of one camera."""

    def __init__(self, nusc: NuScenes, token: str, camera: str = "CAM_FRONT") -> None:
        self.nusc = nusc
        self.sample = nusc.get("sample", token)
        self.camera = nusc.get("sample_data", self.sample["data"][camera])
        self.K = nusc.get("calibrated_sensor", self.camera["calibrated_sensor_token"])[
            "camera_intrinsic"
        ]
        self.width, self.height = self.camera["width"], self.camera["height"]

    def radar(self) -> np.ndarray:
        """(M, 7): u, v, depth, rcs, vx, vy, box index."""
        row = self.nusc.get("sample_data", self.sample["data"]["RADAR_FRONT"])
        boxes, _ = self.boxes()
        columns = []
        for point in read_radar(Path(self.nusc.dataroot) / row["filename"]):
            place = self._to_camera(row, [float(point["x"]), float(point["y"]), float(point["z"])])
            seen = self._pixel(place)
            if seen is None:
                continue
            index = 0
            for number, box in enumerate(boxes, start=1):
                if index == 0 and _in_box(box, self._camera_to_global(place), 0.0):
                    index = number
            # The velocity as the camera would have measured it: turned by the radar's yaw.
            ahead = self._to_camera(row, [1.0, 0.0, 0.0]) - self._to_camera(row, [0.0, 0.0, 0.0])
            yaw = math.atan2(-ahead[0], ahead[2])
            vx = math.cos(yaw) * point["vx"] - math.sin(yaw) * point["vy"]
            vy = math.sin(yaw) * point["vx"] + math.cos(yaw) * point["vy"]
            columns.append([*seen, place[2], float(point["rcs"]), vx, vy, index])
        return np.array(columns).reshape(-1, 7)

    def boxes(self) -> tuple[list[Box], np.ndarray]:
        """The boxes in view, nearest first, and their extents (B, 4)."""
        found = []
        for token in self.sample["anns"]:
            box = self.nusc.get_box(token)
            corners = [self._global_to_camera(corner) for corner in box.corners().T]
            pixels = [self._project(corner) for corner in corners]
            if box.name not in CLASSES or min(corner[2] for corner in corners) <= 0.1:
                continue
            if not any(
                0 < u < self.width and 0 < v < self.height and corner[2] > 1
                for (u, v), corner in zip(pixels, corners, strict=True)
            ):
                continue
            us, vs = zip(*pixels, strict=True)
            extent = [min(us), min(vs), max(us), max(vs)]
            limit = [self.width - 1, self.height - 1] * 2
            extent = [min(max(value, 0), most) for value, most in zip(extent, limit, strict=True)]
            found.append((self._global_to_camera(box.center)[2], extent, box))
        found.sort(key=lambda entry: entry[0])
        found = found[:35]
        return [box for _, _, box in found], np.array([e for _, e, _ in found]).reshape(-1, 4)

    def single_scan(self) -> np.ndarray:
        """(H, W) metres."""
        row = self.nusc.get("sample_data", self.sample["data"]["LIDAR_TOP"])
        depth = np.zeros((self.height, self.width))
        for point in _lidar_points(self.nusc, row):
            self._draw(depth, self._to_camera(row, point))
        return depth

    def accumulated(self, sweeps: int, margin: float = 0.3) -> np.ndarray:
        """(H, W) metres; movable things are told by their boxes."""
        depth = self.single_scan()
        own = self.nusc.get("sample_data", self.sample["data"]["LIDAR_TOP"])
        in_the_way = self._movable(self.camera["timestamp"])
        eye = self._camera_to_global([0.0, 0.0, 0.0])
        for direction in ("next", "prev"):
            row = own
            for _ in range(sweeps):
                if not row[direction]:
                    break
                row = self.nusc.get("sample_data", row[direction])
                movable = self._movable(row["timestamp"])
                for point in _lidar_points(self.nusc, row):
                    if _on_vehicle(self._to_ego(row, point)):
                        continue
                    place = self._to_global(row, point)
                    if any(_in_box(box, place, margin) for box in movable):
                        continue
                    seen = self._global_to_camera(place)
                    pixel = self._pixel(seen)
                    if pixel is None:
                        continue
                    u, v = round(pixel[0]), round(pixel[1])
                    ray = [(u - self.K[0][2]) / self.K[0][0], (v - self.K[1][2]) / self.K[1][1], 1]
                    ray = np.subtract(self._camera_to_global(ray), eye)
                    if any(_entry(box, eye, ray, margin) <= seen[2] for box in in_the_way):
                        continue
                    self._draw(depth, seen)
        return depth

    def dense(self, sparse: np.ndarray) -> np.ndarray:
        """(H, W) metres."""
        displacement = tie_breaks(sparse.shape)
        points = [
            (row, column)
            for row in range(self.height)
            for column in range(self.width)
            if sparse[row, column] > 0
        ]
        displaced = [np.add(point, displacement[point]) for point in points]
        surface = LinearNDInterpolator(displaced, [sparse[point] for point in points], fill_value=0)
        dense = sparse.copy()
        for row in range(self.height):
            for column in range(self.width):
                if sparse[row, column] == 0:
                    dense[row, column] = surface(row, column)
        return dense

    def _movable(self, stamp: int) -> list[Box]:
        """Boxes of what can move at a time, between its annotations or up to 0.5 s from them."""
        scene = self.nusc.get("scene", self.sample["scene_token"])
        things: dict[str, list[tuple[int, Box]]] = {}
        token = scene["first_sample_token"]
        while token:
            sample = self.nusc.get("sample", token)
            for annotation in sample["anns"]:
                row = self.nusc.get("sample_annotation", annotation)
                if row["category_name"].split(".")[0] in ("vehicle", "human", "animal"):
                    things.setdefault(row["instance_token"], []).append(
                        (sample["timestamp"], self.nusc.get_box(annotation))
                    )
            token = sample["next"]
        boxes = []
        for known in things.values():
            if not known[0][0] - 500_000 <= stamp < known[-1][0] + 500_000:
                continue
            if len(known) == 1:
                boxes.append(known[0][1])
                continue
            number = 0
            while number < len(known) - 2 and stamp >= known[number + 1][0]:
                number += 1
            (t0, first), (t1, last) = known[number], known[number + 1]
            share = (stamp - t0) / (t1 - t0)
            turn = first.orientation.inverse * last.orientation
            orientation = first.orientation * Quaternion(
                axis=turn.axis if turn.angle else [0, 0, 1], angle=share * turn.angle
            )
            centre = first.center + share * (last.center - first.center)
            boxes.append(Box(centre, first.wlh, orientation, name=first.name))
        return boxes

    def _draw(self, depth: np.ndarray, place: np.ndarray) -> None:
        pixel = self._pixel(place)
        if pixel is not None:
            column, row = round(pixel[0]), round(pixel[1])
            if depth[row, column] == 0 or place[2] < depth[row, column]:
                depth[row, column] = place[2]

    def _pixel(self, place: np.ndarray) -> tuple[float, float] | None:
        """Where the camera sees a point of its frame, None if it does not."""
        if not place[2] > 1:
            return None
        u, v = self._project(place)
        return (u, v) if 1 < u < self.width - 1 and 1 < v < self.height - 1 else None

    def _project(self, place: np.ndarray) -> tuple[float, float]:
        u = self.K[0][0] * place[0] / place[2] + self.K[0][2]
        v = self.K[1][1] * place[1] / place[2] + self.K[1][2]
        return u, v

    def _to_ego(self, row: dict, point: list[float]) -> np.ndarray:
        return _forward(self.nusc.get("calibrated_sensor", row["calibrated_sensor_token"]), point)

    def _to_global(self, row: dict, point: list[float]) -> np.ndarray:
        return _forward(self.nusc.get("ego_pose", row["ego_pose_token"]), self._to_ego(row, point))

    def _to_camera(self, row: dict, point: list[float]) -> np.ndarray:
        return self._global_to_camera(self._to_global(row, point))

    def _global_to_camera(self, point: np.ndarray) -> np.ndarray:
        ego = _backward(self.nusc.get("ego_pose", self.camera["ego_pose_token"]), point)
        return _backward(
            self.nusc.get("calibrated_sensor", self.camera["calibrated_sensor_token"]), ego
        )

    def _camera_to_global(self, point: np.ndarray) -> np.ndarray:
        return self._to_global(self.camera, point)


def _lidar_points(nusc: NuScenes, row: dict) -> list[list[float]]:
    cloud = LidarPointCloud.from_file(nusc.dataroot + "/" + row["filename"])
    return cloud.points[:3].T.astype(float).tolist()


_ROTATIONS: dict[tuple[float, ...], np.ndarray] = {}


def _rotation(step: dict) -> np.ndarray:
    key = tuple(step["rotation"])
    if key not in _ROTATIONS:
        _ROTATIONS[key] = Quaternion(step["rotation"]).rotation_matrix
    return _ROTATIONS[key]


def _forward(step: dict, point: np.ndarray) -> np.ndarray:
    return _rotation(step) @ np.asarray(point) + step["translation"]


def _backward(step: dict, point: np.ndarray) -> np.ndarray:
    return _rotation(step).T @ np.subtract(point, step["translation"])


def _in_box(box: Box, point: np.ndarray, margin: float) -> bool:
    x, y, z = box.rotation_matrix.T @ (point - box.center)
    width, length, height = box.wlh / 2 + margin
    return abs(x) <= length and abs(y) <= width and abs(z) <= height


def _entry(box: Box, eye: np.ndarray, ray: np.ndarray, margin: float) -> float:
    """How many rays' lengths from the eye a box begins, infinity if it is missed or behind."""
    origin, direction = box.rotation_matrix.T @ (eye - box.center), box.rotation_matrix.T @ ray
    width, length, height = box.wlh / 2 + margin
    enter, leave = 0.0, math.inf
    for start, step, half in zip(origin, direction, (length, width, height), strict=True):
        ends = sorted(((-half - start) / step, (half - start) / step))
        enter, leave = max(enter, ends[0]), min(leave, ends[1])
    return enter if enter <= leave else math.inf


def _on_vehicle(place: np.ndarray) -> bool:
    return -1.2 < place[0] < 4.0 and -1.2 < place[1] < 1.2 and -0.5 < place[2] < 2.2
