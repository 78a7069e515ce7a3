"""How many processors this process may use."""

import argparse
import os
import subprocess
import sys

import pytest

from lircdepth_core.processors import usable_processors


def test_a_process_that_is_bound_to_one_processor_has_one():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from lircdepth_core.processors import usable_processors; print(usable_processors())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_where_it_cannot_be_asked_there_are_as_many_as_the_machine_has(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert usable_processors() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors() == 1


def test_workers_are_as_many_by_default(monkeypatch):
    pytest.importorskip("webdataset", reason="needs the extra 'train'")
    from lircdepth_core.dataset import prepare

    monkeypatch.setattr(prepare, "usable_processors", lambda: 3)
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    assert parser.parse_args(["DATA", "OUT"]).workers == 3
