"""Pinhole camera: projection, scaling, cropping and padding.

Frames are optical (REP 103): x right, y down, z forward. Pixel centres lie at integers (OpenCV).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lircdepth_core.errors import InputError, first_line

MAX_SIDE = 1_000_000
"""Pixels: largest width and height."""

FOCAL_LENGTHS = (1e-3, 1e9)
"""Pixels: a focal length outside is no camera's, and scaling by it would overflow."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A rectified camera.

    Attributes:
        K: (3, 3) float64 intrinsics in pixels.
        width: image width in pixels.
        height: image height in pixels.

    Raises:
        InputError: K is not a finite 3x3 pinhole matrix without skew, or a focal length, the
            principal point or a size is none that a camera can have.
    """

    K: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        try:
            K = np.array(self.K, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"camera: K is no matrix of numbers ({first_line(error)})") from error
        if K.shape != (3, 3):
            raise InputError(f"camera: K has shape {K.shape}, give a 3x3 matrix")
        shortest, longest = FOCAL_LENGTHS
        if not np.isfinite(K).all() or not all(shortest <= K[i, i] <= longest for i in (0, 1)):
            raise InputError(
                f"camera: K has fx={K[0, 0]}, fy={K[1, 1]}; give finite positive focal lengths, "
                f"{shortest:g} to {longest:g} pixels"
            )
        if np.abs(K[:2, 2]).max() > longest:
            raise InputError(
                f"camera: K has cx={K[0, 2]}, cy={K[1, 2]}; give a principal point within "
                f"{longest:g} pixels"
            )
        if np.any(K[[0, 1, 2, 2], [1, 0, 0, 1]] != 0) or K[2, 2] != 1:
            raise InputError(
                "camera: K has skew or a last row other than 0 0 1; rectify the image first"
            )
        if not all(_is_size(size) for size in (self.width, self.height)):
            raise InputError(
                f"camera: size {self.width!r}x{self.height!r}; give a positive size of up to "
                f"{MAX_SIDE} pixels"
            )
        K.setflags(write=False)
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "width", int(self.width))
        object.__setattr__(self, "height", int(self.height))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        return (
            self.width == other.width
            and self.height == other.height
            and np.array_equal(self.K, other.K)
        )

    def __hash__(self) -> int:
        return hash((self.K.tobytes(), self.width, self.height))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points of the optical frame.

        Args:
            points: (N, 3) in metres.

        Returns:
            uv (N, 2) float64 in pixels, NaN where the depth is not positive, and depth (N,) in
            metres along the optical axis.
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        depth = points[:, 2]
        in_front = depth > 0
        safe_depth = np.where(in_front, depth, np.nan)[:, None]
        focal = self.K[[0, 1], [0, 1]]
        # Infinity and NaN of absurd numbers lie outside every image, as callers find.
        with np.errstate(over="ignore", invalid="ignore"):
            uv = focal * points[:, :2] / safe_depth + self.K[:2, 2]
        return uv, depth

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same image resized to width x height.

        A factor s moves the principal point to (c + 0.5) * s - 0.5, as `cv2.resize` moves pixels.
        """
        scale = np.array([width / self.width, height / self.height])
        K = self.K.copy()
        K[[0, 1], [0, 1]] *= scale
        K[:2, 2] = (K[:2, 2] + 0.5) * scale - 0.5
        return Camera(K, width, height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of a window of the image; negative left or top and larger sizes pad."""
        K = self.K.copy()
        K[:2, 2] -= (left, top)
        return Camera(K, width, height)

    def flipped(self) -> Camera:
        """The camera of the image mirrored left to right."""
        K = self.K.copy()
        K[0, 2] = self.width - 1 - K[0, 2]
        return Camera(K, self.width, self.height)


def _is_size(value: object) -> bool:
    """Whether a width or height can be used."""
    return isinstance(value, int | float | np.number) and bool(1 <= value <= MAX_SIDE)
