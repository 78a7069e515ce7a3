"""Undistorting images into a pinhole camera's."""

from __future__ import annotations

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError

DISTORTION_MODELS = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 4, 5, 8, 12, 14),
    "equidistant": (4,),
}
"""Distortion models of sensor_msgs/CameraInfo, and how many coefficients each may have."""

MAX_SIDE = 32_766
"""Pixels: OpenCV moves pixels of no wider or higher image."""


class Rectifier:
    """Moves the pixels of a distorted image to where a pinhole camera sees them.

    Args:
        K: (3, 3) intrinsics of the distorted image in pixels.
        D: distortion coefficients in the order of sensor_msgs/CameraInfo.
        model: `plumb_bob`, `rational_polynomial` or `equidistant`.
        width: image width in pixels.
        height: image height in pixels.
        new_K: (3, 3) intrinsics of the rectified image; None keeps K.

    Attributes:
        camera: the rectified image's camera.
        maps: two (height, width) float32 arrays, the column and row of the distorted image that
            each rectified pixel is read from; None where the image stays as it is.
        unseen: (height, width) bool, the rectified pixels that the distorted image does not show;
            None where it shows them all.

    Raises:
        InputError: the model is unknown, K or D are not what it needs, or the image is wider or
            higher than `MAX_SIDE`.
    """

    def __init__(
        self,
        K: np.ndarray,
        D: np.ndarray,
        model: str,
        width: int,
        height: int,
        new_K: np.ndarray | None = None,
    ) -> None:
        distorted = Camera(K, width, height)
        self.camera = distorted if new_K is None else Camera(new_K, width, height)
        coefficients = np.asarray(D, dtype=np.float64).reshape(-1)
        if model not in DISTORTION_MODELS:
            raise InputError(
                f"distortion_model: {model!r:.40} is unknown; give one of "
                f"{', '.join(DISTORTION_MODELS)}"
            )
        if len(coefficients) not in DISTORTION_MODELS[model]:
            counts = " or ".join(str(count) for count in DISTORTION_MODELS[model])
            raise InputError(f"D: {len(coefficients)} coefficients; {model} has {counts}")
        if not np.isfinite(coefficients).all():
            raise InputError("D: a coefficient is not finite; calibrate the camera again")
        # An equidistant lens bends straight lines even where all of its coefficients are zero.
        straight = model != "equidistant" and not coefficients.any()
        self.maps: tuple[np.ndarray, np.ndarray] | None = None
        self.unseen: np.ndarray | None = None
        if not straight or self.camera != distorted:
            if max(width, height) > MAX_SIDE:
                raise InputError(
                    f"image: size {width}x{height}; images of up to {MAX_SIDE} pixels a side can "
                    "be rectified, give a rectified one"
                )
            undistort = (
                cv2.fisheye.initUndistortRectifyMap
                if model == "equidistant"
                else cv2.initUndistortRectifyMap
            )
            self.maps = undistort(
                distorted.K, coefficients, np.eye(3), self.camera.K, (width, height), cv2.CV_32FC1
            )
            # A lens model far beyond its range gives infinity and NaN, which are unseen.
            with np.errstate(over="ignore", invalid="ignore"):
                seen = _seen(*self.maps)
            self.unseen = None if seen.all() else ~seen

    def unseen_by(self, camera: Camera) -> np.ndarray | None:
        """`unseen` for a camera that shows a part of the rectified image, or it at another size.

        Returns:
            (H, W) bool of that camera's size, by the nearest pixel; None where all are seen.
        """
        if self.unseen is None or camera == self.camera:
            return self.unseen
        rows = _nearest(1, camera.height, camera, self.camera.height, self.camera)
        columns = _nearest(0, camera.width, camera, self.camera.width, self.camera)
        part = self.unseen[np.ix_(rows, columns)]
        return part if part.any() else None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Rectify an image.

        Args:
            image: (height, width) or (height, width, channels).

        Returns:
            An image of the same shape, black where the distorted image has nothing; the same
            array where nothing has to move.

        Raises:
            InputError: the image has another size than the calibration.
        """
        if image.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"image: {image.shape[1]}x{image.shape[0]} pixels, its calibration is for "
                f"{self.camera.width}x{self.camera.height}; give the calibration of this size"
            )
        if self.maps is None:
            return image
        return cv2.remap(image, *self.maps, interpolation=cv2.INTER_LINEAR)


_BAND = 64
"""Rows that are looked at together: few enough that a processor's cache holds them."""


def _seen(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(H, W) bool, where a map reads inside the image; it is of the image's own size."""
    height, width = column.shape
    seen = np.empty((height, width), bool)
    for begin in range(0, height, _BAND):
        end = min(begin + _BAND, height)
        # Written so that NaN is unseen.
        seen[begin:end] = (np.abs(column[begin:end] - (width - 1) / 2) <= width / 2) & (
            np.abs(row[begin:end] - (height - 1) / 2) <= height / 2
        )
        if min(height, width) > 1:  # differences at a band's ends need a row more
            first, last = max(begin - 1, 0), min(end + 1, height)
            folded = _folded_back(column[first:last], row[first:last])
            seen[begin:end] &= ~folded[begin - first : end - first]
    return seen


def _folded_back(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(H, W) bool, where a lens model is used beyond its range and shows the image mirrored."""
    along_y, along_x = (np.gradient(values) for values in (column, row))
    return along_y[1] * along_x[0] <= along_y[0] * along_x[1]


def _nearest(axis: int, size: int, camera: Camera, own_size: int, own: Camera) -> np.ndarray:
    """Along x (0) or y (1), the pixel of `own` that is nearest each pixel of `camera`."""
    slope = (np.arange(size) - camera.K[axis, 2]) / camera.K[axis, axis]
    place = np.rint(slope * own.K[axis, axis] + own.K[axis, 2])
    return np.clip(place, 0, own_size - 1).astype(int)
