"""Radar returns seen by a camera: filtering, projection and the network's radar image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError

MIN_DEPTH = 1.0
"""Returns nearer than this (metres along the optical axis) are not used, as in training."""

MANY_RETURNS = 5_000
"""From how many to sort them takes longer than a map of the nearest at every pixel."""

MAX_MAGNITUDE = 10_000.0
"""Returns of more metres, dBsm or m/s than this are no radar's and not used: half precision, or
even single, would overflow in the network, and the whole image be lost."""

RADAR_CHANNELS = ("depth", "rcs", "vx", "vy")
"""Channels of the radar image: metres, dBsm, m/s forward, m/s left."""


@dataclass(frozen=True, eq=False)
class RadarReturns:
    """Radar returns already moved to the camera, at the image's time.

    Attributes:
        position: (N, 3) metres in the camera's optical frame (x right, y down, z forward).
        rcs: (N,) radar cross-section in dBsm, zero where unknown.
        velocity: (N, 2) m/s as nuScenes' vx, vy: x forward, y left, relative to the moving radar;
            zero where unknown.
        stamp: measurement time in seconds, None if unknown.

    Raises:
        InputError: the arrays disagree in length.
    """

    position: np.ndarray
    rcs: np.ndarray
    velocity: np.ndarray
    stamp: float | None = None

    def __post_init__(self) -> None:
        position = np.asarray(self.position, dtype=np.float64).reshape(-1, 3)
        rcs = np.asarray(self.rcs, dtype=np.float32).reshape(-1)
        velocity = np.asarray(self.velocity, dtype=np.float32).reshape(-1, 2)
        if not len(position) == len(rcs) == len(velocity):
            raise InputError(
                f"radar: {len(position)} positions, {len(rcs)} rcs and {len(velocity)} velocities; "
                "give one of each per return"
            )
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "rcs", rcs)
        object.__setattr__(self, "velocity", velocity)

    def __len__(self) -> int:
        return len(self.position)

    @staticmethod
    def empty(stamp: float | None = None) -> RadarReturns:
        """No returns."""
        return RadarReturns(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2)), stamp)

    @staticmethod
    def from_sensor(
        position: np.ndarray,
        rcs: np.ndarray,
        velocity: np.ndarray,
        camera_from_radar: np.ndarray,
        stamp: float | None = None,
    ) -> RadarReturns:
        """Move returns from a radar's own frame to the camera's.

        Args:
            position: (N, 3) metres in the radar frame (x forward, y left, z up).
            rcs: (N,) dBsm.
            velocity: (N, 2) m/s in the radar frame, or (N,) scalar Doppler, positive away from
                the radar, which becomes v * r̂.
            camera_from_radar: (4, 4) pose of the radar in the optical frame, ego motion between
                the two stamps included.
            stamp: measurement time in seconds.

        Velocities are turned by the radar's yaw relative to the camera, so that x points where
        the camera looks: the network was taught with a radar that looks along the camera. Of a
        radar that is mounted upside down, y points right and is turned about first.
        """
        position = np.asarray(position, dtype=np.float64).reshape(-1, 3)
        velocity = np.asarray(velocity, dtype=np.float64)
        if velocity.ndim == 1:
            distance = np.linalg.norm(position, axis=1, keepdims=True)
            direction = np.divide(
                position, distance, out=np.zeros_like(position), where=distance > 0
            )
            velocity = velocity[:, None] * direction[:, :2]
        rotation, translation = camera_from_radar[:3, :3], camera_from_radar[:3, 3]
        # The radar's x axis in the camera's forward (z) and left (-x) directions.
        yaw = np.arctan2(-rotation[0, 0], rotation[2, 0])
        cos, sin = np.cos(yaw), np.sin(yaw)
        left = -1.0 if rotation[1, 2] > 0 else 1.0  # its z axis points down: so does the camera's y
        heading = np.array([[cos, -sin * left], [sin, cos * left]])
        return RadarReturns(position @ rotation.T + translation, rcs, velocity @ heading.T, stamp)

    @staticmethod
    def concatenate(parts: list[RadarReturns]) -> RadarReturns:
        """All returns of several radars or sweeps; the newest stamp is kept."""
        if not parts:
            return RadarReturns.empty()
        stamps = [part.stamp for part in parts if part.stamp is not None]
        return RadarReturns(
            np.concatenate([part.position for part in parts]),
            np.concatenate([part.rcs for part in parts]),
            np.concatenate([part.velocity for part in parts]),
            max(stamps) if stamps else None,
        )

    def flipped(self) -> RadarReturns:
        """The returns of the mirrored scene: x of the optical frame and vy change sign."""
        return RadarReturns(
            self.position * (-1.0, 1.0, 1.0), self.rcs, self.velocity * (1.0, -1.0), self.stamp
        )

    def visible_in(self, camera: Camera) -> VisibleReturns:
        """Project, and keep what the camera sees.

        Kept is depth > 1 m and 1 < u < width - 1, 1 < v < height - 1 (nuScenes-devkit's
        `map_pointcloud_to_image`), and what is finite and of no more than `MAX_MAGNITUDE`.
        """
        uv, depth = camera.project(self.position)
        with np.errstate(invalid="ignore"):
            keep = depth > MIN_DEPTH
            for pixels, size in zip(uv.T, (camera.width, camera.height), strict=True):
                keep &= (pixels > 1) & (pixels < size - 1)
            for value in (depth, self.rcs, *self.velocity.T):
                keep &= np.abs(value) <= MAX_MAGNITUDE
        return VisibleReturns(uv[keep], depth[keep], self.rcs[keep], self.velocity[keep], keep)


@dataclass(frozen=True, eq=False)
class VisibleReturns:
    """Returns inside a camera's image.

    Attributes:
        uv: (M, 2) pixels, not rounded.
        depth: (M,) metres along the optical axis.
        rcs: (M,) dBsm.
        velocity: (M, 2) m/s.
        kept: (N,) bool, which of the returns these are.
    """

    uv: np.ndarray
    depth: np.ndarray
    rcs: np.ndarray
    velocity: np.ndarray
    kept: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.uv)

    def rasterise(
        self, camera: Camera, image_camera: Camera, padded: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Draw into the network's radar image; of several returns on one pixel the nearest wins.

        Args:
            camera: the camera that `uv` belong to.
            image_camera: the same view scaled, cropped or padded: the radar image's camera.
            padded: width and height of the answer; what is right of and below the radar image
                stays empty. None: as the radar image.

        Returns:
            (4, height, width) float32 of `RADAR_CHANNELS`, zero where there is no return.
        """
        scale = image_camera.K[[0, 1], [0, 1]] / camera.K[[0, 1], [0, 1]]
        u, v = (self.uv.T - camera.K[:2, 2:]) * scale[:, None] + image_camera.K[:2, 2:]
        # A pixel reaches half a pixel around its centre; int() rounds towards zero.
        inside = (u > -0.5) & (u < image_camera.width) & (v > -0.5) & (v < image_camera.height)
        width, height = padded or (image_camera.width, image_camera.height)
        drawn = np.flatnonzero(inside)
        pixel = v[drawn].astype(np.int64) * width + u[drawn].astype(np.int64)
        # NumPy keeps the last of repeated indices, so the nearest is written last.
        if len(drawn) > MANY_RETURNS:
            nearest = np.full(height * width, np.inf)
            np.minimum.at(nearest, pixel, self.depth[drawn])
            order = np.flatnonzero(self.depth[drawn] == nearest[pixel])
        else:
            order = np.argsort(-self.depth[drawn], kind="stable")
        drawn, pixel = drawn[order], pixel[order]
        image = np.zeros((len(RADAR_CHANNELS), height * width), np.float32)
        values = (self.depth, self.rcs, self.velocity[:, 0], self.velocity[:, 1])
        for channel, value in zip(image, values, strict=True):
            channel[pixel] = value[drawn]
        return image.reshape(-1, height, width)
