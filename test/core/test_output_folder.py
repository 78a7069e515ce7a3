from __future__ import annotations

import os
from pathlib import Path

import pytest

from lircdepth_core.errors import InputError
from lircdepth_core.output_folder import output_folder


def test_it_is_there_while_the_work_goes_on_and_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with output_folder(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b").is_dir()


def test_work_that_fails_leaves_no_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "a" / "b" / "c"):
        raise ZeroDivisionError
    assert [*tmp_path.rglob("*")] == [tmp_path / "a"]


def test_work_that_fails_loses_nothing(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "a" / "b" / "result").write_text("half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a" / "b"):
        work()
    assert (tmp_path / "a" / "b" / "result").is_file()


@pytest.mark.parametrize("name", ["file", "file/below", "file/below/it"])
def test_a_file_in_the_way_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    message = f"^{tmp_path / name}: cannot be made, {file} is a file; choose another folder$"
    with pytest.raises(InputError, match=message), output_folder(tmp_path / name):
        pytest.fail("the work began")
    assert file.read_text() == "mine"


def test_other_obstacles_are_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("n" * 300, "link"):
        with (
            pytest.raises(InputError, match=r"cannot be made.*; choose another folder$"),
            output_folder(tmp_path / name),
        ):
            pytest.fail("the work began")


def test_a_folder_that_may_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, so the answer is made up.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    message = f"^{tmp_path}: cannot be written to; change its permissions or choose another"
    with pytest.raises(InputError, match=message), output_folder(tmp_path):
        pytest.fail("the work began")
