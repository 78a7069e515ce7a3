"""A run that was killed ends as one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from training_rig import CONFIG, run_tiny, write_shards

from lircdepth_core.dataset.reader import TrainingBatches
from lircdepth_core.errors import InputError
from lircdepth_core.sole_process import sole_process
from lircdepth_core.training import validation
from lircdepth_core.training.checkpoints import Checkpoints, read_checkpoint
from lircdepth_core.training.config import TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.learner import Learner


def parameters(out: Path) -> dict[str, torch.Tensor]:
    newest = Checkpoints(out / "checkpoints", 1).newest()
    assert newest is not None
    return dict(read_checkpoint(newest).tensors)


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


RUN = """
import sys
from pathlib import Path
import torch
from training_rig import run_tiny
config, out, threads, *changes = sys.argv[1:]
torch.set_num_threads(int(threads))
run_tiny(Path(config), Path(out), changes, 0.1)
"""


def start(
    config: Path, out: Path, *changes: str, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    """The run as a process of its own, in a group of its own, whose updates take 0.1 s."""
    # Not forked: a fork has none of the threads that libraries of other tests may have begun here.
    return subprocess.Popen(
        [sys.executable, "-c", RUN, config, out, str(torch.get_num_threads()), *changes],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=stderr,
        start_new_session=True,
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def events(out: Path) -> list[tuple[str, int]]:
    records = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [(record["event"], record["step"]) for record in records]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_killed_and_resumed_run_ends_with_the_same_parameters_bit_by_bit(
    workers, tiny_config, tmp_path
):
    changes = [f"data.workers={workers}"]
    process = start(tiny_config, tmp_path / "killed", *changes)
    # Step 8 is in the second epoch, and comes after the validation at step 4.
    wait_for(tmp_path / "killed" / "checkpoints" / "step-000000008.safetensors", process)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    outcome = run_tiny(tiny_config, tmp_path / "killed", changes)
    assert outcome.progress.step == outcome.total_steps == 10
    run_tiny(tiny_config, tmp_path / "whole")
    assert_equal(parameters(tmp_path / "killed"), parameters(tmp_path / "whole"))
    found = events(tmp_path / "killed")
    assert ("resume", 8) in found
    without = [event for event in found if event[0] != "resume"]
    assert without == events(tmp_path / "whole")


@pytest.mark.parametrize("send", [os.kill, os.killpg])  # the loader process too, as systemd does
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint(number, send, tiny_config, tmp_path):
    process = start(tiny_config, tmp_path / "out", "data.workers=1")
    wait_for(tmp_path / "out" / "checkpoints" / "step-000000003.safetensors", process)
    send(process.pid, number)
    assert process.wait(60) == 0
    step = Checkpoints(tmp_path / "out" / "checkpoints", 1).steps()[-1]
    assert step < 10
    assert events(tmp_path / "out")[-1] == ("end", step)
    run_tiny(tiny_config, tmp_path / "out")
    run_tiny(tiny_config, tmp_path / "whole")
    assert_equal(parameters(tmp_path / "out"), parameters(tmp_path / "whole"))


def test_an_error_of_a_sample_does_not_wait_for_loader_processes(tiny_config, tmp_path):
    process = start(
        tiny_config,
        tmp_path / "out",
        "data.workers=2",
        "data.focal_length=1",
        stderr=subprocess.PIPE,
    )
    # They would go on for a minute after a signal from elsewhere.
    _, error = process.communicate(timeout=40)
    assert process.returncode != 0
    assert b"1x1 at this focal length" in error


@pytest.mark.parametrize(("step", "batch"), [(4, 2), (10, 8)])  # of three in each validation
def test_a_validation_is_broken_off_by_a_signal_and_made_up_for(
    step, batch, tiny_config, tmp_path, monkeypatch
):
    """It takes long, and its loader processes end a minute after a signal to all."""
    real, seen = validation.moved, []

    def moved(images, device):
        seen.append(images)
        if len(seen) == batch:
            signal.raise_signal(signal.SIGTERM)
        return real(images, device)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(validation, "moved", moved)
        outcome = run_tiny(tiny_config, out)
    assert (outcome.stopped_by, outcome.progress.step) == ("SIGTERM", step)
    assert Checkpoints(out / "checkpoints", 1).steps()[-1] == step
    assert ("validation", step) not in events(out)
    outcome = run_tiny(tiny_config, out)
    whole = run_tiny(tiny_config, tmp_path / "whole")
    assert outcome == whole
    assert_equal(parameters(out), parameters(tmp_path / "whole"))
    validations = [event for event in events(out) if event[0] == "validation"]
    assert validations == [("validation", number) for number in (4, 8, 10)]
    # Once it has ended it does nothing more.
    assert run_tiny(tiny_config, out) == whole
    assert events(out)[-2:] == [("resume", 10), ("end", 10)]


def test_a_checkpoint_that_does_not_tell_what_was_validated_is_gone_on_from(tiny_config, tmp_path):
    """As those of before; theirs came after the validation of their step."""
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=4)
    checkpoints = Checkpoints(out / "checkpoints", 1)
    newest = checkpoints.newest()
    assert newest is not None
    checkpoint = read_checkpoint(newest)
    del checkpoint.values["progress"]["validated"]
    checkpoints.write(4, checkpoint)
    run_tiny(tiny_config, out)
    validations = [event for event in events(out) if event[0] == "validation"]
    assert validations == [("validation", number) for number in (4, 8, 10)]


def test_what_was_chosen_after_the_checkpoint_that_is_gone_on_from_is_chosen_no_longer(
    tiny_config, tmp_path
):
    out, changes = tmp_path / "out", ["record.keep=9", "optimiser.learning_rate=1e-9"]
    chosen = run_tiny(tiny_config, out, changes, max_steps=6).progress.chosen
    assert chosen is not None
    assert chosen.step == 4
    run_tiny(tiny_config, out, [*changes, "record.choose=last"], max_steps=8)
    folder = out / "checkpoints"
    (folder / "step-000000008.safetensors").unlink()  # chosen.safetensors is of that
    outcome = run_tiny(tiny_config, out, changes, max_steps=7)
    assert outcome.progress.chosen is None
    chosen = run_tiny(tiny_config, out, changes).progress.chosen
    assert chosen is not None
    assert chosen.step == 8
    # At its end, too: the last validation is done again.
    (folder / "chosen.safetensors").unlink()
    chosen = run_tiny(tiny_config, out, changes).progress.chosen
    assert chosen is not None
    assert chosen.step == 10
    assert events(out).count(("validation", 10)) == 1
    for path in folder.glob("step-*"):
        path.unlink()
    with pytest.raises(InputError, match=r"another data\.batch_size"):
        run_tiny(tiny_config, out, [*changes, "data.batch_size=1"])


def test_a_validation_whose_checkpoint_could_not_be_written_is_logged_once(
    tiny_config, tmp_path, monkeypatch
):
    out, real, written = tmp_path / "out", Checkpoints.write, []

    def write(self, step, *arguments, **options):
        written.append(step)
        if written.count(4) == 2:  # that before its validation, and that after it
            raise InputError("disk full")
        return real(self, step, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write", write)
        with pytest.raises(InputError, match="disk full"):
            run_tiny(tiny_config, out)
    assert ("validation", 4) in events(out)
    run_tiny(tiny_config, out)
    assert events(out).count(("validation", 4)) == 1


def test_before_the_first_checkpoint_anything_may_be_changed(tiny_config, tmp_path, monkeypatch):
    """As where the memory was too small for the batches."""

    def lacking(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "add", lacking)
        words = "step 1: cpu has too little memory for a batch of 2 images.*lower data.batch_size"
        with pytest.raises(InputError, match=words):
            run_tiny(tiny_config, out)
    changes = ["data.batch_size=1", "length.steps=3"]
    assert run_tiny(tiny_config, out, changes).progress.step == 3
    with pytest.raises(InputError, match=r"another data\.batch_size"):
        run_tiny(tiny_config, out, ["length.steps=3"])


def test_another_configuration_is_not_mixed_in(tiny_config, tmp_path):
    run_tiny(tiny_config, tmp_path / "out", ["length.steps=2"])
    with pytest.raises(InputError, match=r"another optimiser\.eps"):
        run_tiny(tiny_config, tmp_path / "out", ["length.steps=2", "optimiser.eps=1e-3"])
    outcome = run_tiny(tiny_config, tmp_path / "out", ["length.steps=2", "record.keep=1"])
    assert outcome.progress.step == 2


def test_a_lower_learning_rate_is_told_and_gone_on_with(tiny_config, tmp_path, capsys):
    """As after a loss that was not finite."""
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=3)
    capsys.readouterr()
    changes = ["optimiser.learning_rate=1e-4", "optimiser.clip_norm=1"]
    run_tiny(tiny_config, out, changes)
    told = capsys.readouterr().out
    assert f"{out}: goes on with another optimiser.learning_rate, optimiser.clip_norm\n" in told
    rates = [
        record["learning_rate"]
        for record in map(json.loads, (out / "log.jsonl").read_text().splitlines())
        if record["event"] == "step"
    ]
    assert rates[0] > 1e-3
    assert rates[-1] <= 1e-4
    capsys.readouterr()
    run_tiny(tiny_config, out, changes)
    assert "another" not in capsys.readouterr().out


def test_data_that_were_moved_are_gone_on_with_and_others_are_not(tiny_config, tmp_path):
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=3)
    data = read_config(TrainingConfig, tiny_config).data
    shutil.copytree(data.train[0], tmp_path / "scratch" / "train")
    moved = [f"data.train=[{tmp_path}/scratch/train]"]
    assert run_tiny(tiny_config, out, moved, max_steps=5).progress.step == 5
    samples = sum(count for _, count, _ in TrainingBatches(data.train, data.spec, 2).content())
    config = (out / "config.yaml").read_text()
    write_shards(tmp_path / "others", [samples - 1, 1])
    larger = Path(shutil.copytree(data.train[0], tmp_path / "larger"))  # more radars in it, say
    with next(larger.glob("*.tar")).open("ab") as file:
        file.write(bytes(10240))
    for others in ("others", "larger"):
        with pytest.raises(InputError, match="of a run on shards of other names, sizes or order"):
            run_tiny(tiny_config, out, [f"data.train=[{tmp_path}/{others}]"])
    assert (out / "config.yaml").read_text() == config


def test_one_that_is_not_to_go_further_does_not(tiny_config, tmp_path):
    for _ in range(3):
        assert run_tiny(tiny_config, tmp_path / "out", max_steps=3).progress.step == 3


def test_two_runs_do_not_work_in_one_folder(tiny_config, tmp_path):
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=3)
    config = (out / "config.yaml").read_text()
    with sole_process(out), pytest.raises(InputError, match="another process works there"):
        run_tiny(tiny_config, out, ["optimiser.learning_rate=1e-4"])
    assert (out / "config.yaml").read_text() == config
    assert run_tiny(tiny_config, out).progress.step == 10
    assert not (out / ".lock").exists()


@pytest.mark.parametrize(
    "values", ["[1]", "3", '{"format": 2}', '{"format": 2, "images_per_step": 2}']
)
def test_a_checkpoint_of_something_else_is_said(values, tiny_config, tmp_path):
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=3)
    newest = Checkpoints(out / "checkpoints", 1).newest()
    assert newest is not None
    save_file(dict(read_checkpoint(newest).tensors), newest, {"training": values})
    with pytest.raises(InputError, match=rf"{newest.name}: no.* checkpoint.*; delete it to go on"):
        run_tiny(tiny_config, out)


def test_a_log_that_is_damaged_is_gone_on_with(tiny_config, tmp_path):
    out = tmp_path / "out"
    run_tiny(tiny_config, out, max_steps=3)
    whole = events(out)
    damage = b'[]\n3\n\xff\n{"step": [1]}\n{"step": ' + b"9" * 400 + b"}\n" + b"[" * 100_000 + b"\n"
    with (out / "log.jsonl").open("ab") as file:
        file.write(damage)
    run_tiny(tiny_config, out, max_steps=6)
    assert events(out)[: len(whole)] == whole
    assert events(out)[-1][1] == 6


def test_a_run_does_not_go_on_with_other_samples(tiny_data, tmp_path):
    shutil.copytree(tiny_data, tmp_path / "data")
    config, out = tmp_path / "tiny.yaml", tmp_path / "out"
    config.write_text(CONFIG.format(folder=tmp_path / "data"))
    run_tiny(config, out, max_steps=3)
    index = tmp_path / "data" / "train" / "index.json"
    fewer = json.loads(index.read_text())
    del fewer["shards"][0]
    index.write_text(json.dumps(fewer))
    with pytest.raises(
        InputError, match=r"^\S+3\.safetensors: of a run on 11 training samples, now"
    ):
        run_tiny(config, out)


def test_a_run_does_not_go_on_in_another_precision(tiny_config, tmp_path, monkeypatch):
    out, auto = tmp_path / "out", ["optimiser.precision=auto"]
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    run_tiny(tiny_config, out, auto, max_steps=3)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    with pytest.raises(
        InputError, match=r"^\S+3\.safetensors: of a run in fp32, here .*auto is bf16; go on"
    ):
        run_tiny(tiny_config, out, auto)
    monkeypatch.undo()
