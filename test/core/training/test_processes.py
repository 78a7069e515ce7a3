"""Several processes learn what one would."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_rig import run_tiny

from lircdepth_core.errors import InputError
from lircdepth_core.training import learner, loop
from lircdepth_core.training import processes as processes_module
from lircdepth_core.training.checkpoints import Checkpoints, read_checkpoint
from lircdepth_core.training.data import load
from lircdepth_core.training.disturbed_batches import DisturbedBatches
from lircdepth_core.training.processes import joined
from lircdepth_core.training.stopping import Stop

REFUSED = 3


def as_rank(number: int, port: int) -> None:
    """Take the environment that torchrun gives one of two processes."""
    os.environ |= {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def rank(
    number: int, port: int, config: Path, out: Path, changes: list[str], max_steps: int | None
) -> None:
    """One of two processes that learn."""
    as_rank(number, port)
    try:
        run_tiny(config, out, changes, max_steps=max_steps)
    except InputError as error:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"error-{number}").write_text(str(error))
        sys.exit(REFUSED)


def run_two(
    config: Path, out: Path, changes: list[str], max_steps: int | None = None, exit_code: int = 0
) -> None:
    in_two(rank, (config, out, changes, max_steps), exit_code)


def in_two(target: Callable[..., None], arguments: tuple[Any, ...], exit_code: int = 0) -> None:
    """Two processes do the same, each given its number, a port for both, and the arguments."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=target, args=(number, port, *arguments)) for number in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    exit_codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()  # one that hangs would be waited for when pytest ends
    assert exit_codes == [exit_code] * 2


def assert_same_parameters(one: Path, other: Path) -> None:
    """But for the running statistics of BN, which each process takes of its own batches."""
    expected, found = tensors(one), tensors(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


def tensors(out: Path) -> dict[str, torch.Tensor]:
    path = Checkpoints(out / "checkpoints", 1).newest()
    assert path is not None
    return dict(read_checkpoint(path).tensors)


def logged(out: Path, event: str, name: str) -> list[float]:
    records = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [record[name] for record in records if record["event"] == event]


@pytest.fixture(autouse=True)
def no_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the network's dropout: what a process draws for itself is its own."""
    monkeypatch.setattr("torch.nn.functional.dropout", lambda values, *_: values)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_learn_what_one_does_that_accumulates_their_batches(
    accumulate, tiny_config, tmp_path
):
    one, two = tmp_path / "one", tmp_path / "two"
    run_tiny(tiny_config, one, ["length.steps=4", f"optimiser.accumulate={2 * accumulate}"])
    run_two(tiny_config, two, ["length.steps=4", f"optimiser.accumulate={accumulate}"])
    assert_same_parameters(one, two)
    assert logged(two, "step", "total") == pytest.approx(logged(one, "step", "total"), rel=1e-4)
    assert logged(two, "validation", "images") == [5]


def test_a_run_goes_on_with_other_processes_that_make_the_same_updates(tiny_config, tmp_path):
    changes = ["length.steps=5", "optimiser.accumulate=2"]
    run_tiny(tiny_config, tmp_path / "one", changes)
    run_two(tiny_config, tmp_path / "other", ["length.steps=5"], max_steps=3)
    run_tiny(tiny_config, tmp_path / "other", changes)
    assert logged(tmp_path / "other", "resume", "step") == [3]
    assert_same_parameters(tmp_path / "one", tmp_path / "other")
    with pytest.raises(InputError, match="updates with 4 images, now it would be 2"):
        run_tiny(tiny_config, tmp_path / "other", ["length.steps=5"])


@pytest.mark.parametrize("of", ["the first look", "training", "validation"])
def test_a_sample_that_one_process_cannot_read_stops_all_with_its_name(
    of, tiny_config, tmp_path, monkeypatch
):
    uses = []

    def damaged(source, workers, device):
        validates = "validation" if "the first look" in uses else "the first look"
        uses.append("training" if isinstance(source, DisturbedBatches) else validates)
        if os.environ["RANK"] == "1" and uses[-1] == of:
            raise InputError("scene-1.tar: sample-7 is damaged")
            yield
        yield from load(source, workers, device)

    monkeypatch.setattr(loop, "load", damaged)
    out = tmp_path / "run"
    run_two(tiny_config, out, ["length.steps=2"], exit_code=REFUSED)
    assert (out / "error-1").read_text() == "scene-1.tar: sample-7 is damaged"
    assert (out / "error-0").read_text() == "another process could not go on; see its error"


def test_processes_that_find_other_checkpoints_do_not_go_on(tiny_config, tmp_path, monkeypatch):
    out = tmp_path / "run"
    run_two(tiny_config, out, ["length.steps=4"], max_steps=3)
    real = Checkpoints.newest

    def newest(checkpoints):
        return None if os.environ.get("RANK") == "1" else real(checkpoints)

    monkeypatch.setattr(Checkpoints, "newest", newest)
    run_two(tiny_config, out, ["length.steps=4"], exit_code=REFUSED)
    for number in (0, 1):
        assert "do not find the same checkpoint" in (out / f"error-{number}").read_text()


def stopped(number: int, port: int, config: Path, out: Path) -> None:
    """One of two processes; the second gets a signal."""
    as_rank(number, port)
    outcome = run_tiny(config, out)
    (out / f"stopped-{number}").write_text(str(outcome.stopped_by))


def test_a_signal_to_one_process_stops_all_with_the_same_reason(tiny_config, tmp_path, monkeypatch):
    out = tmp_path / "run"
    real = Stop.reason

    def reason(stop, step):
        if os.environ["RANK"] == "1" and step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(stop, step)

    monkeypatch.setattr(Stop, "reason", reason)
    in_two(stopped, (tiny_config, out))
    assert [(out / f"stopped-{number}").read_text() for number in (0, 1)] == ["SIGTERM"] * 2
    assert logged(out, "end", "step") == [3]


@pytest.mark.parametrize(
    ("variables", "devices", "own"),
    [
        ({"LOCAL_RANK": "1"}, 2, 1),
        ({"SLURM_LOCALID": "1"}, 2, 1),
        ({"SLURM_LOCALID": "3"}, 1, 0),  # --gpus-per-task=1: each task sees its own alone
    ],
)
def test_each_process_takes_its_own_card(variables, devices, own, monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes_module, "cuda_devices", lambda: devices)
    assert processes_module._own_cuda_device() == own


def test_more_processes_than_cards_are_told_so(monkeypatch):
    """Not to give auto, which was given."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(processes_module, "cuda_devices", lambda: 1)
    with pytest.raises(InputError, match="there are 1; start as many processes as that, or give"):
        processes_module._own_cuda_device()


def test_a_device_for_all_processes_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = r"--device cuda:1: all 2 processes.* give cuda"
    with pytest.raises(InputError, match=words), joined("cuda:1"):
        pass


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WORLD_SIZE": "two"}, r"\$WORLD_SIZE: 'two' is no number; start .* with torchrun"),
        ({}, r"cannot find each other \(.*MASTER_ADDR.*start them with torchrun"),
        ({"gpus": "1"}, r"\$LOCAL_RANK: not set, but \$RANK is; start .* with torchrun"),
    ],
)
def test_what_torchrun_would_set_is_missed_in_a_line(changes, words, monkeypatch):
    """As with Slurm scripts and operators that set RANK and WORLD_SIZE alone."""
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    gpus = int(changes.get("gpus", 0))
    monkeypatch.setattr("lircdepth_core.training.processes.cuda_devices", lambda: gpus)
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", **changes}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=words), joined("auto"):
        pass


def average(number: int, port: int, out: Path) -> None:
    """One of two processes whose running means are its number."""
    as_rank(number, port)
    norm = torch.nn.BatchNorm2d(1)
    norm.running_mean.fill_(number)
    norm.num_batches_tracked.fill_(7)
    with joined("cpu") as processes:
        processes.average_statistics(norm)
    torch.save(norm.state_dict(), out / f"{number}.pt")


def test_running_statistics_become_the_mean_of_all_processes(tmp_path):
    in_two(average, (tmp_path,))
    for number in (0, 1):
        norm = torch.load(tmp_path / f"{number}.pt")
        assert (norm["running_mean"].item(), norm["running_var"].item()) == (0.5, 1.0)
        assert norm["num_batches_tracked"].item() == 7  # a number of batches, and no mean


def test_what_is_not_finite_in_one_process_stops_all_with_its_name(
    tiny_config, tmp_path, monkeypatch
):
    real = learner.moved

    def spoiled(batch, device):
        batch = real(batch, device)
        if os.environ["RANK"] == "1":
            batch.dense[:] = float("inf")
        return batch

    monkeypatch.setattr(learner, "moved", spoiled)
    out = tmp_path / "run"
    run_two(tiny_config, out, ["length.steps=2"], exit_code=REFUSED)
    fault = (out / "error-1").read_text()
    assert fault.startswith("step 1: the loss term depth is not finite for ")
    other = (out / "error-0").read_text()
    assert other.startswith("step 1: a loss term of another process is not finite; ")
