"""ROS messages to the core's types and back."""

from __future__ import annotations

import array
import sys
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from sensor_msgs_py.point_cloud2 import dtype_from_fields

from lircdepth_core.camera import Camera
from lircdepth_core.encoded_image import MAX_IMAGE_PIXELS, decode_encoded, encoded_size
from lircdepth_core.errors import InputError
from lircdepth_core.rectification import Rectifier
from lircdepth_ros.message_limits import MAX_CLOUD_FIELDS, MAX_DISTORTION

if TYPE_CHECKING:
    from std_msgs.msg import Header

MAX_CLOUD_POINTS = 1_000_000
MAX_BYTES_PER_RETURN = 48
"""Of a cloud once it is read: position, cross-section and velocity."""

MAX_IMAGE_BYTES = 72_000_000
"""As an image of the most pixels has with four channels of 16 bits; `rgba8` has half of that."""

_BYTES_PER_PIXEL = {
    "rgb8": 3,
    "bgr8": 3,
    "rgba8": 4,
    "bgra8": 4,
    "mono8": 1,
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
    "yuv422": 2,
    "yuv422_yuy2": 2,
    "uyvy": 2,
    "yuyv": 2,
}
_NAMES_IN_CV_BRIDGE = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
_FIELD_BYTES = {
    PointField.INT8: 1,
    PointField.UINT8: 1,
    PointField.INT16: 2,
    PointField.UINT16: 2,
    PointField.INT32: 4,
    PointField.UINT32: 4,
    PointField.FLOAT32: 4,
    PointField.FLOAT64: 8,
}
_bridge = CvBridge()


def image_from_message(
    message: Image | CompressedImage,
    size: tuple[int, int] | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
    max_bytes: int = MAX_IMAGE_BYTES,
) -> np.ndarray:
    """Decode an image.

    Args:
        message: Image (rgb8, bgr8, rgba8, bgra8, mono8, bayer_*8, yuv422 variants; padded rows
            allowed) or CompressedImage (JPEG, PNG).
        size: width and height that the image must have; None: any. Compressed data that says
            otherwise is not decoded.
        max_pixels: a larger image is refused.
        max_bytes: more data is refused, unread.

    Returns:
        (H, W, 3) uint8 RGB; where the message holds its pixels so, or as bgr8, a view of it.

    Raises:
        InputError: the message is malformed or of another encoding.
    """
    if len(message.data) > max_bytes:
        raise InputError(
            f"image: {len(message.data)} bytes of data; parameter max_image_bytes allows "
            f"{max_bytes}"
        )
    if isinstance(message, CompressedImage):
        return _decode_compressed(message, size, max_pixels)
    _check_size((message.width, message.height), size, max_pixels)
    if message.encoding not in _BYTES_PER_PIXEL:
        raise InputError(
            f"image: encoding {message.encoding!r:.40}; use one of {', '.join(_BYTES_PER_PIXEL)}"
        )
    if message.step < message.width * _BYTES_PER_PIXEL[message.encoding]:
        raise InputError(
            f"image: step {message.step} is too short for {message.width} pixels of "
            f"{message.encoding}"
        )
    if len(message.data) < message.step * message.height:
        raise InputError(
            f"image: {len(message.data)} bytes of data, step x height is "
            f"{message.step * message.height}"
        )
    try:
        if message.encoding == "bgr8":
            return _bridge.imgmsg_to_cv2(_plain(message), desired_encoding="bgr8")[..., ::-1]
        return _bridge.imgmsg_to_cv2(_plain(message), desired_encoding="rgb8")
    except (CvBridgeError, cv2.error, TypeError, ValueError) as error:
        raise InputError(f"image: cannot be converted: {_one_line(error)}") from error


def _plain(message: Image) -> Image:
    """The image without row padding and under the encoding's older name, as cv_bridge needs it."""
    row_bytes = message.width * _BYTES_PER_PIXEL[message.encoding]
    encoding = _NAMES_IN_CV_BRIDGE.get(message.encoding, message.encoding)
    if message.step == row_bytes and encoding == message.encoding:
        return message
    plain = Image(header=message.header, encoding=encoding, step=row_bytes)
    plain.height, plain.width = message.height, message.width
    rows = np.frombuffer(message.data, np.uint8, message.step * message.height)
    packed = np.ascontiguousarray(rows.reshape(message.height, message.step)[:, :row_bytes])
    plain.data = _byte_array(packed)
    return plain


_DIRECTLY_RGB = getattr(cv2, "IMREAD_COLOR_RGB", None)  # since OpenCV 4.11
_RGB = cv2.IMREAD_COLOR if _DIRECTLY_RGB is None else _DIRECTLY_RGB


def _decode_compressed(
    message: CompressedImage, size: tuple[int, int] | None, max_pixels: int
) -> np.ndarray:
    data = bytes(message.data)
    try:
        found = encoded_size(data)
        if size is None or found == size:
            pixels = decode_encoded(data, _RGB, max_pixels)
            return pixels if _RGB == _DIRECTLY_RGB else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    except ValueError as error:
        raise InputError(f"image: {error} (format {message.format!r:.40})") from error
    raise _other_size(found, size)


def _check_size(found: tuple[int, int], wanted: tuple[int, int] | None, max_pixels: int) -> None:
    width, height = found
    if not 0 < width * height <= max_pixels:
        raise InputError(f"image: size {width}x{height}; give 1 to {max_pixels} pixels")
    if wanted is not None and found != wanted:
        raise _other_size(found, wanted)


def _other_size(found: tuple[int, int], wanted: tuple[int, int]) -> InputError:
    return InputError(
        f"image: size {found[0]}x{found[1]}, but camera_info describes {wanted[0]}x{wanted[1]}; "
        "publish the camera_info of this image"
    )


@dataclass(frozen=True)
class CameraModel:
    """A camera_info made ready: the rectified camera, and how to rectify its images.

    Attributes:
        camera: intrinsics of the rectified image, ROI and binning applied.
        rectifier: undistorts images; None where they come rectified.
    """

    camera: Camera
    rectifier: Rectifier | None


def camera_from_message(
    info: CameraInfo, rectified: bool, max_pixels: int = MAX_IMAGE_PIXELS
) -> CameraModel:
    """Read a sensor_msgs/CameraInfo.

    The rectified camera is P[:3,:3] if P[0,0] > 0, else K; R is never used. K and P are those of
    the full image: the ROI moves their centre, binning scales them.

    Args:
        info: the message.
        rectified: whether the images are rectified already.
        max_pixels: a larger image size is refused.

    Raises:
        InputError: the message names no usable camera.
    """
    if len(info.d) > MAX_DISTORTION:
        raise InputError(f"camera_info: more than {MAX_DISTORTION} distortion coefficients")
    width, height = info.width, info.height
    roi = info.roi
    left, top = (roi.x_offset, roi.y_offset) if roi.width and roi.height else (0, 0)
    if roi.width and roi.height:
        width, height = roi.width, roi.height
    binning_x, binning_y = max(1, info.binning_x), max(1, info.binning_y)
    size = (width // binning_x, height // binning_y)
    if min(size) <= 0:
        raise InputError(f"camera_info: image size {size[0]}x{size[1]}; give a positive size")
    if size[0] * size[1] > max_pixels:  # rectifying takes 8 bytes for each
        raise InputError(
            f"camera_info: image size {size[0]}x{size[1]}; give up to {max_pixels} pixels"
        )

    def of_image(full: np.ndarray) -> Camera:
        matrix = full.copy()
        matrix[[0, 1], [0, 1]] /= (binning_x, binning_y)
        centre = full[:2, 2] - (left, top)
        matrix[:2, 2] = (centre + 0.5) / (binning_x, binning_y) - 0.5
        try:
            return Camera(matrix, *size)
        except InputError as error:
            raise InputError(f"camera_info: {error}") from error

    K = np.array(info.k, dtype=np.float64).reshape(3, 3)
    P = np.array(info.p, dtype=np.float64).reshape(3, 4)[:, :3]
    camera = of_image(P if P[0, 0] > 0 else K)
    if rectified:
        return CameraModel(camera, None)
    distortion = np.array(info.d, dtype=np.float64)
    return CameraModel(
        camera,
        Rectifier(of_image(K).K, distortion, info.distortion_model, *size, new_K=camera.K),
    )


def rectified_image(
    message: Image | CompressedImage, model: CameraModel, max_bytes: int = MAX_IMAGE_BYTES
) -> np.ndarray:
    """Decode an image and rectify it where its camera asks for that.

    Returns:
        (H, W, 3) uint8 RGB, of the camera's size.

    Raises:
        InputError: the image cannot be used, or is not of the size camera_info describes.
    """
    width, height = model.camera.width, model.camera.height
    image = image_from_message(message, (width, height), width * height, max_bytes)
    if model.rectifier is None:
        return image
    if image.strides[-1] < 0:  # BGR seen as RGB: OpenCV would copy the view
        return model.rectifier(image[..., ::-1])[..., ::-1]
    return model.rectifier(image)


@dataclass(frozen=True)
class RadarFields:
    """Names of cloud fields, the state filter of nuScenes' radars, and a limit.

    Attributes:
        velocity: forward and left velocity relative to the moving radar, m/s.
        doppler: candidates for a scalar Doppler, m/s, positive away.
        rcs: candidates for the radar cross-section, dBsm.
        kept_states: field name -> values kept; empty: no filter.
        max_points: of a cloud that is read.
    """

    velocity: tuple[str, str] = ("vx", "vy")
    doppler: tuple[str, ...] = ("velocity", "v_r", "doppler", "range_rate")
    rcs: tuple[str, ...] = ("rcs", "RCS", "intensity", "amplitude")
    kept_states: tuple[tuple[str, tuple[int, ...]], ...] = ()
    max_points: int = MAX_CLOUD_POINTS

    @property
    def used(self) -> frozenset[str]:
        """Names of all fields that are read where a cloud has them."""
        states = (name for name, _ in self.kept_states)
        return frozenset(("x", "y", "z", *self.velocity, *self.doppler, *self.rcs, *states))


@dataclass(frozen=True)
class SensorReturns:
    """A radar cloud in the sensor's own frame.

    Attributes:
        position: (N, 3) metres.
        rcs: (N,) dBsm, zero where unknown.
        velocity: (N, 2) m/s forward and left, or (N,) Doppler; zero where unknown.
        missing: what the cloud does not tell, and what that means, for the log.
    """

    position: np.ndarray
    rcs: np.ndarray
    velocity: np.ndarray
    missing: tuple[tuple[str, str], ...]


def radar_from_message(cloud: PointCloud2, fields: RadarFields) -> SensorReturns:
    """Read a sensor_msgs/PointCloud2 of any layout: packed, padded, organised, big endian.

    Points with a position that is not finite are dropped; unknown numbers become zero. A cloud of
    more than `fields.max_points` is refused.

    Raises:
        InputError: the message is malformed or has no x, y, z.
    """
    if cloud.width * cloud.height == 0:  # often sent without fields
        return SensorReturns(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2)), ())
    points = structured_points(cloud, fields.used, fields.max_points)
    names = points.dtype.names or ()
    if not {"x", "y", "z"} <= set(names):
        told = ", ".join(f"{field.name[:20]!r}" for field in cloud.fields[:10])
        raise InputError(f"radar cloud: x, y and z are needed, a number each; its fields: {told}")
    missing = []
    for name, kept in fields.kept_states:
        if name in names:
            points = points[np.isin(points[name], kept)]
        else:
            missing.append((name, "radar_filter does not filter by it"))

    def column(name: str) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a signalling NaN would be warned of
            return points[name].astype(np.float64)

    position = np.stack([column("x"), column("y"), column("z")], axis=1)
    rcs_name = next((name for name in fields.rcs if name in names), None)
    doppler_name = next((name for name in fields.doppler if name in names), None)
    rcs = np.zeros(len(points)) if rcs_name is None else column(rcs_name)
    if set(fields.velocity) <= set(names):
        velocity = np.stack([column(name) for name in fields.velocity], axis=1)
    elif doppler_name is not None:
        velocity = column(doppler_name)
    else:
        velocity = np.zeros((len(points), 2))
        missing.append(("velocity", "taken as zero"))
    if rcs_name is None:
        missing.append(("rcs", "taken as zero"))
    finite = np.isfinite(position).all(axis=1)
    return SensorReturns(
        position[finite],
        np.nan_to_num(rcs[finite], nan=0.0, posinf=0.0, neginf=0.0),
        np.nan_to_num(velocity[finite], nan=0.0, posinf=0.0, neginf=0.0),
        tuple(missing),
    )


def structured_points(
    cloud: PointCloud2, used: Set[str], max_points: int = MAX_CLOUD_POINTS
) -> np.ndarray:
    """A cloud's points as a structured array (N,), row padding removed, in native byte order.

    It has the fields of the names `used` that are one number each: a name for every number of a
    longer one would take seconds where there are millions.

    Raises:
        InputError: sizes, fields and data contradict each other.
    """
    count = cloud.width * cloud.height
    if not 0 < count <= max_points:
        raise InputError(f"radar cloud: {count} points; 1 to {max_points} are read")
    row_bytes = cloud.width * cloud.point_step
    if cloud.point_step == 0 or cloud.row_step < row_bytes:
        raise InputError(
            f"radar cloud: row_step {cloud.row_step} with {cloud.width} points of "
            f"{cloud.point_step} bytes"
        )
    if len(cloud.data) < cloud.row_step * (cloud.height - 1) + row_bytes:
        raise InputError(
            f"radar cloud: {len(cloud.data)} bytes of data for {cloud.width}x{cloud.height} points"
        )
    _check_fields(cloud)
    try:
        fields = [field for field in cloud.fields if field.name in used and field.count == 1]
        dtype = dtype_from_fields(fields, point_step=cloud.point_step)
    except (AssertionError, KeyError, ValueError) as error:
        raise InputError(f"radar cloud: fields cannot be read: {_one_line(error)}") from error
    data = np.frombuffer(cloud.data, dtype=np.uint8)
    rows = np.lib.stride_tricks.as_strided(
        data, (cloud.height, row_bytes), (cloud.row_step, 1), writeable=False
    )
    points = np.ascontiguousarray(rows).reshape(-1).view(dtype)
    return points.view(points.dtype.newbyteorder(">")) if cloud.is_bigendian else points


def _check_fields(cloud: PointCloud2) -> None:
    if len(cloud.fields) > MAX_CLOUD_FIELDS:
        raise InputError(f"radar cloud: more than {MAX_CLOUD_FIELDS} fields")
    names = Counter(field.name for field in cloud.fields)
    if names and (twice := names.most_common(1)[0])[1] > 1:
        raise InputError(f"radar cloud: field {twice[0]!r:.40} stands {twice[1]} times")
    for field in cloud.fields:
        size = _FIELD_BYTES.get(field.datatype)
        if size is None or not 0 < field.count <= cloud.point_step:
            raise InputError(
                f"radar cloud: field {field.name!r:.40} has datatype {field.datatype}, "
                f"count {field.count}"
            )
        if field.offset + size * field.count > cloud.point_step:
            raise InputError(
                f"radar cloud: field {field.name!r:.40} ends beyond the point's "
                f"{cloud.point_step} bytes"
            )


class FloatImage:
    """A sensor_msgs/Image of encoding 32FC1 (REP 118) that is written in place, again and again.

    Args:
        height: rows.
        width: columns.

    Attributes:
        pixels: (height, width) float32, the message's own memory.
    """

    def __init__(self, height: int, width: int) -> None:
        self._message = Image(encoding="32FC1", is_bigendian=int(sys.byteorder == "big"))
        self._message.height, self._message.width, self._message.step = height, width, 4 * width
        self._message.data.frombytes(bytes(4 * height * width))
        self.pixels = np.frombuffer(self._message.data, np.float32).reshape(height, width)

    def message(self, header: Header) -> Image:
        """The message, with what `pixels` hold now; publishing copies it."""
        self._message.header = header
        return self._message


def colour_image_message(rgb: np.ndarray, header: Header) -> Image:
    """A sensor_msgs/Image of encoding bgr8 from (H, W, 3) uint8 RGB."""
    pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    message = Image(header=header, encoding="bgr8", is_bigendian=0)
    message.height, message.width = pixels.shape[:2]
    message.step = pixels.strides[0]
    message.data = _byte_array(pixels)
    return message


def _byte_array(values: np.ndarray) -> array.array:
    """A contiguous array's bytes as a message takes them without checking each element."""
    data = array.array("B")
    data.frombytes(values.data.cast("B"))
    return data


def camera_info_message(camera: Camera, header: Header) -> CameraInfo:
    """The sensor_msgs/CameraInfo of a rectified image."""
    message = CameraInfo(header=header, width=camera.width, height=camera.height)
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = camera.K.reshape(-1)
    message.r = np.eye(3).reshape(-1)
    message.p = np.hstack([camera.K, np.zeros((3, 1))]).reshape(-1)
    return message


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
