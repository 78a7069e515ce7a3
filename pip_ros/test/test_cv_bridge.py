"""Contract of `cv_bridge`: the stand-in and Jazzy's own must both pass."""

import array
import struct

import cv_bridge
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
RED, GREEN, BLUE = 100, 200, 50
GRAY = 153  # 0.299 R + 0.587 G + 0.114 B

PIXEL = {
    "rgb8": [RED, GREEN, BLUE],
    "bgr8": [BLUE, GREEN, RED],
    "rgba8": [RED, GREEN, BLUE, 255],
    "bgra8": [BLUE, GREEN, RED, 255],
    "mono8": [GRAY],
}
BAYER = {  # the colors of the first 2 x 2 pixels
    "bayer_rggb8": [[RED, GREEN], [GREEN, BLUE]],
    "bayer_bggr8": [[BLUE, GREEN], [GREEN, RED]],
    "bayer_gbrg8": [[GREEN, BLUE], [RED, GREEN]],
    "bayer_grbg8": [[GREEN, RED], [BLUE, GREEN]],
}


def message(data: bytes, encoding: str, width: int, height: int, **fields: int) -> Image:
    fields.setdefault("step", len(data) // max(height, 1))
    image = Image(width=width, height=height, encoding=encoding, **fields)
    image.data = array.array("B", data)
    return image


def of_one_color(pixel: list[int]) -> np.ndarray:
    return np.squeeze(np.full((4, 6, len(pixel)), pixel, np.uint8))


@pytest.mark.parametrize("target", PIXEL)
@pytest.mark.parametrize("source", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colors_keep_their_meaning_in_every_order(source: str, target: str) -> None:
    image = message(bytes(PIXEL[source] * 24), source, 6, 4)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(image, target), of_one_color(PIXEL[target]))


@pytest.mark.parametrize("target", PIXEL)
def test_mono_becomes_gray_of_every_order(target: str) -> None:
    image = message(bytes([7] * 24), "mono8", 6, 4)
    gray = [7, 7, 7, 255][: len(PIXEL[target])]
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(image, target), of_one_color(gray))


@pytest.mark.parametrize("target", ["rgb8", "bgr8", "mono8"])
@pytest.mark.parametrize("source", BAYER)
def test_a_mosaic_of_one_color_gives_this_color(source: str, target: str) -> None:
    mosaic = np.tile(np.array(BAYER[source], np.uint8), (2, 3))
    image = message(mosaic.tobytes(), source, 6, 4)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(image, target), of_one_color(PIXEL[target]))


@pytest.mark.parametrize(
    ("source", "pair"), [("yuv422", [90, 81, 240, 81]), ("yuv422_yuy2", [81, 90, 81, 240])]
)
def test_both_orders_of_yuv_give_red(source: str, pair: list[int]) -> None:
    """Y 81, U 90, V 240 is pure red in BT.601 video range."""
    image = message(bytes(pair * 12), source, 6, 4)
    np.testing.assert_allclose(
        BRIDGE.imgmsg_to_cv2(image, "rgb8"), of_one_color([255, 0, 0]), atol=2
    )
    np.testing.assert_allclose(BRIDGE.imgmsg_to_cv2(image, "bgra8")[0, 0], [0, 0, 255, 255], atol=2)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(image, "mono8"), of_one_color([81]))


def test_eight_and_sixteen_bits_are_in_proportion() -> None:
    wide = message(struct.pack("<4H", 0, 384, 386, 65535), "mono16", 2, 2)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(wide, "mono8"), [[0, 1], [2, 255]])
    narrow = message(bytes([0, 1, 2, 255]), "mono8", 2, 2)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(narrow, "mono16"), [[0, 257], [514, 65535]])
    assert BRIDGE.imgmsg_to_cv2(narrow, "mono16").dtype == np.uint16


def test_numbers_are_rounded_and_clipped_to_the_new_type() -> None:
    depth = message(struct.pack("<4f", 1.6, -3.0, 7e4, float("nan")), "32FC1", 2, 2)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(depth, "16UC1"), [[2, 0], [65535, 0]])


@pytest.mark.parametrize("target", ["passthrough", "rgb8", "bgr8"])
def test_padding_of_rows_is_left_out(target: str) -> None:
    rows = bytes([1, 2, 3, 4, 5, 6, 99, 99, 99]), bytes([7, 8, 9, 10, 11, 12, 98, 98, 98])
    image = BRIDGE.imgmsg_to_cv2(message(b"".join(rows), "rgb8", 2, 2), target)
    expected = np.arange(1, 13).reshape(2, 2, 3)
    np.testing.assert_array_equal(image, expected[..., ::-1] if target == "bgr8" else expected)


@pytest.mark.parametrize(("flag", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize(
    ("encoding", "code", "values"),
    [
        ("mono16", "H", [1, 258, 65534, 770]),
        ("16UC1", "H", [1, 258, 65534, 770]),
        ("32FC1", "f", [0.5, 80.25, -1.0, 3e8]),
        ("64FC1", "d", [0.1, 80.2, -1.0, 3e80]),
    ],
)
def test_both_byte_orders_give_native_numbers(
    encoding: str, code: str, values: list[float], flag: int, order: str
) -> None:
    padding = bytes(struct.calcsize(code))
    rows = [struct.pack(f"{order}2{code}", *values[i : i + 2]) + padding for i in (0, 2)]
    image = BRIDGE.imgmsg_to_cv2(message(b"".join(rows), encoding, 2, 2, is_bigendian=flag))
    assert image.dtype == np.dtype(code)
    np.testing.assert_array_equal(image, np.array(values, code).reshape(2, 2))


def test_an_image_without_pixels_passes_through() -> None:
    assert BRIDGE.imgmsg_to_cv2(message(b"", "bgr8", 0, 0)).shape == (0, 0, 3)


@pytest.mark.parametrize(
    ("image", "target"),
    [
        (message(bytes(12), "rgb9", 2, 2), "passthrough"),
        (message(bytes(12), "rgb8", 2, 2), "rgb9"),
        (message(bytes(12), "8UC3", 2, 2), "rgb8"),
        (message(bytes(16), "32FC1", 2, 2), "mono8"),
        (message(bytes(16), "rgb8", 2, 2), "16UC1"),
        (message(bytes(16), "bayer_rggb8", 4, 4), "rgba8"),
        (message(bytes(12), "rgb8", 2, 2), "bayer_rggb8"),
        (message(bytes(16), "bayer_rggb8", 4, 4), "bayer_rggb16"),
        (message(bytes(16), "uyvy", 2, 4), "rgb8"),
        (message(b"", "bgr8", 0, 0), "rgb8"),
    ],
)
def test_what_makes_no_sense_is_an_error(image: Image, target: str) -> None:
    with pytest.raises(CvBridgeError):
        BRIDGE.imgmsg_to_cv2(image, target)


def test_missing_rows_are_an_error() -> None:
    with pytest.raises(TypeError):
        BRIDGE.imgmsg_to_cv2(message(bytes(11), "rgb8", 2, 2, step=6))


@pytest.mark.skipif(
    not hasattr(cv_bridge, "__lircdepth_stand_in__"), reason="Jazzy's returns a wrong image"
)
@pytest.mark.parametrize("step", [5, 8])
def test_a_row_of_no_whole_pixels_is_an_error(step: int) -> None:
    with pytest.raises(CvBridgeError, match=f"{step} bytes"):
        BRIDGE.imgmsg_to_cv2(message(bytes(2 * step), "rgb8", 2, 2))


@pytest.mark.parametrize(
    ("encoding", "dtype", "shape", "step"),
    [
        ("bgr8", "u1", (2, 3, 3), 9),
        ("mono8", "u1", (2, 3), 3),
        ("mono8", "u1", (2, 3, 1), 3),
        ("mono16", "u2", (2, 3), 6),
        ("32FC1", "f4", (2, 3), 12),
        ("yuv422", "u1", (2, 3, 2), 6),
    ],
)
def test_an_array_comes_back_from_its_message(
    encoding: str, dtype: str, shape: tuple[int, ...], step: int
) -> None:
    array_ = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    header = Header(frame_id="camera")
    image = BRIDGE.cv2_to_imgmsg(array_, encoding, header)
    assert (image.encoding, image.height, image.width, image.step) == (encoding, 2, 3, step)
    assert image.header == header
    assert not image.is_bigendian
    assert isinstance(image.data, array.array)
    assert image.data.tobytes() == array_.tobytes()
    np.testing.assert_array_equal(
        BRIDGE.imgmsg_to_cv2(image), array_.reshape(shape[:2] if shape[2:] == (1,) else shape)
    )


def test_an_array_of_any_layout_is_written_row_by_row() -> None:
    columns = np.arange(6, dtype=np.uint8).reshape(3, 2).T
    image = BRIDGE.cv2_to_imgmsg(columns)
    assert image.encoding == "8UC1"
    assert image.data.tolist() == [0, 2, 4, 1, 3, 5]
    swapped = BRIDGE.cv2_to_imgmsg(np.array([[1, 2]], ">u2"))
    assert swapped.is_bigendian
    assert swapped.data.tolist() == [0, 1, 0, 2]


def test_an_array_that_does_not_fit_its_encoding_is_an_error() -> None:
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "bgr8")
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "rgb9")
    with pytest.raises(TypeError):
        BRIDGE.cv2_to_imgmsg([[0, 0]], "mono8")


@pytest.mark.parametrize(("file_format", "tolerance"), [("png", 0), ("jpg", 4)])
@pytest.mark.parametrize("target", ["passthrough", "rgb8", "bgr8", "bgra8", "mono8"])
def test_compressed_images_come_back(file_format: str, tolerance: int, target: str) -> None:
    compressed = BRIDGE.cv2_to_compressed_imgmsg(of_one_color(PIXEL["bgr8"]), file_format)
    assert compressed.format == file_format
    np.testing.assert_allclose(
        BRIDGE.compressed_imgmsg_to_cv2(compressed, target).astype(int),
        of_one_color(PIXEL["bgr8" if target == "passthrough" else target]),
        atol=tolerance,
    )


def test_compressed_gray_stays_one_channel_unless_converted() -> None:
    compressed = BRIDGE.cv2_to_compressed_imgmsg(of_one_color([7]), "png")
    assert BRIDGE.compressed_imgmsg_to_cv2(compressed).shape == (4, 6)
    assert BRIDGE.compressed_imgmsg_to_cv2(compressed, "bgr8").shape == (4, 6)
    np.testing.assert_array_equal(
        BRIDGE.compressed_imgmsg_to_cv2(compressed, "rgb8"), of_one_color([7, 7, 7])
    )


def test_compressed_depth_passes_through() -> None:
    depth = np.array([[0, 1], [256, 65535]], np.uint16)
    compressed = BRIDGE.cv2_to_compressed_imgmsg(depth, "png")
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(compressed), depth)


def test_corrupt_compressed_data_give_none_or_an_error() -> None:
    compressed = CompressedImage(format="jpeg")
    compressed.data = array.array("B", b"no picture")
    assert BRIDGE.compressed_imgmsg_to_cv2(compressed) is None
    assert BRIDGE.compressed_imgmsg_to_cv2(compressed, "bgr8") is None
    with pytest.raises(CvBridgeError):
        BRIDGE.compressed_imgmsg_to_cv2(compressed, "rgb8")
