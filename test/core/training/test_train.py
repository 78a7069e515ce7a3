"""What a run writes, when it stops, and what it refuses."""

from __future__ import annotations

import json
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from evaluation_rig import make_sample, write_shard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from training_rig import TinyNetwork, TinyTask, tiny_task

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.distillation import StudentTask, StudentTaskConfig, TaskLosses
from lircdepth_core.errors import InputError
from lircdepth_core.network import Student
from lircdepth_core.training import loop
from lircdepth_core.training.checkpoints import Checkpoints, read_checkpoint
from lircdepth_core.training.config import Optimiser, TrainingConfig
from lircdepth_core.training.config_files import read_config
from lircdepth_core.training.data import load
from lircdepth_core.training.learner import Learner, NotFiniteError, part
from lircdepth_core.training.loop import BrokenOffError, train
from lircdepth_core.training.meter import Meter
from lircdepth_core.training.processes import Processes
from lircdepth_core.training.records import Records
from lircdepth_core.training.stopping import Stop
from lircdepth_core.training.validation import validate

ALONE = Processes(0, 1, torch.device("cpu"))


def log(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def run(task, config: Path, out: Path, *changes: str, lines: list[str] | None = None):
    report = (lines if lines is not None else []).append
    return train(read_config(TrainingConfig, config, changes), task, out, ALONE, report=report)


def test_the_last_validated_parameters_can_be_the_result(tiny_config, tmp_path):
    """A rate far too high at first makes an early validation the best."""
    outcomes = {}
    for choose in ("lowest_mae", "last"):
        settings = ["length.steps=12", "optimiser.learning_rate=3", f"record.choose={choose}"]
        outcomes[choose] = run(tiny_task(), tiny_config, tmp_path / choose, *settings)
    maes = {r["step"]: r["mae"] for r in log(tmp_path / "last") if r["event"] == "validation"}
    best = min(maes, key=maes.__getitem__)
    assert best != 12, "this test needs a run whose last validation is not its best"
    for choose, step in (("lowest_mae", best), ("last", 12)):
        chosen = outcomes[choose].progress.chosen
        assert chosen is not None
        assert (chosen.step, chosen.mae) == (step, maes[step])
        kept = read_checkpoint(Checkpoints(tmp_path / choose / "checkpoints", 2).chosen)
        assert kept.values["progress"]["step"] == step


def test_a_run_learns_and_writes_what_it_did(tiny_config, tmp_path):
    lines: list[str] = []
    outcome = run(tiny_task(), tiny_config, tmp_path / "out", "length.steps=30", lines=lines)
    assert (outcome.stopped_by, outcome.progress.step, outcome.progress.image_steps) == (
        None, 30, 60,
    )  # fmt: skip
    assert outcome.progress.epoch == 5
    records = log(tmp_path / "out")
    assert [r["event"] for r in records[:3]] == ["start", "step", "step"]
    steps = [r for r in records if r["event"] == "step"]
    assert [r["step"] for r in steps] == list(range(2, 31, 2))
    assert steps[-1]["depth"] < steps[0]["depth"]
    assert steps[-1]["total"] == pytest.approx(steps[-1]["depth"])
    assert steps[3]["learning_rate"] == pytest.approx(1e-2 * (0.9 * (1 - 7 / 30) ** 0.9 + 0.1))
    assert all(0 <= r["wait_share"] <= 1 and r["images_per_second"] > 0 for r in steps)
    validations = [r for r in records if r["event"] == "validation"]
    assert [r["step"] for r in validations] == [4, 8, 12, 16, 20, 24, 28, 30]
    best = min(validations, key=lambda r: r["mae"])
    assert outcome.progress.chosen is not None
    assert (outcome.progress.chosen.step, outcome.progress.chosen.mae) == (
        best["step"],
        best["mae"],
    )
    found = Checkpoints(tmp_path / "out" / "checkpoints", 2)
    assert found.steps() == [28, 30]
    assert read_checkpoint(found.chosen).values["progress"]["step"] == best["step"]
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    events.Reload()
    shown = {event.step: event.value for event in events.Scalars("step/depth")}
    assert shown == pytest.approx({r["step"]: r["depth"] for r in steps})
    shown = [event.value for event in events.Scalars("validation/mae")]
    assert shown == pytest.approx([r["mae"] for r in validations])
    assert any("images/s" in line and "left" in line for line in lines)
    saved = read_config(TrainingConfig, tmp_path / "out" / "config.yaml")
    assert saved == read_config(TrainingConfig, tiny_config, ["length.steps=30"])


def test_it_stops_after_a_step_or_when_the_time_is_up_and_goes_on(tiny_config, tmp_path):
    config = read_config(TrainingConfig, tiny_config)
    outcome = train(config, tiny_task(), tmp_path / "out", ALONE, max_steps=7, report=str)
    assert (outcome.stopped_by, outcome.progress.step) == ("max steps", 7)
    outcome = train(config, tiny_task(), tmp_path / "out", ALONE, time_limit=1e-9, report=str)
    assert (outcome.stopped_by, outcome.progress.step) == ("time limit", 8)
    outcome = train(
        config, tiny_task(), tmp_path / "out", ALONE, time_limit=1e-9, max_steps=8, report=str
    )
    assert (outcome.stopped_by, outcome.progress.step) == ("max steps", 8)
    outcome = train(config, tiny_task(), tmp_path / "out", ALONE, time_limit=600, report=str)
    assert (outcome.stopped_by, outcome.progress.step) == (None, 10)
    outcome = train(config, tiny_task(), tmp_path / "out", ALONE, report=str)
    assert (outcome.stopped_by, outcome.progress.step) == (None, 10)
    steps = [r["step"] for r in log(tmp_path / "out") if r["event"] == "resume"]
    assert steps == [7, 8, 8, 10]


def test_ctrl_c_later_on_ends_at_once():
    stop = Stop()
    with stop.heeding_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # torchrun passes it on at once
        assert stop.reason(0) == "Ctrl-C"
        stop._noted -= 3
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


class FailingTask(TinyTask):
    """From its fifth batch on, a term of the second sample is NaN, or so is a gradient."""

    def __init__(self, network: nn.Module, fails: str) -> None:
        super().__init__(network)
        self._fails, self._batches = fails, 0

    def __call__(self, batch: Batch) -> TaskLosses:
        self._batches += 1
        losses = super().__call__(batch)
        if self._batches < 5:
            return losses
        if self._fails == "term":
            smooth = torch.tensor([1.0, torch.nan])
            return TaskLosses(losses.total, {**losses.per_sample, "smooth": smooth})
        zero = (self.network.decoder.bias * 0).sum()
        return TaskLosses(losses.total + torch.sqrt(zero) * 0, losses.per_sample)


@pytest.mark.parametrize(
    ("fails", "named"), [("term", "loss term smooth"), ("gradient", "gradient of decoder.bias")]
)
def test_what_is_not_finite_is_named_and_the_last_good_checkpoint_is_kept(
    fails, named, tiny_config, tmp_path
):
    task = FailingTask(TinyNetwork(), fails)
    with pytest.raises(InputError) as error:
        run(task, tiny_config, tmp_path / "out")
    assert f"step 5: the {named} is not finite" in str(error.value)
    found = Checkpoints(tmp_path / "out" / "checkpoints", 2)
    assert found.steps() == [3, 4]
    assert str(found.newest()) in str(error.value)
    if fails == "term":
        batches = TrainingBatches(
            read_config(TrainingConfig, tiny_config).data.train,
            InputSpec(32, 64, 200.0),
            2,
            seed=5,
        )
        keys = list(batches)[4].keys
        assert keys[1] in str(error.value)
        assert keys[0] not in str(error.value)


def test_nan_in_the_real_losses_is_named(tiny_config):
    student = Student()
    student.decoder.get_depth[0].weight.data.fill_(torch.nan)
    config = read_config(TrainingConfig, tiny_config)
    loss = StudentTaskConfig().without_distillation()
    learner = Learner(StudentTask(student, None, loss), config.optimiser, ALONE, 0)
    batches = TrainingBatches(config.data.train, InputSpec(32, 64, 200.0), 2, seed=5)
    learner.begin(0, 1e-3)
    with pytest.raises(NotFiniteError, match=r"loss term depth_dense is not finite for scene-"):
        learner.add(next(iter(batches)), last=True)


def test_fp16_stops_when_no_scale_makes_the_gradient_finite(monkeypatch):
    monkeypatch.setattr("lircdepth_core.training.learner.usable_precision", lambda *_: "fp16")
    task = FailingTask(TinyNetwork(), "gradient")
    learner = Learner(task, Optimiser(precision="fp16", ema_decay=0.5), ALONE, 0)
    before = learner.network.decoder.bias.clone()
    learner.network.decoder.bias.grad = torch.full_like(before, torch.inf)

    def update(step: int) -> None:
        learner.begin(step, 1e-3)
        learner.network.decoder.bias.grad = torch.full_like(before, torch.inf)
        learner._scaler.scale(torch.ones(()))  # as a loss does
        learner.finish()

    for step in range(30):
        update(step)
    assert torch.equal(learner.network.decoder.bias, before)
    with pytest.raises(NotFiniteError, match=r"gradient of decoder\.bias"):
        update(30)


def test_a_gradient_whose_norm_overflows_names_the_largest():
    learner = Learner(FailingTask(TinyNetwork(), "gradient"), Optimiser(), ALONE, 0)
    learner.begin(0, 1e-3)
    for parameter in learner.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    learner.network.decoder.weight.grad = torch.full_like(learner.network.decoder.weight, 1e25)
    with pytest.raises(NotFiniteError, match=r"norm overflows; the largest is .* decoder\.weight"):
        learner.finish()


def test_a_validation_depth_that_is_not_finite_names_its_sample(tiny_config):
    data = read_config(TrainingConfig, tiny_config).data
    batches = TrainingBatches(data.validation, data.spec, 2, training=False)
    network = TinyNetwork()
    network.decoder.bias.data.fill_(torch.nan)
    with pytest.raises(InputError, match=r"depth of validation sample \S+ is not finite"):
        validate(network, batches, "dense", ALONE)


class TurningTask(TinyTask):
    """From its seventh batch on, its network answers the validation with NaN."""

    def __call__(self, batch: Batch) -> TaskLosses:
        losses = super().__call__(batch)
        self.batches = getattr(self, "batches", 0) + 1
        if self.batches >= 7:
            self.network.register_forward_hook(
                lambda network, given, answer: (
                    answer if network.training else SimpleNamespace(depth=answer.depth * torch.nan)
                )
            )
        return losses


def test_a_validation_that_fails_says_what_to_delete_and_what_was_chosen_stays(
    tiny_config, tmp_path
):
    """The checkpoint that is validated is the newest: going on would end there for ever."""
    out = tmp_path / "out"
    with pytest.raises(BrokenOffError, match="step 8: the depth of validation") as error:
        run(TurningTask(TinyNetwork()), tiny_config, out, "optimiser.ema_decay=null")
    found = Checkpoints(out / "checkpoints", 2)
    newest = found.newest()
    assert f"delete {newest} and lower optimiser.learning_rate" in str(error.value)
    assert found.steps()[-1] == 8
    assert error.value.outcome.progress.chosen.step == 4
    newest.unlink()
    run(tiny_task(), tiny_config, out, "optimiser.ema_decay=null", "optimiser.learning_rate=1e-3")
    assert found.steps()[-1] == 10


def test_a_first_validation_that_fails_says_to_begin_again(tiny_config, tmp_path):
    task = TurningTask(TinyNetwork())
    task.batches = 6
    with pytest.raises(BrokenOffError, match=r"to begin again$") as error:
        run(
            task, tiny_config, tmp_path / "out", "optimiser.ema_decay=null",
            "record.validate_every=2",
        )  # fmt: skip
    assert error.value.outcome.progress.chosen is None


def test_what_was_chosen_before_a_checkpoint_that_cannot_be_written_stays_so(
    tiny_config, tmp_path, monkeypatch
):
    write = Checkpoints.write

    def full(self, step, checkpoint, **given):
        if step == 8 and checkpoint.values["progress"]["validated"] == 8:
            raise InputError("no space")
        return write(self, step, checkpoint, **given)

    monkeypatch.setattr(Checkpoints, "write", full)
    with pytest.raises(BrokenOffError, match="no space") as error:
        run(tiny_task(), tiny_config, tmp_path / "out", "record.choose=last")
    assert error.value.outcome.progress.chosen.step == 4


def test_a_warm_up_that_is_longer_than_the_run_is_told(tiny_config, tmp_path):
    for steps, told in ((11, 1), (10, 0)):
        lines: list[str] = []
        out = tmp_path / str(steps)
        run(tiny_task(), tiny_config, out, f"optimiser.warmup_steps={steps}", lines=lines)
        assert sum("the learning rate stays below" in line for line in lines) == told


def test_losses_are_read_only_when_they_are_told(monkeypatch):
    """To read one waits for all that a graphics card has been given to do."""
    meter = Meter()
    with monkeypatch.context() as patched:
        for reading in ("__float__", "__bool__", "item", "tolist", "cpu"):
            patched.setattr(Tensor, reading, lambda *_: pytest.fail("read"))
        meter.add({"depth": torch.tensor(2.0)})
        meter.add({"depth": torch.tensor(4.0)})
    assert meter.take(ALONE, 1)["depth"] == 3


def test_speed_waiting_and_time_left_are_measured(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    meter = Meter()
    for loss in (1.0, 3.0):
        with meter.waiting():
            clock.now += 2
        clock.now += 6
        meter.add({"depth": loss, "gradient_norm": float("inf")})
        with meter.paused():
            clock.now += 50
    means = meter.take(ALONE, images_per_step=4)
    assert means == {
        "depth": 2.0, "images_per_second": 0.5, "seconds_per_step": 8.0, "wait_share": 0.25,
    }  # fmt: skip
    assert meter.seconds_left(10) == 10 * (16 + 100) / 2


def test_a_run_tells_what_waiting_costs_and_leaves_validation_out(
    tiny_config, tmp_path, monkeypatch
):
    def slow_load(batches, *arguments):
        for batch in load(batches, *arguments):
            time.sleep(0.05)
            yield batch

    def slow_validation(*arguments):
        time.sleep(0.7)
        return validate(*arguments)

    monkeypatch.setattr(loop, "load", slow_load)
    monkeypatch.setattr(loop, "validate", slow_validation)
    left: list[float] = []
    monkeypatch.setattr(loop, "progress_line", lambda *told: left.append(told[-1]))
    run(tiny_task(0.01), tiny_config, tmp_path / "out", "length.steps=8")
    steps = [r for r in log(tmp_path / "out") if r["event"] == "step"]
    assert all(r["wait_share"] > 0.5 for r in steps[1:])
    assert all(r["seconds_per_step"] < 0.35 for r in steps[1:])
    assert left[0] > 6 * 0.05  # six steps after the second
    assert left[-1] == 0


def test_validation_and_the_result_are_of_the_moving_average(tiny_config, tmp_path):
    task, out = tiny_task(), tmp_path / "out"
    config = read_config(TrainingConfig, tiny_config)
    outcome = run(task, tiny_config, out, "length.steps=4", "optimiser.ema_decay=0.9")
    kept = read_checkpoint(Checkpoints(out / "checkpoints", 2).chosen)
    source = TrainingBatches(config.data.validation, InputSpec(32, 64, 200.0), 2, training=False)

    def mae_of(prefix):
        network = TinyNetwork()
        network.load_state_dict(part(kept.tensors, prefix))
        return validate(network, source, "dense", ALONE).mae

    assert outcome.progress.chosen is not None
    assert outcome.progress.chosen.mae == pytest.approx(mae_of("average.module"), rel=1e-5)
    assert outcome.progress.chosen.mae != pytest.approx(mae_of("network"), rel=1e-3)


def test_parameters_that_are_not_finite_are_not_stored(tmp_path):
    found = Checkpoints(tmp_path, 2)
    state = SimpleNamespace(tensors={"network.a": torch.tensor([1.0])}, values={})
    found.write(1, state)
    state.tensors["network.a"] = torch.tensor([torch.inf])
    with pytest.raises(InputError, match=r"network\.a is not finite.*step-000000001"):
        found.write(2, state)
    assert found.steps() == [1]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, every write beyond fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("fails", ["write", "sync"])
def test_a_full_disk_is_said_and_leaves_what_was_there(fails, tiny_config, tmp_path, monkeypatch):
    run(tiny_task(), tiny_config, tmp_path / "out", "length.steps=3")
    config = read_config(TrainingConfig, tiny_config, ["length.steps=3"])
    folder = tmp_path / "out" / "checkpoints"
    before = read_checkpoint(folder / "step-000000003.safetensors")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    found = Checkpoints(folder, config.record.keep)
    words = r"step-000000004.*(No space left|File too large).*step-000000003.*again"
    size = (folder / "step-000000003.safetensors").stat().st_size
    with monkeypatch.context() as patched, files_of_at_most(size - 1 if fails == "write" else size):
        if fails == "sync":
            patched.setattr("os.fsync", full)
        with pytest.raises(InputError, match=words):
            found.write(4, before)
    assert sorted(path.name for path in folder.iterdir()) == [
        "chosen.safetensors", "step-000000003.safetensors",
    ]  # fmt: skip


def test_a_full_disk_under_the_log_is_said(tmp_path):
    with Records(tmp_path, 0) as records:
        (tmp_path / "log.jsonl").symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"log\.jsonl: cannot be written \(No space left"):
            records.write("step", 1, {"total": 1.0})


def write_records(out: Path, steps: int) -> None:
    with Records(out, 0) as records:
        for step in range(1, steps + 1):
            records.write("step", step, {"total": 1.0, "depth": 2.0})


def test_a_full_disk_under_the_events_is_the_error_and_nothing_else(tmp_path, capfd):
    small = 3000
    with (
        files_of_at_most(small),
        pytest.raises(InputError, match=r"cannot be written \(File too large\)"),
    ):
        write_records(tmp_path, 100)
    assert (tmp_path / "log.jsonl").stat().st_size < small  # it was the events' file
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_begins_once_there_is_space(killed, tiny_config, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if killed:
        out.mkdir()
        (out / "config.new").write_text("seed:")
    else:

        def full(path: Path, text: str, **_: object) -> None:
            path.touch()
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_text", full)
            with pytest.raises(InputError, match=r"config\.yaml: cannot be written \(No space"):
                run(tiny_task(), tiny_config, out, "length.steps=3")
        assert not out.exists()
    run(tiny_task(), tiny_config, out, "length.steps=3")
    assert (out / "config.yaml").exists()
    assert not (out / "config.new").exists()


def test_a_damaged_checkpoint_is_refused(tiny_config, tmp_path):
    run(tiny_task(), tiny_config, tmp_path / "out", "length.steps=3")
    path = tmp_path / "out" / "checkpoints" / "step-000000003.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"step-000000003\.safetensors: no checkpoint, or a damag"):
        run(tiny_task(), tiny_config, tmp_path / "out", "length.steps=3")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.validation=[{data}/train/scene-1.tar]", "scene-1.tar is of a scene that"),
        ("data.batch_size=12", "smaller batch"),
        ("optimiser.accumulate=6", "11 samples are less than the 12 images of an update"),
        ("optimiser.precision=fp16", "fp16 on cpu; take auto, bf16"),
        ("data.train=[{data}/nowhere/*.tar]", r"^data\.train: .*no shards there"),
        ("data.validation=[{data}/nowhere]", r"^data\.validation: .*nowhere"),
    ],
)
def test_what_cannot_work_is_refused_at_once(change, words, tiny_config, tiny_data, tmp_path):
    with pytest.raises(InputError, match=words):
        run(tiny_task(), tiny_config, tmp_path / "out", change.format(data=tiny_data))
    assert not (tmp_path / "out").exists()


def test_truth_that_no_validation_sample_has_is_told_before_anything_is_learned(
    tiny_config, tmp_path, monkeypatch
):
    real = TrainingBatches.__iter__

    def without_single_scan(batches):
        return (batch._replace(single_scan=0 * batch.single_scan) for batch in real(batches))

    monkeypatch.setattr(TrainingBatches, "__iter__", without_single_scan)
    with pytest.raises(InputError, match="no validation sample has single_scan depth up to 80 m"):
        run(tiny_task(), tiny_config, tmp_path / "out", "data.truth=single_scan")
    run(tiny_task(), tiny_config, tmp_path / "out", "length.steps=1")


def test_validation_needs_no_labels_but_those_it_compares_with(tiny_config, tmp_path):
    """Learned from generated drives, validated on real ones."""
    real = {str(n): make_sample(n, dense=None, exact=None) for n in range(200, 203)}
    write_shard(tmp_path / "a.tar", real)
    changes = [
        "data.dense_from=exact", "data.truth=single_scan", "length.steps=1",
        f"data.validation=[{tmp_path / 'a.tar'}]",
    ]  # fmt: skip
    chosen = run(tiny_task(), tiny_config, tmp_path / "out", *changes).progress.chosen
    assert chosen is not None
    assert chosen.images == 3


def test_dense_truth_is_the_lidar_s_whatever_is_learned_from(tiny_config, tmp_path):
    def error(dense_from: str, truth: str) -> float:
        changes = [f"data.dense_from={dense_from}", f"data.truth={truth}", "length.steps=1"]
        changes += ["optimiser.learning_rate=1e-12"]  # the same network
        out = tmp_path / f"{dense_from}-{truth}"
        chosen = run(tiny_task(), tiny_config, out, *changes).progress.chosen
        assert chosen is not None
        return chosen.mae

    assert error("single_scan", "dense") == pytest.approx(error("lidar", "dense"), rel=1e-6)
    assert error("single_scan", "single_scan") != pytest.approx(error("lidar", "dense"), rel=1e-3)


def test_a_folder_below_a_file_is_refused(tiny_config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/out: cannot be made, .*file is a file"):
        run(tiny_task(), tiny_config, tmp_path / "file" / "out")


def test_a_folder_of_something_else_is_refused(tiny_config, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds something else"):
        run(tiny_task(), tiny_config, tmp_path)


def small_batches(tiny_config: Path, count: int) -> list[Batch]:
    data = read_config(TrainingConfig, tiny_config).data
    return list(TrainingBatches(data.train, data.spec, 2, seed=5))[:count]


def test_accumulated_batches_make_one_update_of_their_mean(tiny_config):
    """Plain AdamW on the mean gradient, worked out here, gives the same."""
    batches = small_batches(tiny_config, 3)
    config = Optimiser(learning_rate=0.01, eps=1e-8, accumulate=3, clip_norm=0.5)
    one, other = tiny_task(), tiny_task()
    learner = Learner(one, config, ALONE, seed=1)
    for task in (one, other):
        task.network.drop.p = 0.0
    learner.begin(0, 0.01)
    for number, batch in enumerate(batches):
        learner.add(batch, last=number == 2)
    norm = learner.finish()
    total = sum(other(batch).total for batch in batches) / 3
    total.backward()
    trained = [p for p in other.network.parameters() if p.grad is not None]
    expected = torch.cat([p.grad.flatten() for p in trained]).norm()
    assert norm == pytest.approx(float(expected), rel=1e-5)
    for parameter in trained:
        parameter.grad *= min(1.0, 0.5 / float(expected))
    decays = [1e-4 if p in set(other.network.encoder.parameters()) else 0 for p in trained]
    groups = [{"params": [p], "weight_decay": d} for p, d in zip(trained, decays, strict=True)]
    torch.optim.AdamW(groups, lr=0.01, eps=1e-8).step()
    for name, value in other.network.named_parameters():
        torch.testing.assert_close(one.network.get_parameter(name), value, msg=name)


def test_the_moving_average_is_what_is_validated(tiny_config):
    task = tiny_task()
    learner = Learner(task, Optimiser(learning_rate=0.1, eps=1e-8, ema_decay=0.75), ALONE, 0)
    expected = None
    for step, batch in enumerate(small_batches(tiny_config, 3)):
        learner.begin(step, 0.1)
        learner.add(batch, last=True)
        learner.finish()
        now = task.network.decoder.weight.detach().clone()
        expected = now if expected is None else 0.75 * expected + 0.25 * now
    torch.testing.assert_close(learner.result.decoder.weight, expected)
    assert not torch.equal(learner.result.decoder.weight, task.network.decoder.weight)
    tensors, _ = learner.state()
    stored = part(tensors, "average.module")
    assert torch.equal(stored["decoder.weight"], learner.result.decoder.weight)


def test_in_bf16_it_learns_too(tiny_config, tmp_path):
    task, seen = tiny_task(), set()
    task.network.decoder.register_forward_hook(
        lambda *call: seen.add((call[0].training, call[2].dtype))
    )
    run(task, tiny_config, tmp_path / "out", "length.steps=20", "optimiser.precision=bf16",
        "optimiser.ema_decay=null")  # fmt: skip
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert task.network.decoder.weight.dtype == torch.float32
    steps = [r for r in log(tmp_path / "out") if r["event"] == "step"]
    assert steps[-1]["depth"] < steps[0]["depth"]


class Constant(nn.Module):
    """10 m everywhere."""

    def forward(self, image: torch.Tensor, radar: torch.Tensor) -> SimpleNamespace:
        assert not self.training
        return SimpleNamespace(depth=torch.full_like(image[:, :1], 10.0))


def test_validation_is_the_mean_over_images_up_to_80_m():
    exact = torch.zeros(3, 1, 2, 2)
    exact[0, 0] = torch.tensor([[13.0, 6.0], [0.0, torch.inf]])  # errors 3 and 4
    exact[1, 0] = torch.tensor([[11.0, 80.5], [0.0, 0.0]])  # error 1
    blank, none = torch.zeros(3, 1, 2, 2), torch.zeros(3, 0, 4)
    batch = Batch(
        list("abc"), torch.zeros(3, 3, 2, 2), blank, blank, blank, exact, none, none, none
    )
    network = Constant()
    result = validate(network, [batch], "exact", ALONE)
    assert result.images == 2
    assert result.mae == pytest.approx((3.5 + 1) / 2)
    assert result.rmse == pytest.approx((12.5**0.5 + 1) / 2)
    assert network.training
    with pytest.raises(InputError, match="no validation sample has dense"):
        validate(network, [batch], "dense", ALONE)
