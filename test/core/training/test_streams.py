"""Shards behind a URL are trained on, and a run that goes on says where."""

from __future__ import annotations

import functools
import http.server
import json
import threading

import pytest
from training_rig import tiny_task

from lircdepth_core.errors import InputError
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.loop import train


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(tiny_data):
    handler = functools.partial(QuietHandler, directory=str(tiny_data))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/train/index.json"
        server.shutdown()


def test_a_stream_goes_on_at_a_shard_and_says_so(url, tiny_config, tmp_path, alone):
    config = read_config(TrainingConfig, tiny_config, [f"data.train=[{url}]"])
    lines: list[str] = []
    run = functools.partial(train, config, out=tmp_path / "out", processes=alone)
    outcome = run(tiny_task(), max_steps=7, report=lines.append)
    assert (outcome.progress.epoch, outcome.progress.step_in_epoch) == (1, 2)
    assert not any("streamed" in line for line in lines)
    outcome = run(tiny_task(), report=lines.append)
    assert outcome.progress.step == 10
    assert sum("goes on at the start of a shard" in line for line in lines) == 1
    steps = [json.loads(line)["step"] for line in (tmp_path / "out" / "log.jsonl").open()]
    assert steps == sorted(steps)


def test_a_stream_that_cannot_fill_an_update_is_refused(url, tiny_config, tmp_path, alone):
    # Two workers are dealt 8 and 3 samples, or 7 and 4: a batch for each, but not two updates.
    changes = [f"data.train=[{url}]", "data.workers=2", "optimiser.accumulate=5"]
    config = read_config(TrainingConfig, tiny_config, changes)
    with pytest.raises(InputError, match="lower batch_size, accumulate or workers"):
        train(config, tiny_task(), tmp_path / "out", alone)
