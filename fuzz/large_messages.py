"""Targets as large as real cameras and radars make them, or larger: time and memory show there."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField

from fuzz.messages import FIELDS, check_compressed, check_image, mostly
from fuzz.mutations import damaged
from fuzz.target import Target
from lircdepth_ros.conversions import radar_from_message

SIZES = [(1600, 900), (1920, 1200), (2448, 2048), (3840, 2160)]
CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "bayer_rggb8": 1, "yuv422": 2}

_NOISE = np.random.default_rng(2).bytes(2**20)


def _noise(length: int) -> bytes:
    return (_NOISE * (length // len(_NOISE) + 1))[:length]


@st.composite
def large_images(draw: st.DrawFn) -> Image:
    """Whole images of noise, rows padded or not, a byte too short or a row too few."""
    width, height = draw(st.sampled_from(SIZES))
    encoding, each = draw(st.sampled_from(list(CHANNELS.items())))
    step = width * each + draw(mostly(0, st.integers(1, 64)))
    length = height * step - draw(mostly(0, st.sampled_from([1, step])))
    message = Image(encoding=encoding, width=width, height=height, step=step)
    message.data.frombytes(_noise(length))
    return message


def _pictures() -> list[bytes]:
    rows, columns = np.mgrid[:900, :1600]
    smooth = np.stack([rows, columns, rows + columns], 2) % 256
    noise = np.frombuffer(_noise(smooth.size), np.uint8).reshape(smooth.shape) % 16
    pixels = (smooth + noise).clip(0, 255).astype(np.uint8)
    encodings: list[tuple[str, np.ndarray, list[int]]] = [
        (".jpg", pixels, []),
        (".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", pixels[..., 0], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]),
        (".png", pixels, []),
        (".png", pixels[..., 0].astype(np.uint16) * 257, []),
        (".bmp", pixels, []),
    ]
    return [
        cv2.imencode(extension, image, options)[1].tobytes()
        for extension, image, options in encodings
    ]


def large_pictures() -> st.SearchStrategy[CompressedImage]:
    """Pictures of 1600x900 pixels in several formats, damaged."""

    def message(data: bytes) -> CompressedImage:
        found = CompressedImage(format="jpeg")
        found.data.frombytes(data)
        return found

    return st.deferred(lambda: damaged(*_pictures())).map(message)


_CODES = {2: "u1", 4: "u2", 6: "u4", 7: "f4", 8: "f8"}


@st.composite
def large_clouds(draw: st.DrawFn) -> PointCloud2:
    """Tens of thousands of points of noise, NaN and infinities among them; a row may be short."""
    names = ["x", "y", "z", *draw(st.sampled_from([[], ["rcs"], ["rcs", "vx", "vy"]]))]
    cloud = PointCloud2(is_bigendian=draw(st.booleans()))
    offset = draw(st.integers(0, 5))
    for name in [*names, "junk"]:
        datatype = draw(mostly(7, st.sampled_from(list(_CODES))))
        cloud.fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
        offset += np.dtype(_CODES[datatype]).itemsize + draw(mostly(0, st.integers(1, 3)))
    cloud.point_step = offset + draw(st.integers(0, 8))
    cloud.height, cloud.width = draw(mostly(1, st.integers(2, 64))), draw(st.integers(500, 40_000))
    cloud.width = max(1, cloud.width // cloud.height)
    cloud.row_step = cloud.width * cloud.point_step + draw(mostly(0, st.sampled_from([8, -1])))
    length = cloud.row_step * cloud.height - draw(mostly(0, st.just(1)))
    cloud.data.frombytes(_noise(length))
    return cloud


def check_large_cloud(cloud: PointCloud2) -> None:
    """Every number is what NumPy reads at its offset; nothing is NaN."""
    returns = radar_from_message(cloud, FIELDS)
    order = ">" if cloud.is_bigendian else "<"
    fields = {field.name: field for field in cloud.fields}
    kind = np.dtype(
        {
            "names": list(fields),
            "formats": [order + _CODES[field.datatype] for field in fields.values()],
            "offsets": [field.offset for field in fields.values()],
            "itemsize": cloud.point_step,
        }
    )
    rows = np.zeros((cloud.height, cloud.row_step), np.uint8)
    data = np.frombuffer(cloud.data, np.uint8)[: rows.size]
    rows.reshape(-1)[: len(data)] = data  # the last row's padding may be missing
    used = np.ascontiguousarray(rows[:, : cloud.width * cloud.point_step])
    points: Any = used.view(kind).reshape(-1)
    with np.errstate(invalid="ignore"):
        numbers = {name: points[name].astype(np.float64) for name in fields}
    position = np.stack([numbers[axis] for axis in "xyz"], 1)
    finite = np.isfinite(position).all(1)
    assert np.array_equal(returns.position, position[finite])
    for name, values in (("rcs", returns.rcs), ("vx", returns.velocity[..., 0])):
        if name in fields:
            expected = numbers[name][finite]
            assert np.array_equal(values, np.where(np.isfinite(expected), expected, 0))
    assert np.isfinite(returns.velocity).all()


TARGETS = [
    Target("large Image", large_images(), check_image, 0.002),
    Target("large CompressedImage", large_pictures(), check_compressed, 0.002),
    Target("large PointCloud2", large_clouds(), check_large_cloud, 0.004),
]
