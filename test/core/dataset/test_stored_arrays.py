from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from lircdepth_core.dataset import stored_arrays
from lircdepth_core.dataset.stored_arrays import decode_npy, decode_npz_member


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.empty((0, 7), np.float32),
        np.array(3.0),
    ],
)
def test_what_numpy_saved_is_read_and_may_be_changed(values):
    found = decode_npy(npy(values))
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    assert found.shape == values.shape
    assert found.flags.writeable


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"(2, 3)", b"(9, 9)"),
        lambda data: data.replace(b"(2, 3)", b"(2, (("),
        lambda data: data.replace(b"(2, 3)", b"(-2,3)"),
        lambda data: data.replace(b"'<f4'", b"'|O' "),
        lambda data: b"",
        lambda data: data[:6] + b"\x03" + data[7:],
    ],
    ids=["cut", "size", "header", "negative", "objects", "empty", "version"],
)
def test_a_damaged_array_is_a_value_error(damage):
    with pytest.raises(ValueError):  # noqa: PT011
        decode_npy(damage(npy(np.ones((2, 3), np.float32))))


@pytest.mark.parametrize(
    "values",
    [
        np.array(["ab"]),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", "f4"), ("b", "f4")]),
        np.zeros(1, "V4"),
    ],
    ids=["texts", "times", "records", "bytes"],
)
def test_what_are_no_numbers_is_a_value_error(values):
    with pytest.raises(ValueError, match="no array of numbers"):
        decode_npy(npy(values))


def test_an_archive_damaged_anywhere_is_a_value_error_or_an_array():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("depth.npy", npy(np.zeros((20, 20), np.float32)))
    whole = file.getvalue()
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            decode_npz_member(bytes(damaged), "depth")
        except ValueError:
            refused += 1
    assert refused > 50


def test_an_array_that_would_unpack_to_too_much_is_not_unpacked(monkeypatch):
    file = io.BytesIO()
    np.savez_compressed(file, depth=np.zeros((100, 100), np.float32))
    assert decode_npz_member(file.getvalue(), "depth").shape == (100, 100)
    monkeypatch.setattr(stored_arrays, "MAX_MEMBER_BYTES", 40_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match="would unpack to 40128 bytes"):
        decode_npz_member(file.getvalue(), "depth")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bz2", "lzma"])
def test_what_numpy_does_not_pack_so_is_not_unpacked(kind):
    # Python would unpack the whole, whatever size the archive tells.
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("depth.npy", npy(np.zeros((20, 20), np.float32)))
    with pytest.raises(ValueError, match="depth is packed by method 1"):
        decode_npz_member(file.getvalue(), "depth")


def test_a_name_that_is_not_there_is_a_value_error():
    file = io.BytesIO()
    np.savez(file, other=np.zeros(3))
    with pytest.raises(ValueError, match="no array depth"):
        decode_npz_member(file.getvalue(), "depth")
