"""Messages in every layout that occurs, against pixels and points made by hand."""

import time
import zlib
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from lircdepth_core.errors import InputError
from lircdepth_ros.conversions import (
    FloatImage,
    RadarFields,
    camera_from_message,
    camera_info_message,
    colour_image_message,
    image_from_message,
    radar_from_message,
    rectified_image,
)

RGB = np.array(
    [[[250, 10, 20], [0, 200, 30]], [[40, 50, 160], [90, 90, 90]], [[5, 6, 7], [255, 255, 255]]],
    np.uint8,
)


def image(pixels, encoding, padding=0):
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data.frombytes(rows.tobytes())
    return message


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "code"),
    [
        ("rgb8", None),
        ("bgr8", cv2.COLOR_RGB2BGR),
        ("rgba8", cv2.COLOR_RGB2RGBA),
        ("bgra8", cv2.COLOR_RGB2BGRA),
    ],
)
def test_colour_orders_and_padded_rows(encoding, code, padding):
    pixels = RGB if code is None else cv2.cvtColor(RGB, code)
    np.testing.assert_array_equal(image_from_message(image(pixels, encoding, padding)), RGB)


def test_mono_becomes_grey():
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    np.testing.assert_array_equal(
        image_from_message(image(grey, "mono8", padding=3)), np.stack([grey] * 3, axis=2)
    )


@pytest.mark.parametrize(
    ("encoding", "red_at"),
    [("bayer_rggb8", (0, 0)), ("bayer_bggr8", (1, 1)), ("bayer_grbg8", (0, 1)),
     ("bayer_gbrg8", (1, 0))],
)  # fmt: skip
def test_bayer_patterns_keep_red_red(encoding, red_at):
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[red_at[0] :: 2, red_at[1] :: 2] = 200
    red, green, blue = image_from_message(image(mosaic, encoding))[4, 4]
    assert (red, green, blue) == (200, 0, 0)


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", (1, 0, 3, 2)), ("uyvy", (1, 0, 3, 2)),
     ("yuv422_yuy2", (0, 1, 2, 3)), ("yuyv", (0, 1, 2, 3))],
)  # fmt: skip
def test_yuv422_variants(encoding, order):
    # Two pixels of one red: Y 81, U 90, V 240 (ITU-R BT.601). In memory: Y U Y V, reordered.
    yuyv = np.array([81, 90, 81, 240], np.uint8)
    rows = np.tile(yuyv[list(order)], (2, 1)).reshape(2, 2, 2)
    rgb = image_from_message(image(rows, encoding))
    np.testing.assert_allclose(rgb, np.broadcast_to([255, 0, 0], (2, 2, 3)), atol=2)


@pytest.mark.parametrize(("extension", "tolerance"), [(".jpg", 12), (".png", 0)])
def test_compressed_images(extension, tolerance):
    flat = np.full((16, 24, 3), (200, 40, 60), np.uint8)
    data = cv2.imencode(extension, cv2.cvtColor(flat, cv2.COLOR_RGB2BGR))[1]
    message = CompressedImage(format="jpeg")
    message.data.frombytes(data.tobytes())
    np.testing.assert_allclose(image_from_message(message).astype(int), flat, atol=tolerance)


@pytest.mark.parametrize(
    "data", [b"", b"not an image", b"\xff\xd8\xff broken", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_image_is_an_input_error(data):
    message = CompressedImage(format="jpeg")
    message.data.frombytes(data)
    with pytest.raises(InputError, match="image:"):
        image_from_message(message)


@settings(max_examples=200)
@given(
    encoding=st.sampled_from(["rgb8", "bgra8", "mono8", "bayer_rggb8", "yuyv", "32FC1", ""]),
    height=st.integers(0, 4),
    width=st.integers(0, 4) | st.just(2**31),
    step=st.integers(0, 20) | st.just(2**31),
    length=st.integers(0, 80),
)
def test_any_image_is_converted_to_its_size_or_refused(encoding, height, width, step, length):
    message = Image(height=height, width=width, encoding=encoding, step=step)
    message.data.frombytes(bytes(length))
    try:
        pixels = image_from_message(message)
    except InputError:
        return
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8


def info(width=1600, height=900, p=True, **values):
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", **values)
    message.k = [1200.0, 0.0, 800.0, 0.0, 1210.0, 450.0, 0.0, 0.0, 1.0]
    if p:
        message.p = [1000.0, 0.0, 790.0, 0.0, 0.0, 1010.0, 440.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.r = [9.0] * 9  # no rotation, as met in bags: never read
    return message


def test_the_rectified_camera_is_p_and_without_p_it_is_k():
    assert camera_from_message(info(), True).camera.K[0, 0] == 1000
    assert camera_from_message(info(p=False), True).camera.K[0, 0] == 1200
    assert camera_from_message(info(), True).rectifier is None


def test_roi_and_binning_move_and_scale_the_camera():
    message = info(binning_x=2, binning_y=2)
    message.roi.x_offset, message.roi.y_offset = 100, 200
    message.roi.width, message.roi.height = 800, 600
    camera = camera_from_message(message, True).camera
    assert (camera.width, camera.height) == (400, 300)
    assert camera.K[0, 0] == 500
    assert camera.K[0, 2] == pytest.approx((690 + 0.5) / 2 - 0.5)
    assert camera.K[1, 2] == pytest.approx((240 + 0.5) / 2 - 0.5)


def test_unrectified_images_are_undistorted_by_k_and_d():
    message = info(width=64, height=48, p=False)
    message.k = [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]
    message.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    model = camera_from_message(message, False)
    picture = np.zeros((48, 64, 3), np.uint8)
    point = np.array([[[0.35, 0.2, 1.0]]])
    camera_matrix = np.array(message.k).reshape(3, 3)
    distorted = cv2.projectPoints(point, np.zeros(3), np.zeros(3), camera_matrix,
                                  np.array(message.d))[0].ravel()  # fmt: skip
    cv2.circle(picture, tuple(int(v) for v in distorted.round()), 2, (255, 255, 255), -1)
    rows, columns = np.nonzero(model.rectifier(picture)[..., 0] > 100)
    expected = model.camera.project(point[0])[0][0]
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=1.0)


@pytest.mark.parametrize("rectified", [True, False])
def test_the_order_of_channels_does_not_change_a_rectified_image(rectified):
    message = info(width=64, height=48, p=False)
    message.k = [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]
    message.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    model = camera_from_message(message, rectified)
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    found = [
        rectified_image(image(rgb, "rgb8"), model),
        rectified_image(image(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), "bgr8"), model),
    ]
    np.testing.assert_array_equal(*found)
    assert rectified == np.array_equal(found[0], rgb)


def test_binning_of_an_odd_width_is_exact():
    camera = camera_from_message(
        info(width=1601, height=901, binning_x=2, binning_y=2), True
    ).camera
    assert (camera.width, camera.height) == (800, 450)
    assert camera.K[0, 0] == 500
    assert camera.K[0, 2] == pytest.approx((790 + 0.5) / 2 - 0.5)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_compressed_data_of_another_size_is_not_decoded(extension, monkeypatch):
    data = cv2.imencode(extension, np.zeros((40, 60, 3), np.uint8))[1]
    message = CompressedImage(format="jpeg")
    message.data.frombytes(data.tobytes())
    assert image_from_message(message, (60, 40)).shape == (40, 60, 3)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="60x40"):
        image_from_message(message, (60, 41))


def test_a_png_that_says_it_is_huge_is_not_decoded(monkeypatch):
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    message = CompressedImage(format="png")
    message.data.frombytes(bytes(data))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="100000x100000"):
        image_from_message(message)


def compressed(data):
    message = CompressedImage(format="jpeg")
    message.data.frombytes(bytes(data))
    return message


def progressive_jpeg(width, height, extra_scans):
    """A grey progressive JPEG whose last scan is repeated."""
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", np.zeros((height, width), np.uint8), flags)[1].tobytes()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * extra_scans + data[-2:]


def test_a_jpeg_of_ordinary_scans_is_decoded_and_one_of_very_many_is_not(monkeypatch):
    assert image_from_message(compressed(progressive_jpeg(60, 40, 5)), (60, 40)).shape[0] == 40
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="scans; give up to 16"):
        image_from_message(compressed(progressive_jpeg(60, 40, 40)))


@pytest.mark.parametrize(
    "filling",
    [b"\xff" * 4_000_000, b"\xff\xfe\0\2" * 1_000_000],
    ids=["fill bytes", "empty segments"],
)
def test_a_jpeg_of_nothing_but_filling_is_refused_at_once(filling):
    jpeg = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    begin = time.process_time()
    with pytest.raises(InputError, match=r"JPEG without a start of frame|bytes for 4x4"):
        image_from_message(compressed(jpeg[:2] + filling + jpeg[2:]))
    assert time.process_time() - begin < 0.1


def test_a_few_fill_bytes_before_a_marker_are_skipped():
    jpeg = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    filled = jpeg[:2] + b"\xff" * 7 + jpeg[2:]
    assert image_from_message(compressed(filled)).shape == (4, 4, 3)


@pytest.mark.parametrize(
    "marker", [b"\xff\x01", b"\xff\xd0", b"\xff\xd7", b"\xff\x00", b"\xff\xd8"]
)
def test_a_jpeg_whose_size_depends_on_the_reader_is_not_decoded(marker, monkeypatch):
    # Who reads a length after this marker jumps over the frame into a comment with another one.
    jpeg = cv2.imencode(".jpg", np.zeros((400, 400, 3), np.uint8))[1].tobytes()
    frame = jpeg[jpeg.index(b"\xff\xc0") :]
    small = frame[:5] + (4).to_bytes(2, "big") * 2 + frame[9:12]
    comment = b"\0" * 65_500 + small * 3
    comments = b"".join(
        b"\xff\xfe" + (len(part) + 2).to_bytes(2, "big") + part
        for part in (comment[:60_000], comment[60_000:])
    )
    message = compressed(jpeg[:2] + marker + jpeg[2:20] + comments + jpeg[20:])
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="JPEG without a start of frame"):
        image_from_message(message)


def test_what_decodes_to_another_size_than_it_says_is_refused(monkeypatch):
    jpeg = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((8, 6, 3), np.uint8))
    with pytest.raises(InputError, match="decoded to 6x8 pixels, its header says 6x4"):
        image_from_message(compressed(jpeg))


def test_an_animation_is_refused():
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    chunk = b"\0\0\0\x08acTL\0\0\0\1\0\0\0\0"
    chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
    with pytest.raises(InputError, match="an animated PNG"):
        image_from_message(compressed(png[:33] + chunk + png[33:]))


def jpeg_of_noise(*options):
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_jpeg_that_was_cut_and_ended_is_refused(kept, options):
    jpeg = jpeg_of_noise(*options)
    cut = jpeg[: int(kept * len(jpeg))]
    with pytest.raises(InputError, match="a part of the picture only"):
        image_from_message(compressed(cut.rstrip(b"\xff") + b"\xff\xd9"))


@pytest.mark.parametrize("after", [b"", bytes(100)])
def test_a_whole_jpeg_that_ends_in_grey_is_answered(after):
    grey = np.full((64, 96, 3), 128, np.uint8)
    jpeg = cv2.imencode(".jpg", grey)[1].tobytes()
    np.testing.assert_array_equal(image_from_message(compressed(jpeg + after)), grey)


def test_compressed_texts_of_a_png_are_left_packed():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    png = cv2.imencode(".png", pixels)[1].tobytes()
    texts = b""
    for kind, before in ((b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")):
        content = kind + before + zlib.compress(bytes(8_000_000))
        length = (len(content) - 4).to_bytes(4, "big")
        texts += 60 * (length + content + zlib.crc32(content).to_bytes(4, "big"))
    begin = time.process_time()
    found = image_from_message(compressed(png[:33] + texts + png[33:]))
    assert time.process_time() - begin < 0.3  # unpacking them takes seconds
    np.testing.assert_array_equal(found, pixels[..., ::-1])


def test_a_png_of_nothing_but_empty_chunks_is_refused_at_once():
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    empty = b"\0\0\0\0teXt\0\0\0\0" * 400_000
    begin = time.process_time()
    with pytest.raises(InputError, match="too many chunks"):
        image_from_message(compressed(png[:33] + empty + png[33:]))
    assert time.process_time() - begin < 0.3


def test_more_bytes_than_allowed_are_not_read():
    with pytest.raises(InputError, match="parameter max_image_bytes allows 100"):
        image_from_message(compressed(b"\xff\xd8" * 51), max_bytes=100)
    with pytest.raises(InputError, match="parameter max_image_bytes allows 2"):
        image_from_message(image(RGB, "rgb8"), max_bytes=2)


@pytest.mark.parametrize("length", [0x80000000, 0xFFFFFFFF, 5000])
def test_a_png_chunk_longer_than_the_file_is_not_decoded(length, monkeypatch):
    # OpenCV takes the memory that such a chunk asks for.
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[33:37] = length.to_bytes(4, "big")  # of the chunk after IHDR
    message = CompressedImage(format="png")
    message.data.frombytes(bytes(data))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match="PNG end before"):
        image_from_message(message)


def test_a_camera_info_of_billions_of_pixels_takes_no_memory(monkeypatch):
    monkeypatch.setattr(cv2, "initUndistortRectifyMap", lambda *_: pytest.fail("maps were made"))
    with pytest.raises(InputError, match="camera_info: image size 4294967295x900; give up to"):
        camera_from_message(info(width=2**32 - 1, d=[0.1, 0, 0, 0, 0]), False)


@pytest.mark.parametrize("spoil", [{"width": 0}, {"k": [0.0] * 9}, {"k": [float("nan")] * 9}])
def test_a_camera_info_without_a_camera_is_an_input_error(spoil):
    message = info(p=False)
    for name, value in spoil.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match="camera_info"):
        camera_from_message(message, True)


NUSCENES = np.dtype(
    [("x", "f4"), ("y", "f4"), ("z", "f4"), ("dyn_prop", "i1"), ("id", "i2"), ("rcs", "f4"),
     ("vx", "f4"), ("vy", "f4"), ("vx_comp", "f4"), ("vy_comp", "f4"), ("is_quality_valid", "i1"),
     ("ambig_state", "i1"), ("x_rms", "i1"), ("y_rms", "i1"), ("invalid_state", "i1"),
     ("pdh0", "i1"), ("vx_rms", "i1"), ("vy_rms", "i1")]
)  # fmt: skip
DATATYPES = {
    "f4": PointField.FLOAT32,
    "f8": PointField.FLOAT64,
    "i1": PointField.INT8,
    "i2": PointField.INT16,
    "u2": PointField.UINT16,
}


def cloud(points, height=1, padding=0, big_endian=False):
    """A PointCloud2 of a structured array, organised in `height` rows."""
    if big_endian:
        points = points.astype(points.dtype.newbyteorder(">"))
    message = PointCloud2(height=height, width=len(points) // height, is_bigendian=big_endian)
    message.point_step = points.dtype.itemsize
    for name in points.dtype.names:
        kind, offset = points.dtype.fields[name][:2]
        message.fields.append(
            PointField(name=name, offset=offset, count=1, datatype=DATATYPES[kind.str[1:]])
        )
    rows = points.view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    message.row_step = rows.shape[1]
    message.data.frombytes(rows.tobytes())
    return message


def test_numbers_beside_those_that_are_used_cost_nothing():
    message = cloud(np.zeros(1, [(name, "<f4") for name in ("x", "y", "z")]))
    size = 1_000_000
    message.fields.append(PointField(name="more", offset=12, count=size, datatype=PointField.UINT8))
    message.point_step = message.row_step = 12 + size
    message.data.frombytes(bytes(size))
    begin = time.process_time()
    assert len(radar_from_message(message, RadarFields()).position) == 1
    assert time.process_time() - begin < 0.2  # 2.9 s with a name for each


def test_a_cloud_of_thousands_of_fields_is_refused_in_few_words():
    message = cloud(np.zeros(1, [(name, "<f4") for name in ("x", "y", "z")]))
    message.fields += [PointField(name=f"f{n}", count=1, datatype=2) for n in range(10_000)]
    with pytest.raises(InputError, match=r"^radar cloud: more than 256 fields$"):
        radar_from_message(message, RadarFields())


def test_what_a_sender_wrote_does_not_make_an_error_long():
    long = "x" * 1_000_000
    image = Image(width=4, height=1, step=12, encoding=long)
    no_z = cloud(np.zeros(1, [(name, "<f4") for name in ("x", "y", long)]))
    twice = cloud(np.zeros(1, [("x", "<f4"), (long, "<f4")]))
    twice.fields.append(twice.fields[-1])
    beyond = cloud(np.zeros(1, [("x", "<f4"), (long, "<f4")]))
    beyond.fields[-1].offset = 99
    for read in (
        lambda: image_from_message(image),
        *(partial(radar_from_message, each, RadarFields()) for each in (no_z, twice, beyond)),
    ):
        with pytest.raises(InputError) as error:
            read()
        assert len(str(error.value)) < 400


def nuscenes_points(count):
    points = np.zeros(count, NUSCENES)
    for index, name in enumerate(("x", "y", "z", "rcs", "vx", "vy")):
        points[name] = np.arange(count) + 10 * index + 0.25
    points["invalid_state"] = np.arange(count) % 2
    points["ambig_state"] = 3
    return points


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("height", "padding"), [(1, 0), (1, 7), (3, 0), (3, 7)])
def test_the_packed_nuscenes_layout_in_any_organisation(height, padding, big_endian):
    assert NUSCENES.itemsize == 43
    points = nuscenes_points(6)
    message = cloud(points, height, padding, big_endian)
    before = bytes(message.data)
    returns = radar_from_message(message, RadarFields())
    np.testing.assert_array_equal(returns.position[:, 1], points["y"])
    np.testing.assert_array_equal(returns.velocity, np.stack([points["vx"], points["vy"]], 1))
    np.testing.assert_array_equal(returns.rcs, points["rcs"])
    assert returns.missing == ()
    assert bytes(message.data) == before


def test_the_state_filter_keeps_what_it_is_told_to():
    fields = RadarFields(kept_states=(("invalid_state", (0,)), ("ambig_state", (3,))))
    assert len(radar_from_message(cloud(nuscenes_points(6)), fields).position) == 3


def test_a_state_filter_without_its_field_is_told():
    points = np.ones(2, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    fields = RadarFields(kept_states=(("invalid_state", (0,)),))
    assert "invalid_state" in [
        name for name, _ in radar_from_message(cloud(points), fields).missing
    ]


def test_a_cloud_of_x_y_z_only_tells_what_is_missing():
    points = np.ones(2, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    returns = radar_from_message(cloud(points), RadarFields())
    assert [name for name, _ in returns.missing] == ["velocity", "rcs"]
    assert not returns.velocity.any()
    assert not returns.rcs.any()


@pytest.mark.parametrize("doppler", ["velocity", "v_r", "doppler", "range_rate"])
@pytest.mark.parametrize("strength", ["intensity", "RCS", "amplitude"])
def test_other_names_for_velocity_and_strength(doppler, strength):
    points = np.ones(2, [("x", "f8"), ("y", "f8"), ("z", "f8"), (doppler, "f4"), (strength, "u2")])
    points[doppler], points[strength] = -3.5, 12
    returns = radar_from_message(cloud(points), RadarFields())
    np.testing.assert_array_equal(returns.velocity, [-3.5, -3.5])
    np.testing.assert_array_equal(returns.rcs, [12, 12])


def test_nan_points_are_dropped_and_nan_values_become_zero():
    points = nuscenes_points(4)
    points["x"][1] = np.nan
    points["z"][2] = np.inf
    points["rcs"][0] = np.nan
    points["vx"][3] = np.inf
    returns = radar_from_message(cloud(points), RadarFields())
    assert len(returns.position) == 2
    assert returns.rcs[0] == 0
    assert returns.velocity[1, 0] == 0


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_one_as_any_other():
    points = nuscenes_points(3)
    for name in ("x", "rcs"):
        points[name].view(np.uint32)[1] = 0x7FA00000
    assert len(radar_from_message(cloud(points), RadarFields()).position) == 2


def test_zero_points_are_fine_with_and_without_fields():
    assert len(radar_from_message(cloud(nuscenes_points(0)), RadarFields()).position) == 0
    assert len(radar_from_message(PointCloud2(), RadarFields()).position) == 0


@settings(max_examples=300)
@given(
    width=st.integers(0, 5) | st.just(2**32 - 1),
    height=st.integers(0, 3) | st.just(2**32 - 1),
    point_step=st.integers(0, 16),
    row_step=st.integers(0, 90),
    length=st.integers(0, 200),
    big_endian=st.booleans(),
    fields=st.lists(
        st.builds(
            PointField,
            name=st.sampled_from(["x", "y", "z", "rcs", ""]),
            offset=st.integers(0, 20) | st.just(2**32 - 1),
            datatype=st.integers(0, 10),
            count=st.integers(0, 3) | st.just(2**32 - 1),
        ),
        max_size=5,
    ),
)
def test_any_cloud_is_read_or_refused(
    width, height, point_step, row_step, length, big_endian, fields
):
    message = PointCloud2(width=width, height=height, point_step=point_step, row_step=row_step)
    message.is_bigendian, message.fields = big_endian, fields
    message.data.frombytes(bytes(length))
    try:
        returns = radar_from_message(message, RadarFields())
    except InputError:
        return
    assert len(returns.position) == len(returns.rcs) == len(returns.velocity)
    assert np.isfinite(returns.position).all()


def test_outgoing_images_hold_the_values():
    header = Image().header
    depth = np.array([[1.5, np.nan], [3.25, 80.0]], np.float32)
    image = FloatImage(2, 2)
    image.pixels[:] = depth
    message = image.message(header)
    assert (message.encoding, message.step, message.is_bigendian) == ("32FC1", 8, 0)
    np.testing.assert_array_equal(np.frombuffer(message.data, "<f4").reshape(2, 2), depth)
    image.pixels[0, 0] = 7.5  # the same memory, for the next image
    assert np.frombuffer(image.message(header).data, "<f4")[0] == 7.5
    message = colour_image_message(RGB, header)
    assert (message.encoding, message.step) == ("bgr8", 6)
    np.testing.assert_array_equal(image_from_message(message), RGB)


def test_the_outgoing_camera_info_describes_the_rectified_camera():
    camera = camera_from_message(info(), True).camera
    message = camera_info_message(camera, Image().header)
    assert camera_from_message(message, True).camera == camera
    assert list(message.d) == [0.0] * 5
    assert message.r[0] == message.r[4] == 1.0
