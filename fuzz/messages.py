"""Targets that read ROS messages: images, clouds and camera_info."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from fuzz.mutations import EXTREMES, NUMBERS, damaged
from fuzz.target import Target
from lircdepth_core.camera import Camera
from lircdepth_core.encoded_image import encoded_size
from lircdepth_core.errors import InputError
from lircdepth_core.inference.framing import frame
from lircdepth_core.inference.model_description import NetworkInput
from lircdepth_ros.conversions import (
    RadarFields,
    camera_from_message,
    image_from_message,
    radar_from_message,
)

SMALL = st.integers(1, 8)
UINT32 = st.integers(0, 6) | st.sampled_from(EXTREMES) | st.integers(0, 2**32 - 1)


SIZE = st.one_of(SMALL, SMALL, SMALL, SMALL, UINT32)
"""Mostly sizes that can be right, so that one thing is wrong at a time."""


def mostly(value: Any, *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, and one time in four something else."""
    right = st.just(value)
    return st.one_of(right, right, right, *others)


def _bytes_of(message: Any, data: bytes) -> Any:
    message.data.frombytes(data)
    return message


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Sizes, steps and lengths that fit together, or do not."""
    encodings = ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_rggb8", "bayer_gbrg8"]
    known = st.sampled_from([*encodings, "yuv422", "yuyv"])
    encoding = draw(st.one_of(known, known, known, st.sampled_from(["32FC1", ""]) | st.text()))
    height, width = draw(SIZE), draw(SIZE)
    fitting = width * {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}.get(encoding, 2)
    step = draw(mostly(fitting, st.sampled_from([fitting + 1, fitting + 8, fitting // 2]) | UINT32))
    step = min(step, 2**32 - 1)
    wanted = step * height
    length = draw(mostly(wanted, st.sampled_from([wanted + 1, max(wanted - 1, 0), 0])))
    message = Image(encoding=encoding, is_bigendian=draw(st.integers(0, 255)))
    message.height, message.width, message.step = height, width, step
    noise = np.random.default_rng(draw(st.integers(0, 9)))
    return _bytes_of(message, noise.bytes(min(length, 4096)))


def check_image(message: Image) -> None:
    """Its size, and where the order of bytes is plain its pixels."""
    pixels = image_from_message(message)
    assert pixels.shape == (message.height, message.width, 3)
    assert pixels.dtype == np.uint8
    orders = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0]}
    if message.encoding in orders:
        each = 4 if "a" in message.encoding else 3
        data = np.frombuffer(message.data, np.uint8)[: message.step * message.height]
        rows = data.reshape(message.height, message.step)[:, : message.width * each]
        expected = rows.reshape(message.height, message.width, each)[..., orders[message.encoding]]
        assert np.array_equal(pixels, expected)


def _encoded(extension: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(extension, pixels, options)[1].tobytes()


_NOISE = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
_PICTURES = [
    _encoded(".jpg", _NOISE),
    _encoded(".jpg", _NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    _encoded(".jpg", _NOISE[..., 0]),
    _encoded(".jpg", _NOISE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    _encoded(".png", _NOISE),
    _encoded(".png", _NOISE[..., 0]),
    _encoded(".png", _NOISE.astype(np.uint16) * 257),
    _encoded(".png", np.dstack([_NOISE, _NOISE[..., 0]])),
    _encoded(".bmp", _NOISE),
    _encoded(".webp", _NOISE),
]


def compressed_images() -> st.SearchStrategy[CompressedImage]:
    """Whole pictures of several kinds, damaged; and bytes."""
    data = damaged(*_PICTURES) | st.binary(max_size=64)
    return data.map(lambda found: _bytes_of(CompressedImage(format="jpeg"), found))


def check_compressed(message: CompressedImage) -> None:
    """It is RGB, of the size that its header says."""
    pixels = image_from_message(message)
    width, height = encoded_size(bytes(message.data))
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


_NAMES = ["x", "y", "z", "rcs", "vx", "vy", "velocity", "intensity", "dyn_prop", "junk"]


@st.composite
def clouds(draw: st.DrawFn) -> PointCloud2:
    """Fields that overlap, end beyond the point, repeat, count billions; sizes that contradict."""
    others = st.lists(st.sampled_from(_NAMES) | st.text(max_size=30), max_size=8)
    names = draw(mostly(_NAMES[:6], others))
    damage = draw(st.integers(0, 2)) == 0
    fields, offset = [], 0
    sizes = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 8}
    for name in names:
        datatype = draw(mostly(7, st.integers(1, 8)))
        count, place = 1, offset
        if damage:
            datatype = draw(mostly(datatype, st.integers(0, 9)))
            count = draw(mostly(1, st.sampled_from(EXTREMES)))
            place = draw(mostly(offset, st.integers(0, 40), st.sampled_from(EXTREMES)))
        fields.append(PointField(name=name, offset=place, datatype=datatype, count=count))
        offset += sizes.get(datatype, 4)
    cloud = PointCloud2(fields=fields, is_bigendian=draw(st.booleans()))
    cloud.height, cloud.width = draw(mostly(1, SIZE)), draw(SIZE)
    cloud.point_step = draw(mostly(offset, st.just(offset + 3), UINT32))
    fitting = min(cloud.width * cloud.point_step, 2**32 - 1)
    cloud.row_step = draw(mostly(fitting, st.just(min(fitting + 4, 2**32 - 1)), UINT32))
    wanted = cloud.row_step * cloud.height
    length = min(draw(mostly(wanted, st.sampled_from([max(wanted - 1, 0), 0]))), 4096)
    values = draw(st.lists(NUMBERS, min_size=1, max_size=6))
    with np.errstate(over="ignore"):
        pattern = np.array(values).astype("<f4").tobytes()
    return _bytes_of(cloud, (pattern * (length // len(pattern) + 1))[:length])


FIELDS = RadarFields(kept_states=(("dyn_prop", (0, 1, 2)),))


def check_cloud(cloud: PointCloud2) -> None:
    """Every number is the one that the bytes hold, read one by one; nothing is NaN."""
    returns = radar_from_message(cloud, FIELDS)
    points = list(plain_points(cloud)) if cloud.width * cloud.height else []
    names = {field.name for field in cloud.fields if field.count == 1}
    if "dyn_prop" in names:
        points = [point for point in points if point["dyn_prop"] in (0, 1, 2)]
    points = [point for point in points if all(math.isfinite(point[axis]) for axis in "xyz")]

    def column(name: str | None) -> list[float]:
        found = [point[name] if name else 0.0 for point in points]
        return [value if math.isfinite(value) else 0.0 for value in found]

    rcs = next((name for name in FIELDS.rcs if name in names), None)
    doppler = next((name for name in FIELDS.doppler if name in names), None)
    velocity = column(doppler) if doppler else [(0.0, 0.0)] * len(points)
    if {"vx", "vy"} <= names:
        velocity = list(zip(column("vx"), column("vy"), strict=True))
    position = [[point[axis] for axis in "xyz"] for point in points]
    assert np.array_equal(returns.position, np.reshape(position, (-1, 3)))
    assert np.array_equal(returns.rcs, column(rcs))
    assert returns.velocity.size == np.size(velocity)
    assert np.array_equal(returns.velocity.ravel(), np.ravel(velocity))


_CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}


def plain_points(cloud: PointCloud2) -> Iterator[dict[str, float]]:
    """Each point's fields of one number, by their names."""
    data, order = cloud.data.tobytes(), ">" if cloud.is_bigendian else "<"
    for row in range(cloud.height):
        for column in range(cloud.width):
            begin = row * cloud.row_step + column * cloud.point_step
            yield {
                field.name: struct.unpack_from(
                    order + _CODES[field.datatype], data, begin + field.offset
                )[0]
                for field in cloud.fields
                if field.count == 1
            }


@st.composite
def camera_infos(draw: st.DrawFn) -> CameraInfo:
    """Sizes, matrices, distortions, regions and binnings of any kind, most of them nearly whole."""
    size = st.integers(1, 64)
    info = CameraInfo(height=draw(st.one_of(size, size, UINT32)), width=draw(size))
    models = st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", "fisheye", ""])
    info.distortion_model = draw(st.one_of(models, models, models, st.text(max_size=5)))
    whole = [30.0, 0, 15, 0, 30, 12, 0, 0, 1]
    k, p = list(whole), [30.0, 0, 15, 0, 0, 30, 12, 0, 0, 0, 1, 0]
    for matrix in draw(st.sampled_from([(), (), (k,), (p,), (k, p)])):
        for place, value in draw(st.lists(st.tuples(st.integers(0, 11), NUMBERS), max_size=2)):
            matrix[place % len(matrix)] = value
    info.k, info.p = k, draw(st.just(p) | st.just([0.0] * 12))
    small = st.floats(-0.5, 0.5)
    number = st.sampled_from([0, 4, 5, 8, 12, 14]) | st.integers(0, 14) | st.just(101)
    count = draw(number)
    info.d = draw(st.lists(st.one_of(small, small, small, NUMBERS), min_size=count, max_size=count))
    if draw(st.booleans()):
        info.roi.x_offset, info.roi.y_offset = draw(SIZE), draw(SIZE)
        info.roi.width, info.roi.height = draw(SIZE), draw(SIZE)
    info.binning_x, info.binning_y = draw(mostly(0, SIZE)), draw(mostly(0, SIZE))
    return info


_FRAMED = (NetworkInput(557.0, "area"), 1_000_000)


def check_framing(camera: Camera) -> None:
    """What the network sees has as many pixels as are allowed, and nearly its focal length."""
    try:
        framing = frame(camera, *_FRAMED)
    except InputError:  # at the network's scale it is no camera
        return
    width, height = framing.network_size
    assert 0 < width * height <= _FRAMED[1]
    wanted = _FRAMED[0].focal_length * framing.ratio
    assert np.allclose(np.diag(framing.scaled.K)[:2], wanted, rtol=0.051, atol=0)


def check_camera_info(info: CameraInfo) -> None:
    """A camera that can be used; a small one rectifies an image to one of its own size."""
    for rectified in (True, False):
        model = camera_from_message(info, rectified)
        camera = model.camera
        assert camera.width > 0
        assert camera.height > 0
        assert np.isfinite(camera.K).all()
        assert camera.K[0, 0] > 0
        check_framing(camera)
        if model.rectifier is not None and camera.width * camera.height <= 10_000:
            image = np.zeros((camera.height, camera.width, 3), np.uint8)
            assert model.rectifier(image).shape == image.shape


TARGETS = [
    Target("Image", images(), check_image, 0.2),
    Target("CompressedImage", compressed_images(), check_compressed, 0.15),
    Target("PointCloud2", clouds(), check_cloud, 0.2),
    Target("CameraInfo", camera_infos(), check_camera_info, 0.15),
]
