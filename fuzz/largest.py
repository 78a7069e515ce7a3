"""The largest inputs that the limits allow by default, in the slowest forms that are known."""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from fuzz.large_messages import check_large_cloud
from fuzz.messages import check_compressed, check_image
from fuzz.target import Target
from lircdepth_core.encoded_image import MAX_JPEG_BYTES_PER_PIXEL, MAX_SCANS
from lircdepth_core.errors import InputError
from lircdepth_core.plain_yaml import MAX_NODES, parse_plain_yaml
from lircdepth_ros.bag_limits import MAX_METADATA_BYTES, MAX_METADATA_NODES, METADATA_FILE
from lircdepth_ros.conversions import MAX_CLOUD_POINTS, camera_from_message
from lircdepth_ros.message_limits import read_cloud
from lircdepth_ros.replay_bag import Bag

WIDTH, HEIGHT = 4000, 2250
"""As many pixels as are allowed."""


@dataclass(frozen=True)
class Largest:
    """An input and what reads it.

    Attributes:
        name: what it is.
        make: makes it; this takes no part of its time.
        read: checks what comes of it.
        refusal: words of the error that refuses it; empty where it has to be answered.
    """

    name: str
    make: Callable[[], Any]
    read: Callable[[Any], None]
    refusal: str = ""


def _filled(message: Any, data: bytes) -> Any:
    message.data.frombytes(data)
    return message


def _noise(*shape: int) -> np.ndarray:
    """Of 6 bits: more is more than an image of 8 bytes per pixel has room for."""
    return np.random.default_rng(3).integers(0, 64, shape, np.uint8)


def raw_image(encoding: str, channels: int) -> Image:
    """A raw image of noise."""
    message = Image(encoding=encoding, width=WIDTH, height=HEIGHT, step=WIDTH * channels)
    image: Image = _filled(message, _noise(HEIGHT, WIDTH * channels).tobytes())
    return image


def many_scans(rows: int = HEIGHT) -> CompressedImage:
    """A progressive JPEG of whole channels, whose second scan comes again and again.

    It has as many bytes per pixel as are allowed.
    """
    whole = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, whole]
    jpeg = cv2.imencode(".jpg", _noise(rows, WIDTH, 3), [*options, cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    data = jpeg.tobytes()
    begins = [found.start() for found in re.finditer(b"\xff\xda", data)]
    second = data[begins[1] : begins[2]]
    room = MAX_JPEG_BYTES_PER_PIXEL * WIDTH * rows - len(data)
    again = min(MAX_SCANS - len(begins), room // len(second))
    data = data[: begins[2]] + again * second + data[begins[2] :]
    image: CompressedImage = _filled(CompressedImage(format="jpeg"), data)
    return image


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
"""First row and column, and steps, of PNG's interlacing (its section 8.2) but for the last pass."""


def interlaced_png() -> CompressedImage:
    """An interlaced PNG with four channels of 16 bits, each row of it filtered (Paeth)."""
    pixels = np.repeat(_noise(HEIGHT, WIDTH, 4), 2, axis=2)
    passes = [*ADAM7, (1, 0, 2, 1)]
    parts = [pixels[row::down, column::along] for row, column, down, along in passes]
    rows = [np.pad(p.reshape(len(p), -1), ((0, 0), (1, 0)), constant_values=4) for p in parts]
    packed = zlib.compress(b"".join(part.tobytes() for part in rows), 1)
    pieces = [packed[begin : begin + 2**20] for begin in range(0, len(packed), 2**20)]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 6, 0, 0, 1)),
        *((b"IDAT", piece) for piece in pieces),
        (b"IEND", b""),
    ]
    return _png(chunks)


def png_of_texts() -> CompressedImage:
    """A PNG with as many compressed texts as libpng would unpack, each of what it would at most."""
    text = b"k\0\0" + zlib.compress(bytes(7_900_000))
    row = bytes(1 + 3 * WIDTH)
    return _png(
        [
            (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
            *(1000 * [(b"zTXt", text)]),
            (b"IDAT", zlib.compress(HEIGHT * row, 1)),
            (b"IEND", b""),
        ]
    )


def _png(chunks: list[tuple[bytes, bytes]]) -> CompressedImage:
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    image: CompressedImage = _filled(CompressedImage(format="png"), data)
    return image


def distorted_camera(model: str, *coefficients: float) -> CameraInfo:
    """A camera whose images have to be rectified."""
    info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model=model, d=coefficients)
    info.k = [0.8 * WIDTH, 0.0, WIDTH / 2, 0.0, 0.8 * WIDTH, HEIGHT / 2, 0.0, 0.0, 1.0]
    return info


def check_rectification(info: CameraInfo) -> None:
    """Rectification is made, and moves an image."""
    model = camera_from_message(info, rectified=False)
    assert model.rectifier is not None
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert model.rectifier(image).shape == image.shape


def cloud() -> PointCloud2:
    """As many points, and bytes, as are allowed."""
    names = ["x", "y", "z", "rcs", "vx", "vy"]
    fields = [
        PointField(name=name, offset=8 * place, datatype=PointField.FLOAT64, count=1)
        for place, name in enumerate(names)
    ]
    message = PointCloud2(height=1, width=MAX_CLOUD_POINTS, point_step=100, fields=fields)
    message.row_step = message.width * message.point_step
    found: PointCloud2 = _filled(message, _noise(message.row_step).tobytes())
    return found


def cloud_of_fields() -> bytes:
    """The CDR of a cloud that is nothing but fields, of a size DDS carries without trouble."""
    head = struct.pack("<4sIIIIII", b"\0\1\0\0", 0, 0, 1, 0, 1, 0)
    count = 500_000
    field = struct.pack("<I2sxxIBxxxI", 2, b"f", 0, 7, 1)
    return head + struct.pack("<I", count) + count * field + bytes(24)


def check_cloud_of_fields(data: bytes) -> None:
    """It is refused."""
    read_cloud(data)


def document() -> str:
    """A document of as many values as are allowed."""
    numbers = [[float(number), number] for number in range(MAX_NODES // 3 - 1)]
    return yaml.safe_dump(numbers)


def check_document(text: str) -> None:
    """It is read."""
    assert len(parse_plain_yaml(text)) == MAX_NODES // 3 - 1


def bag_metadata() -> bytes:
    """A bag's metadata of nearly as many topics as are allowed, none of which has a message."""
    duration = "{sec: 0, nsec: 0}"
    quality = (
        f"[{{history: 1, depth: 1, reliability: 1, durability: 2, deadline: {duration}, "
        f"lifespan: {duration}, liveliness: 1, liveliness_lease_duration: {duration}, "
        "avoid_ros_namespace_conventions: false}]"
    )
    text = (
        "rosbag2_bagfile_information:\n"
        "  version: 9\n  storage_identifier: mcap\n  relative_file_paths: [bag.mcap]\n"
        "  duration: {nanoseconds: 1}\n  starting_time: {nanoseconds_since_epoch: 0}\n"
        "  message_count: 0\n  compression_format: ''\n  compression_mode: ''\n"
        "  files: []\n  custom_data: {}\n  ros_distro: jazzy\n  topics_with_message_count:\n"
    )
    count = 0
    while len(text) < MAX_METADATA_BYTES - 1000 and count < MAX_METADATA_NODES // 51:
        text += (
            f"  - {{topic_metadata: {{name: /t{count}, type: std_msgs/msg/String, "
            f"serialization_format: cdr, offered_qos_profiles: {quality}, "
            f"type_description_hash: ''}}, message_count: 0}}\n"
        )
        count += 1
    return text.encode()


def check_bag_metadata(data: bytes) -> None:
    """The metadata are read; the bag itself is none, which is told."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / METADATA_FILE).write_bytes(data)
        (Path(folder) / "bag.mcap").write_bytes(b"")
        with Bag(Path(folder)):
            pass


INPUTS = [
    Largest("raw RGBA", lambda: raw_image("rgba8", 4), check_image),
    Largest("raw Bayer", lambda: raw_image("bayer_rggb8", 1), check_image),
    Largest("raw YUV", lambda: raw_image("yuv422", 2), check_image),
    Largest("JPEG of many scans", many_scans, check_compressed),
    Largest(
        "JPEG of a row too many",
        lambda: many_scans(HEIGHT + 1),
        check_compressed,
        "more than 9000000",
    ),
    Largest("interlaced PNG", interlaced_png, check_compressed),
    Largest("PNG of texts", png_of_texts, check_compressed),
    Largest(
        "plumb_bob", lambda: distorted_camera("plumb_bob", -0.3, 0.1, 0, 0, 0), check_rectification
    ),
    Largest(
        "equidistant",
        lambda: distorted_camera("equidistant", -0.03, 0.01, 0, 0),
        check_rectification,
    ),
    Largest("cloud", cloud, check_large_cloud),
    Largest("cloud of fields", cloud_of_fields, check_cloud_of_fields, "give up to 256"),
    Largest("YAML", document, check_document),
    Largest("metadata.yaml of a bag", bag_metadata, check_bag_metadata, "seems to be empty"),
]


class Made:
    """An input that is there; a report says its name instead of printing it."""

    def __init__(self, of: Largest) -> None:
        self.of, self.what = of, of.make()

    def __repr__(self) -> str:
        return self.of.name


def check(made: Made) -> None:
    """Read it; refused is what has to be, and nothing else."""
    refusal = ""
    try:
        made.of.read(made.what)
    except InputError as error:
        refusal = str(error)
    expected = made.of.refusal
    assert (expected in refusal) if expected else not refusal, f"{made.of.name}: {refusal!r}"
    if refusal:
        raise InputError(refusal)


TARGETS = [
    Target(
        "largest inputs",
        st.sampled_from(INPUTS).map(Made),
        check,
        0.0003,
    )
]
