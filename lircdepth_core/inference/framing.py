"""How a camera's image becomes the network's input, and a network's map the camera's again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from lircdepth_core.errors import InputError
from lircdepth_core.image_scaling import scaled_image
from lircdepth_core.inference.model_description import Crop, NetworkInput
from lircdepth_core.network import SIZE_MULTIPLE
from lircdepth_core.radar import VisibleReturns

_FOCAL_LENGTH_TOLERANCE = 0.05
"""Share by which whole pixels may miss the focal length that is wanted; from 11 on they cannot."""


@dataclass(frozen=True)
class Framing:
    """The way from one camera to the network and back.

    Attributes:
        camera: the camera as it is.
        scaled: the same view at the network's focal length.
        top: first row of `scaled` that the network sees.
        seen: the rows of `scaled` that the network sees, before padding.
        ratio: focal length at the network's input / the model's; below 1 where the number of
            pixels is bounded. A network then sees everything 1 / ratio times as far away.
    """

    camera: Camera
    scaled: Camera
    top: int
    seen: Camera
    ratio: float

    @property
    def network_size(self) -> tuple[int, int]:
        """Width and height of the network's input: `seen`, padded right and below."""
        return _padded(self.seen.width), _padded(self.seen.height)

    @property
    def enlargement(self) -> float:
        """The larger of the two factors from the camera's size to the network's."""
        return max(self.scaled.width / self.camera.width, self.scaled.height / self.camera.height)

    def image(self, image: np.ndarray, interpolation: str) -> np.ndarray:
        """(H, W, 3) uint8 of the camera -> (h, w, 3) of the network, padded by replication."""
        image = scaled_image(image, self.scaled.width, self.scaled.height, interpolation)
        image = image[self.top : self.top + self.seen.height]
        width, height = self.network_size
        below, right = height - self.seen.height, width - self.seen.width
        return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)

    def radar(self, visible: VisibleReturns) -> np.ndarray:
        """Returns seen by the camera -> (4, h, w) float32 of the network, padded with nothing.

        Depth is given as if the camera had the model's focal length.
        """
        width, height = self.network_size
        below = self.top + self.seen.height
        # Drawn first and cropped then, as in training: int() knows nothing of the crop.
        drawn = visible.rasterise(
            self.camera, self.scaled, (width, max(self.top + height, self.scaled.height))
        )
        drawn[:, below:] = 0
        radar = np.ascontiguousarray(drawn[:, self.top : self.top + height])
        if self.ratio != 1:
            radar[0] /= self.ratio
        return radar

    def unpadded(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(h, w) float32 of the network -> those of `seen`, a copy.

        Args:
            values: at the network's size.
            out: what to write into, and to return, instead of a new array.
        """
        out = np.empty((self.seen.height, self.seen.width), np.float32) if out is None else out
        out[...] = values[: self.seen.height, : self.seen.width]
        return out

    def restore(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(h, w) float32 of the network -> (H, W) float32 of the camera, linear between pixels.

        Rows of the camera whose centre the network did not see are NaN; the map is continued
        beyond its edge first, so that no other row is touched by them.

        Args:
            values: at the network's size.
            out: what to write into, and to return, instead of a new array.
        """
        values = values[: self.seen.height, : self.seen.width]
        bottom = self.scaled.height - self.top - self.seen.height
        if self.top or bottom:
            values = cv2.copyMakeBorder(values, self.top, bottom, 0, 0, cv2.BORDER_REPLICATE)
        restored = cv2.resize(
            values, (self.camera.width, self.camera.height), out, interpolation=cv2.INTER_LINEAR
        )
        if self.top or bottom:
            scale = self.scaled.height / self.camera.height
            row = (np.arange(self.camera.height) + 0.5) * scale - self.top
            restored[(row < 0) | (row >= self.seen.height)] = np.nan
        return restored


def frame(camera: Camera, network_input: NetworkInput, max_pixels: int) -> Framing:
    """Scale a camera to the model's focal length, in x and y, within a number of pixels.

    Args:
        camera: the camera.
        network_input: focal length and crop from model.yaml.
        max_pixels: bound on width x height of the scaled and padded image, before a crop.

    Raises:
        InputError: the model's crop lies below the camera's image, or whole pixels cannot make the
            focal length, since hardly any are left.
    """
    ratio = _largest_ratio(camera, network_input.focal_length, max_pixels)
    width, height = _scaled_size(camera, ratio * network_input.focal_length)
    scaled = camera.resized(width, height)
    reached = np.diag(scaled.K)[:2] / (ratio * network_input.focal_length)
    if np.abs(reached - 1).max() > _FOCAL_LENGTH_TOLERANCE:
        raise InputError(
            f"camera: with focal lengths of {camera.K[0, 0]:g} and {camera.K[1, 1]:g} px its image "
            f"of {camera.width}x{camera.height} is one of {width}x{height} at the network's, "
            f"{ratio * network_input.focal_length:g} px"
            + (f" (max_network_pixels: {max_pixels})" if ratio < 1 else "")
            + "; depth would be wrong"
        )
    top, rows = 0, height
    if network_input.crop is not None:
        top, rows = _cropped_rows(network_input.crop, scaled, ratio)
    if rows <= 0:
        raise InputError(
            f"model.yaml: input.crop.top {top} lies below the image, which has {height} rows at "
            "the model's focal length; take a model without a crop"
        )
    return Framing(camera, scaled, top, scaled.cropped(0, top, width, rows), ratio)


def _cropped_rows(crop: Crop, scaled: Camera, ratio: float) -> tuple[int, int]:
    """First row of a crop and their number, 0 or less where it lies below the image."""
    rows = max(round(crop.height * ratio), 1)
    if crop.principal_row is None:
        assert crop.top is not None
        top = round(crop.top * ratio)
    else:
        top = round(scaled.K[1, 2] - crop.principal_row * ratio)
        top = max(0, min(top, scaled.height - rows))
    return top, min(rows, scaled.height - top)


def _largest_ratio(camera: Camera, focal_length: float, max_pixels: int) -> float:
    """1, or less where the padded image would have more than `max_pixels`."""

    def fits(ratio: float) -> bool:
        width, height = _scaled_size(camera, ratio * focal_length)
        return _padded(width) * _padded(height) <= max_pixels

    if fits(1.0):
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _scaled_size(camera: Camera, focal_length: float) -> tuple[int, int]:
    """Width and height at which both focal lengths are `focal_length`."""
    width = max(round(camera.width * focal_length / camera.K[0, 0]), 1)
    return width, max(round(camera.height * focal_length / camera.K[1, 1]), 1)


def _padded(size: int) -> int:
    """The next size that the network takes."""
    return -(-size // SIZE_MULTIPLE) * SIZE_MULTIPLE
