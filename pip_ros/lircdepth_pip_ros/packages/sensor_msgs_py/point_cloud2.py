"""sensor_msgs/PointCloud2 from and to structured NumPy arrays."""

import array
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.recfunctions import unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_FORMATS = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Return the points of a cloud as a structured array.

    Args:
        cloud: the message. Rows are taken as packed: `row_step` is not used, as in Jazzy.
        field_names: the fields to return, in this order; all if None.
        skip_nans: leave out points with NaN in a returned field, unless the cloud says that it
            is dense.
        uvs: numbers of the points to return.
        reshape_organized_cloud: return shape (width, height), sic, if the height is above 1.

    Returns:
        Shape (width · height,), in the machine's byte order. It can share the message's memory.

    Raises:
        AssertionError: `cloud` is not a PointCloud2, a field is missing, or the rows are padded,
            which the real package would read as points.
        TypeError: the data are too short.
    """
    assert isinstance(cloud, PointCloud2), "cloud is not a sensor_msgs/PointCloud2"
    padding = cloud.row_step - cloud.width * cloud.point_step
    assert cloud.height < 2 or padding <= 0 or len(cloud.data) < cloud.height * cloud.row_step, (
        f"PointCloud2.row_step pads each row by {padding} bytes; remove them before reading"
    )
    native = dtype_from_fields(cloud.fields, cloud.point_step)
    stored = native.newbyteorder(">" if cloud.is_bigendian else "<")
    points: np.ndarray = np.ndarray((cloud.width * cloud.height,), stored, cloud.data)
    if stored != native:
        points = points.astype(native)
    if field_names is not None:
        missing = set(field_names) - set(native.names or ())
        assert not missing, f"the PointCloud2 has no field {sorted(missing)}"
        points = points[list(field_names)]
    if skip_nans and not cloud.is_dense:
        valid = np.ones(len(points), dtype=bool)
        for name in points.dtype.names:
            valid &= ~np.isnan(points[name])
        points = points[valid]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured type of a point: one named scalar at its offset per field.

    A field of count n > 1 becomes n fields `name_0` … ; one without a name is `unnamed_field_i`.

    Raises:
        AssertionError: a count is 0 or a name occurs twice.
        KeyError: a datatype is not one of PointField's.
        ValueError: a field ends beyond `point_step`.
    """
    formats: dict[str, tuple[str, int]] = {}
    for index, field in enumerate(fields):
        assert field.count > 0, f"the count of field {field.name!r} is 0"
        name = field.name or f"unnamed_field_{index}"
        scalar = _FORMATS[field.datatype]
        for part in range(field.count):
            key = name if field.count == 1 else f"{name}_{part}"
            assert key not in formats, f"the field name {key!r} occurs twice"
            formats[key] = (scalar, field.offset + part * np.dtype(scalar).itemsize)
    layout = {
        "names": list(formats),
        "formats": [scalar for scalar, _ in formats.values()],
        "offsets": [offset for _, offset in formats.values()],
    }
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)  # type: ignore[call-overload]


def create_cloud(
    header: Header,
    fields: Sequence[PointField],
    points: Iterable,
    point_step: int | None = None,
) -> PointCloud2:
    """Return a cloud of the points.

    Args:
        header: becomes the cloud's.
        fields: the fields of a point.
        points: a structured array of `dtype_from_fields(fields, point_step)`, or a plain one with
            the fields along its last axis if all are of one datatype, or a sequence of points.
            An array of points of shape (width, height), sic, makes an organised cloud.
        point_step: bytes per point; by default what the fields need.

    Raises:
        AssertionError: the points do not fit the fields or have too many dimensions.
    """
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        rows = np.array([tuple(point) for point in points], dtype=dtype)
    elif points.dtype.names is None:
        assert all(field.datatype == fields[0].datatype for field in fields[1:]), (
            "fields of different datatypes need a structured array"
        )
        rows = unstructured_to_structured(points, dtype=dtype)
    else:
        assert points.dtype == dtype, f"the points are {points.dtype}, the fields {dtype}"
        rows = points
    assert rows.ndim <= 2, f"points of shape {rows.shape} make no cloud"

    width = rows.shape[0]
    cloud = PointCloud2(
        header=header,
        height=rows.shape[1] if rows.ndim == 2 else 1,
        width=width,
        is_dense=False,
        is_bigendian=sys.byteorder == "big",
        fields=list(fields),
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
    )
    cloud.data = array.array("B", rows.tobytes())
    return cloud


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Return a cloud of float32 x, y, z from an (N, 3) array or a sequence of triples."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)
