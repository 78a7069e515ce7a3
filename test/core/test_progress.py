from __future__ import annotations

import sys
import time

import pytest

from lircdepth_core.progress import Progress


def test_a_log_file_gets_a_line_at_most_every_30_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress("scenes")
    for done in range(1, 101):
        now += 1
        progress(done, 100, ", scene-0001 done")
    assert capsys.readouterr().err.splitlines() == [
        f"{done} of 100 scenes, scene-0001 done" for done in (30, 60, 90)
    ]


def test_a_terminal_gets_one_line_that_is_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress("images")
    for done in (1, 2):
        progress(done, 2)
    assert capsys.readouterr().err == "\r1 of 2 images\x1b[K\r2 of 2 images\x1b[K\n"


def test_a_total_need_not_be_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Progress("images")(7, None)
    assert capsys.readouterr().err == "\r7 images\x1b[K"
