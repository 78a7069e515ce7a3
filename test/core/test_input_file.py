from __future__ import annotations

import os
from pathlib import Path

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.input_file import read_input_file


def test_a_regular_file_is_read_up_to_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_input_file(path, 5) == b"12345"
    with pytest.raises(InputError, match=rf"{path}: 5 bytes, more than 4"):
        read_input_file(path, 4)
    (tmp_path / "link").symlink_to(path)
    assert read_input_file(tmp_path / "link", 5) == b"12345"


def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(InputError, match=rf"{path}: a pipe or a device"):
            read_input_file(path, 10)


def test_what_is_missing_or_a_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_input_file(tmp_path / "none", 10)
    with pytest.raises(IsADirectoryError):
        read_input_file(tmp_path, 10)


def test_a_file_that_grows_meanwhile_is_no_larger_than_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"123")
    real, calls = os.fstat, []

    def grow(descriptor: int) -> os.stat_result:
        calls.append(descriptor)
        if len(calls) == 2:
            path.write_bytes(b"12345")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(InputError, match="more than 4 bytes"):
        read_input_file(path, 4)
