"""Contract of `sensor_msgs_py.point_cloud2`: the stand-in and Jazzy's own must both pass."""

import array
import struct
from typing import Any

import numpy as np
import pytest
import sensor_msgs_py
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py.point_cloud2 import (
    create_cloud,
    create_cloud_xyz32,
    dtype_from_fields,
    read_points,
)
from std_msgs.msg import Header

HEADER = Header(frame_id="radar")
CODES = {  # struct's letter, NumPy's type
    PointField.INT8: ("b", "i1"),
    PointField.UINT8: ("B", "u1"),
    PointField.INT16: ("h", "i2"),
    PointField.UINT16: ("H", "u2"),
    PointField.INT32: ("i", "i4"),
    PointField.UINT32: ("I", "u4"),
    PointField.FLOAT32: ("f", "f4"),
    PointField.FLOAT64: ("d", "f8"),
}
NUSCENES = [
    *(("x", 0, "f"), ("y", 4, "f"), ("z", 8, "f"), ("dyn_prop", 12, "b"), ("id", 13, "h")),
    *(("rcs", 15, "f"), ("vx", 19, "f"), ("vy", 23, "f"), ("vx_comp", 27, "f")),
    *(("vy_comp", 31, "f"), ("is_quality_valid", 35, "b"), ("ambig_state", 36, "b")),
    *(("x_rms", 37, "b"), ("y_rms", 38, "b"), ("invalid_state", 39, "b"), ("pdh0", 40, "b")),
    *(("vx_rms", 41, "b"), ("vy_rms", 42, "b")),
]


def field(name: str, offset: int, code: str, count: int = 1) -> PointField:
    datatype = next(key for key, (letter, _) in CODES.items() if letter == code)
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


def cloud_of(
    fields: list[PointField], data: bytes, point_step: int, height: int = 1, **flags: Any
) -> PointCloud2:
    width = len(data) // point_step // height
    cloud = PointCloud2(
        header=HEADER, fields=fields, height=height, width=width, point_step=point_step, **flags
    )
    cloud.row_step = width * point_step
    cloud.data = array.array("B", data)
    return cloud


XYZ = [field(name, 4 * index, "f") for index, name in enumerate("xyz")]


def test_packed_radar_points_of_43_bytes_are_read_and_written() -> None:
    fields = [field(*entry) for entry in NUSCENES]
    values = [
        (8.2, -1.5, 0.0, 1, 300, -5.0, 2.25, 0.5, 0.0, -0.25, 1, 3, 19, 20, 0, 1, 16, 3),
        (99.0, 4.5, 0.0, -1, -2, 17.5, 0.0, 0.0, 1.0, 2.0, 1, 4, 21, 22, 17, 2, 17, -3),
    ]
    data = b"".join(struct.pack("<fffbhfffffbbbbbbbb", *point) for point in values)
    points = read_points(cloud_of(fields, data, 43))
    assert points.shape == (2,)
    assert points.dtype.itemsize == 43
    for index, (name, _, _) in enumerate(NUSCENES):
        np.testing.assert_allclose(points[name], [point[index] for point in values], rtol=1e-6)

    for source in (points, values):
        cloud = create_cloud(HEADER, fields, source)
        assert cloud.data.tobytes() == data
        assert (cloud.width, cloud.height) == (2, 1)
        assert (cloud.point_step, cloud.row_step) == (43, 86)


def test_asked_fields_come_in_the_asked_order() -> None:
    points = read_points(cloud_of(XYZ, struct.pack("<6f", *range(6)), 12), ["z", "x"])
    assert points.dtype.names == ("z", "x")
    assert points.tolist() == [(2.0, 0.0), (5.0, 3.0)]
    with pytest.raises(AssertionError):
        read_points(cloud_of(XYZ, bytes(12), 12), ["rcs"])


def test_points_with_nan_are_skipped_only_where_asked_and_possible() -> None:
    nan = float("nan")
    data = struct.pack("<9f", 0, 1, nan, nan, 2, 3, 4, 5, 6)
    assert len(read_points(cloud_of(XYZ, data, 12))) == 3
    assert read_points(cloud_of(XYZ, data, 12), skip_nans=True).tolist() == [(4, 5, 6)]
    in_y = read_points(cloud_of(XYZ, data, 12), ["y", "x"], skip_nans=True)
    assert in_y.tolist() == [(1, 0), (5, 4)]
    assert len(read_points(cloud_of(XYZ, data, 12, is_dense=True), skip_nans=True)) == 3


def test_points_are_chosen_by_number() -> None:
    cloud = cloud_of(XYZ[:1], struct.pack("<4f", *range(4)), 4)
    assert read_points(cloud, uvs=[3, 1])["x"].tolist() == [3, 1]
    assert read_points(cloud, uvs=np.array([2]))["x"].tolist() == [2]


def test_organised_clouds_are_flat_or_width_by_height() -> None:
    cloud = cloud_of(XYZ[:1], struct.pack("<6f", *range(6)), 4, height=2)
    assert read_points(cloud)["x"].tolist() == [0, 1, 2, 3, 4, 5]
    organised = read_points(cloud, reshape_organized_cloud=True)
    assert organised["x"].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_cloud_without_points_gives_none() -> None:
    points = read_points(cloud_of(XYZ, b"", 12), ["x", "y"], skip_nans=True)
    assert points.shape == (0,)
    assert points.dtype.names == ("x", "y")


def test_too_few_bytes_are_an_error() -> None:
    cloud = cloud_of(XYZ, bytes(24), 12)
    cloud.width = 3
    with pytest.raises(TypeError):
        read_points(cloud)


@pytest.mark.skipif(
    not hasattr(sensor_msgs_py, "__lircdepth_stand_in__"), reason="Jazzy's reads the padding"
)
def test_padded_rows_are_an_error() -> None:
    cloud = cloud_of(XYZ, bytes(2 * 16), 16, height=2)
    cloud.point_step = 12
    with pytest.raises(AssertionError, match="pads each row by 4 bytes"):
        read_points(cloud)


def test_what_makes_no_point_is_an_error() -> None:
    with pytest.raises(AssertionError):
        dtype_from_fields([XYZ[0], XYZ[0]])
    with pytest.raises(AssertionError):
        dtype_from_fields([field("x", 0, "f", count=0)])
    with pytest.raises(KeyError):
        dtype_from_fields([PointField(name="x", datatype=17, count=1)])
    with pytest.raises(ValueError, match="12"):
        dtype_from_fields(XYZ, 8)


def test_repeated_and_nameless_fields_get_numbers() -> None:
    dtype = dtype_from_fields([field("a", 0, "h", count=2), field("", 8, "B")], 12)
    assert dtype.names == ("a_0", "a_1", "unnamed_field_1")
    assert [dtype.fields[name][1] for name in dtype.names] == [0, 2, 8]
    assert dtype.itemsize == 12


@pytest.mark.parametrize(
    "points", [[(0, 1, 2), (3, 4, 5)], np.arange(6.0).reshape(2, 3), iter([(0, 1, 2), (3, 4, 5)])]
)
def test_clouds_of_places_are_made_from_arrays_and_tuples(points: Any) -> None:
    cloud = create_cloud_xyz32(HEADER, points)
    assert cloud.header == HEADER
    assert cloud.fields == XYZ
    assert not cloud.is_bigendian
    assert cloud.data.tobytes() == struct.pack("<6f", *range(6))


def test_clouds_are_made_without_points_with_padding_and_organised() -> None:
    assert create_cloud_xyz32(HEADER, np.zeros((0, 3), np.float32)).width == 0
    padded = create_cloud(HEADER, XYZ, [(1, 2, 3)], point_step=16)
    assert (padded.point_step, len(padded.data)) == (16, 16)
    organised = create_cloud(HEADER, XYZ, np.arange(18.0).reshape(3, 2, 3))
    assert (organised.width, organised.height, organised.row_step) == (3, 2, 36)
    assert read_points(organised)["x"].tolist() == [0, 3, 6, 9, 12, 15]
    with pytest.raises(AssertionError):
        create_cloud(HEADER, XYZ, np.zeros(2, np.dtype([("x", "<f4")])))


@st.composite
def packed_clouds(draw: st.DrawFn) -> tuple[PointCloud2, dict[str, list[float]]]:
    """Draw a cloud of any fields, with gaps, packed by struct; and what each field holds."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(sorted(CODES)), st.integers(1, 3)), min_size=1))
    big, size = draw(st.booleans()), draw(st.integers(0, 4))
    fields, columns, parts, offset = [], {}, [], 0
    for index, (datatype, count) in enumerate(kinds):
        offset += draw(st.integers(0, 3))
        letter, dtype = CODES[datatype]
        fields.append(PointField(name=f"f{index}", offset=offset, datatype=datatype, count=count))
        if dtype[0] == "f":
            values = st.floats(allow_nan=False, width=8 * int(dtype[1]))  # type: ignore[arg-type]
        else:
            values = st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        for part in range(count):
            name = f"f{index}_{part}" if count > 1 else f"f{index}"
            columns[name] = draw(st.lists(values, min_size=size, max_size=size))
            parts.append((offset, ("<", ">")[big] + letter, columns[name]))
            offset += struct.calcsize(letter)
    point_step = offset + draw(st.integers(0, 5))
    data = bytearray(size * point_step)
    for start, code, column in parts:
        for row, value in enumerate(column):
            struct.pack_into(code, data, row * point_step + start, value)
    return cloud_of(fields, bytes(data), point_step, is_bigendian=big), columns


@given(packed_clouds())
def test_any_layout_gives_the_numbers_that_were_packed(
    drawn: tuple[PointCloud2, dict[str, list[float]]],
) -> None:
    cloud, columns = drawn
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    assert dtype.itemsize == cloud.point_step
    points = read_points(cloud)
    assert points.dtype == dtype
    assert set(points.dtype.names) == set(columns)
    for name, column in columns.items():
        assert points[name].tolist() == column
