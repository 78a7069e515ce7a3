"""A network's file of rounded tensors, and the network that comes back."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from described_model import describe_model
from torch import nn
from training_rig import write_shards

from lircdepth_core.errors import InputError
from lircdepth_core.inference.model_files import write_model
from lircdepth_core.network.sparse_conv import SparseConv
from lircdepth_core.network.teacher import Teacher

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "ablation" / "kept_teacher.py"


@pytest.fixture(scope="module")
def kept():
    spec = importlib.util.spec_from_file_location("kept_teacher", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 64, 3, 3, generator=generator)
    weight[1] *= 100.0  # channels of other scales
    weight[2] = 0.0
    weight[3, 0, 0, 0] = 1000.0  # farther out than 127 steps
    return {
        "conv.weight": weight,
        "conv.bias": torch.randn(32, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def test_large_tensors_come_back_within_half_a_step_of_each_channel(kept, state):
    back = kept.restored(kept.unpack(kept.pack(kept.rounded(state, kept.steps_of(state, 0.25)))))
    assert back.keys() == state.keys()
    off = (back["conv.weight"] - state["conv.weight"]).abs().amax((1, 2, 3))
    deviation = state["conv.weight"].std((1, 2, 3), unbiased=False)
    usual = [i for i in range(32) if i != 3]
    assert (off[usual] <= 0.126 * deviation[usual]).all()
    assert (off[2], off[3] <= 1000 / 127 / 2 + 1e-4) == (0, True)


def test_small_tensors_come_back_as_they_were(kept, state):
    back = kept.restored(kept.unpack(kept.pack(kept.rounded(state, kept.steps_of(state, 0.25)))))
    for name in ("conv.bias", "norm.num_batches_tracked"):
        assert torch.equal(back[name], state[name])


def test_the_share_is_the_smallest_that_should_fit_and_does(kept):
    state = {"conv.weight": torch.randn(256, 512, 3, 3, generator=torch.Generator().manual_seed(1))}
    limit = 500_000
    share = kept.smallest_share(state, limit)
    below, above = (kept.rounded(state, kept.steps_of(state, s)) for s in (share, share / 1.05))
    assert kept.packed_bytes(below) <= limit < kept.packed_bytes(above)
    assert len(kept.pack(below)) == pytest.approx(kept.packed_bytes(below), rel=0.02)
    # A normal distribution in steps of its deviation has log2(sqrt(2 pi e) / share) bits.
    bits = math.log2(math.sqrt(2 * math.pi * math.e) / share)
    assert kept.packed_bytes(below) == pytest.approx(bits * 256 * 512 * 9 / 8, rel=0.01)


def test_a_damaged_file_is_refused(kept, state, monkeypatch):
    data = kept.pack(kept.rounded(state, kept.steps_of(state, 0.25)))
    with pytest.raises(ValueError, match="cut off, or unpacks to more"):
        kept.unpack(data[:-20])
    with pytest.raises(ValueError, match="holds no safetensors"):
        kept.unpack(gzip.compress(b"something else"))
    monkeypatch.setattr(kept, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(ValueError, match="cut off, or unpacks to more than 1000"):
        kept.unpack(data)


class SumOfWeights:
    """Brings the sum of a network's weights to the batch's number, as a task does."""

    def __init__(self, network):
        self.network = network

    def __call__(self, batch):
        total = sum(value.sum() for value in self.network.parameters())
        return SimpleNamespace(total=(total - batch).abs(), terms={})


def test_what_learns_rounded_ends_rounded_and_better_than_when_it_began(kept):
    torch.manual_seed(0)
    network = nn.Linear(64, 32, bias=False)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    steps = {"weight": kept.steps_of(state, 1.0)["weight"]}
    begun = kept.restored(kept.rounded(state, steps))["weight"].sum().item()
    kept.learn_rounded(SumOfWeights(network), steps, [10.0] * 100, 100, 1e-3)
    assert list(network.state_dict()) == ["weight"]
    in_steps = network.weight.detach() / steps["weight"]
    torch.testing.assert_close(in_steps, in_steps.round())
    assert abs(network.weight.sum().item() - 10) < 0.2 * abs(begun - 10)
    again = kept.restored(kept.rounded(network.state_dict(), steps))
    torch.testing.assert_close(again["weight"], network.weight.detach())


def test_what_does_not_train_does_not_learn_rounded_either(kept):
    network = SparseConv(4, 16, 7)
    steps = kept.steps_of(network.state_dict(), 1.0)
    assert list(steps) == ["conv.weight"]
    before = network.conv.weight.detach().clone()
    with torch.no_grad():
        batch = sum(value.sum() for value in network.parameters()) + 1
    kept.learn_rounded(SumOfWeights(network), steps, [batch] * 3, 3, 1e-2)
    assert not torch.equal(network.conv.weight, before)
    assert (network.sparsity.weight == 1).all()


def test_the_teacher_that_is_kept_fits_its_network_and_its_description(kept, kept_teacher):
    description = kept.read_description(kept_teacher)
    data = (kept_teacher / description.weights.file).read_bytes()
    assert len(data) <= 30_000_000
    assert hashlib.sha256(data).hexdigest() == description.weights.sha256
    back = kept.restored(kept.unpack(data))
    expected = kept.build_network(description).state_dict()
    assert {k: v.shape for k, v in back.items()} == {k: v.shape for k, v in expected.items()}
    assert all(torch.isfinite(value).all() for value in back.values())


@pytest.fixture
def run(tmp_path):
    """The folder of a teacher's run, which began and came to its end at once."""
    for split, first in (("train", 0), ("validation", 100)):
        write_shards(tmp_path / "samples" / split, [2], first=first)
    data = {
        "train": [f"{tmp_path}/samples/train"],
        "validation": [f"{tmp_path}/samples/validation"],
        **{"truth": "exact", "height": 32, "width": 64, "focal_length": 200, "batch_size": 1},
    }
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    config = {"data": data, "length": {"steps": 1}, "optimiser": {"learning_rate": 1e-3}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    events = [{"event": "start"}, {"event": "validation", "mae": 1.0}]
    events.append({"event": "end", "stopped_by": None, "image_steps": 1})
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    description = describe_model(network="teacher", uncertainty_trained=False)
    write_model(run / "model", Teacher(), description, "")
    return run


def test_a_teacher_learns_rounded_and_comes_back_as_it_was_kept(kept, run, tmp_path, monkeypatch):
    folder, back = tmp_path / "kept", tmp_path / "runs" / "back"
    monkeypatch.setattr(kept, "STATISTICS_BATCHES", 2)
    kept.keep(run, folder, max_bytes=40_000_000, updates=1)
    assert (folder / "weights.safetensors.gz").stat().st_size < 40_000_000
    assert str(tmp_path) not in (folder / "config.yaml").read_text()
    kept.restore(folder, back)
    events = [json.loads(line) for line in (back / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "end"]
    assert events[-1]["image_steps"] == 2
    before, after = (
        kept.load_network(at / "model", kept.read_description(at / "model")).state_dict()
        for at in (run, back)
    )
    assert before.keys() == after.keys()
    name = "encoder.base_model.layer4.0.conv1.weight"
    in_steps = after[name] / kept.steps_of(before, kept.SMALLEST_SHARE)[name]
    torch.testing.assert_close(in_steps, in_steps.round(), atol=1e-3, rtol=0)
    assert 0 < (after[name] - before[name]).abs().mean() < 0.1 * before[name].std()
    assert not after["encoder.base_model.fc.weight"].any()

    (folder / "weights.safetensors.gz").write_bytes(b"another")
    with pytest.raises(InputError, match="has another SHA-256"):
        kept.restore(folder, tmp_path / "runs" / "damaged")


def test_a_run_that_was_stopped_is_not_kept(kept, run, tmp_path):
    log = run / "log.jsonl"
    log.write_text(log.read_text().replace("null", '"Ctrl-C"'))
    with pytest.raises(InputError, match="did not come to its end; let it go on first"):
        kept.keep(run, tmp_path / "kept")
