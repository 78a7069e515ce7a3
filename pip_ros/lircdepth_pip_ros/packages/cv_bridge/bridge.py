"""sensor_msgs/Image and CompressedImage from and to NumPy arrays."""

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from .encodings import CvBridgeError, convert, encoding_of, name_of


class CvBridge:
    """Converts images: (height, width, channels), or (height, width) if there is one channel."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Return the message's pixels in the desired encoding and the machine's byte order.

        With `passthrough` the array can share the message's memory.

        Raises:
            CvBridgeError: the encoding is unknown or cannot become the desired one, the data are
                too short, or a row is not a whole number of pixels (the real cv_bridge would
                return a skewed image).
        """
        encoding = encoding_of(img_msg.encoding)
        dtype = encoding.dtype.newbyteorder(">" if img_msg.is_bigendian else "<")
        pixel = dtype.itemsize * encoding.channels
        if img_msg.step % pixel or img_msg.step < img_msg.width * pixel:
            raise CvBridgeError(
                f"Image.step of {img_msg.step} bytes is not a row of {img_msg.width} or more whole "
                f"pixels of {pixel} bytes"
            )
        shape: tuple[int, ...] = (img_msg.height, img_msg.step // pixel)
        if encoding.channels > 1:
            shape += (encoding.channels,)
        try:
            rows: np.ndarray = np.ndarray(shape, dtype, img_msg.data)
        except TypeError as error:
            raise CvBridgeError(
                f"Image.data holds {len(img_msg.data)} bytes, less than {img_msg.height} rows of "
                f"{img_msg.step}"
            ) from error
        image = np.ascontiguousarray(rows[:, : img_msg.width], dtype=encoding.dtype)
        if desired_encoding == "passthrough":
            return image
        return convert(image, img_msg.encoding, desired_encoding)

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray | None:
        """Return the decoded pixels; what cannot be decoded can give None, as in Jazzy.

        The file's own channels are decoded (one for gray, three as BGR, four as BGRA) and then
        taken as `bgr8`: with `bgr8` a gray file still gives shape (height, width).

        Raises:
            CvBridgeError: the decoded pixels cannot become the desired encoding.
            cv2.error: the message holds no data.
        """
        data: np.ndarray = np.ndarray((1, len(cmprs_img_msg.data)), np.uint8, cmprs_img_msg.data)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if desired_encoding == "passthrough" or (image is None and desired_encoding == "bgr8"):
            return image
        if image is None:
            raise CvBridgeError("CompressedImage.data cannot be decoded")
        return convert(image, "bgr8", desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Return the image as a message; nothing is converted.

        Raises:
            TypeError: `cvim` is not an array.
            CvBridgeError: its type or channels are not those of the encoding.
        """
        _require_array(cvim)
        name = name_of(cvim.dtype, cvim.shape[2] if cvim.ndim > 2 else 1)
        if encoding == "passthrough":
            encoding = name
        wanted = encoding_of(encoding)
        if name_of(wanted.dtype, wanted.channels) != name:
            raise CvBridgeError(f"encoding is {encoding}, but the image has type {name}")
        message = Image(
            height=cvim.shape[0],
            width=cvim.shape[1],
            encoding=encoding,
            is_bigendian=cvim.dtype.str.startswith(">"),
            step=cvim.itemsize * int(np.prod(cvim.shape[1:])),
        )
        if header is not None:
            message.header = header
        message.data = _byte_array(cvim)
        return message

    def cv2_to_compressed_imgmsg(
        self, cvim: np.ndarray, dst_format: str = "jpg"
    ) -> CompressedImage:
        """Return the image (gray, BGR or BGRA) compressed; the format is a file ending.

        Raises:
            TypeError: `cvim` is not an array.
            cv2.error: OpenCV cannot write the image in this format.
        """
        _require_array(cvim)
        message = CompressedImage(format=dst_format)
        message.data = _byte_array(cv2.imencode(f".{dst_format}", cvim)[1])
        return message


def _require_array(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(f"the image is not a NumPy array but {type(image).__name__}")


def _byte_array(values: np.ndarray) -> array.array:
    """Copy once into what a message takes without looking at every element."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8).data)
    return data
