"""What the encoding names of sensor_msgs/Image mean, and pixels from one to the other.

Names: sensor_msgs/image_encodings.hpp. `bayer_rggb` names the first 2×2 pixels row by row, OpenCV's
`BayerBG` for the same pattern the second row's second and third; both mean the same image.
`uyvy`, `yuyv`, `nv21`, `nv24` exist as names but Jazzy's cv_bridge does not read them.
"""

import re
from dataclasses import dataclass

import cv2
import numpy as np


class CvBridgeError(TypeError):
    """An image cannot be converted as asked."""


@dataclass(frozen=True)
class Encoding:
    """Scalar type and number of channels of a pixel.

    `color` is OpenCV's word for what the channels mean; None: they are numbers.
    """

    dtype: np.dtype
    channels: int
    color: str | None = None


_COLORS = {
    "mono": (1, "GRAY"),
    "rgb": (3, "RGB"),
    "bgr": (3, "BGR"),
    "rgba": (4, "RGBA"),
    "bgra": (4, "BGRA"),
    "bayer_rggb": (1, "BayerBG"),
    "bayer_bggr": (1, "BayerRG"),
    "bayer_gbrg": (1, "BayerGR"),
    "bayer_grbg": (1, "BayerGB"),
}
_PLAIN = {"GRAY", "RGB", "BGR", "RGBA", "BGRA"}
_NAMED = {
    f"{name}{bits}": Encoding(np.dtype(f"uint{bits}"), channels, color)
    for name, (channels, color) in _COLORS.items()
    for bits in (8, 16)
} | {
    "yuv422": Encoding(np.dtype("uint8"), 2, "UYVY"),
    "yuv422_yuy2": Encoding(np.dtype("uint8"), 2, "YUY2"),
}
_NUMBERS = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([1-9]\d*))?")
_KINDS = {"U": "u", "S": "i", "F": "f"}


def encoding_of(name: str) -> Encoding:
    """Return what an encoding name means; CvBridgeError if it is unknown."""
    if name in _NAMED:
        return _NAMED[name]
    match = _NUMBERS.fullmatch(name)
    if match is None:
        raise CvBridgeError(f"Unrecognized image encoding [{name}]")
    scalar, channels = match.groups()
    dtype = np.dtype(f"{_KINDS[scalar[-1]]}{int(scalar[:-1]) // 8}")
    return Encoding(dtype, int(channels or 1))


def name_of(dtype: np.dtype, channels: int) -> str:
    """Return the encoding name, such as `8UC3`, of plain numbers."""
    kinds = {kind: letter for letter, kind in _KINDS.items()}
    name = f"{8 * dtype.itemsize}{kinds.get(dtype.kind, '?')}C{channels}"
    if _NUMBERS.fullmatch(name) is None:
        raise CvBridgeError(f"There is no image encoding for {channels} channels of {dtype}")
    return name


def convert(image: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return a copy of the image in another encoding.

    Colors become colors; 8 bits become 16 and back in proportion (255 to 65535). Plain numbers
    (such as `32FC1`) only become plain numbers of as many channels, and so do colors then.

    Raises:
        CvBridgeError: the conversion makes no sense or OpenCV cannot do it.
    """
    if target in ("", source):
        return image.copy()
    origin, goal = encoding_of(source), encoding_of(target)
    if goal.color is None or origin.color is None:
        if goal.color is not None:
            raise CvBridgeError(f"[{source}] is not a color format, but [{target}] is")
        if origin.channels != goal.channels:
            raise CvBridgeError(f"[{source}] and [{target}] differ in the number of channels")
    elif origin.color != goal.color or origin.color.startswith("Bayer"):
        code = _color_code(origin.color, goal.color)
        if code is None:
            raise CvBridgeError(f"Unsupported conversion from [{source}] to [{target}]")
        try:
            image = cv2.cvtColor(image, code)
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        if origin.dtype == goal.dtype:
            return image
    return _to_depth(image, origin.dtype, goal.dtype)


def _color_code(source: str, target: str) -> int | None:
    if target not in _PLAIN or (source.startswith("Bayer") and target.endswith("A")):
        return None
    if source in ("UYVY", "YUY2"):
        return getattr(cv2, f"COLOR_YUV2{target}_{source}")
    return getattr(cv2, f"COLOR_{source}2{target}")


def _to_depth(image: np.ndarray, source: np.dtype, target: np.dtype) -> np.ndarray:
    if target.kind == "f":
        return image.astype(target)
    scale = {(1, 2): 257.0, (2, 1): 1 / 257.0}.get((source.itemsize, target.itemsize), 1.0)
    limits = np.iinfo(target)
    values = np.rint(np.multiply(image, scale, dtype=np.float64))
    return np.clip(np.nan_to_num(values, nan=limits.min), limits.min, limits.max).astype(target)
