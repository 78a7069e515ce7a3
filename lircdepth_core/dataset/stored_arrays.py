"""NumPy's file formats, read without trust: no more memory than the bytes or a limit allow."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib

import numpy as np

from lircdepth_core.encoded_image import MAX_IMAGE_PIXELS

MAX_MEMBER_BYTES = 4 * MAX_IMAGE_PIXELS + 4096
"""Largest array that is unpacked: depth of the largest image."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""NumPy's own. Of the others Python unpacks more than the file says before it cuts that off."""


def decode_npy(data: bytes) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        ValueError: it is none, or its header says another size than it has.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    # NumPy parses the header as Python, which raises these.
    except (SyntaxError, tokenize.TokenError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"no array: {type(error).__name__} in its header") from error
    start = file.tell()
    # Others, such as texts and records, are not checked by NumPy, or cannot be made into numbers.
    if dtype.kind not in "biuf" or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"no array of numbers: {dtype}, shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"{len(data) - start} bytes of data for {dtype} of shape {shape}")
    values = np.frombuffer(data, dtype, offset=start) if math.prod(shape) else np.empty(0, dtype)
    return values.reshape(shape, order="F" if fortran else "C").copy()


def decode_npz_member(data: bytes, name: str) -> np.ndarray:
    """An array of an .npz file, by its name.

    Raises:
        ValueError: there is none, it is damaged, or larger than `MAX_MEMBER_BYTES` unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > MAX_MEMBER_BYTES:
                raise ValueError(f"{name} would unpack to {member.file_size} bytes")
            if member.compress_type not in _METHODS:
                raise ValueError(f"{name} is packed by method {member.compress_type}")
            content = archive.read(member)
    except (
        KeyError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"no array {name}: {error}") from error
    return decode_npy(content)
