"""`lircdepth quantise`: a model's form in 8-bit integers answers nearly as the model does."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from described_model import describe_model
from small_network import SmallNetwork, expected, sample
from torch import nn
from training_rig import write_shards

from lircdepth_core.cli import main
from lircdepth_core.errors import InputError
from lircdepth_core.inference import Predictor, model_files, write_model
from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends import BACKENDS, open_backend
from lircdepth_core.inference.backends.onnx_files import Int8Files, Int8Network
from lircdepth_core.inference.calibration import Calibration
from lircdepth_core.inference.model_description import StoredWeights
from lircdepth_core.inference.model_files import int8_network, read_description
from lircdepth_core.inference.onnx_export import export_onnx
from lircdepth_core.network import DeploymentGraph, Student
from lircdepth_core.quantisation import command, post_training
from lircdepth_core.quantisation.post_training import quantise

INT8 = [name for name, kind in BACKENDS.items() if kind.int8]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "prepared"
    write_shards(folder, [4, 4])
    return folder


def write_small_model(folder: Path) -> Path:
    """A folder with stored weights, whose network costs next to nothing."""
    description = describe_model(weights=StoredWeights("", ""))
    write_model(folder, SmallNetwork(), description, "card")
    return folder


@pytest.fixture
def small_networks(monkeypatch) -> None:
    """Descriptions are of networks that cost next to nothing."""
    monkeypatch.setattr(model_files, "build_network", lambda description: SmallNetwork())


@pytest.fixture
def model(tmp_path, small_networks) -> Path:
    return write_small_model(tmp_path / "model")


@pytest.fixture(scope="module")
def quantised_once(samples, tmp_path_factory) -> tuple[Path, str]:
    """A quantised model, and what the command printed."""
    folder = write_small_model(tmp_path_factory.mktemp("quantised") / "model")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("LIRCDEPTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(model_files, "build_network", lambda description: SmallNetwork())
        assert main(["quantise", str(folder), str(samples)]) == 0
    return folder, printed.getvalue()


@pytest.fixture
def quantised(quantised_once, small_networks, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(quantised_once[0], tmp_path / "model"))


def test_without_calibration_it_says_nothing_of_sigma(quantised_once):
    _, out = quantised_once
    assert "MAE on 4 others: " in out
    assert "sigma" not in out


def test_it_lies_beside_the_model_and_says_how_wrong_both_are(model, samples, capsys):
    half_width = np.full((1, 2, 2), 1e3)  # holds every error
    sigma = Calibration([0.683], [1.0, 50.0], [0.1, 0.9], half_width)
    before = dataclasses.replace(read_description(model), calibration=sigma)
    model_files.write_description(model, before)
    assert main(["quantise", str(model), str(samples), "--images", "6"]) == 0
    out = capsys.readouterr().out
    assert "int8.onnx: " in out
    assert "ranges of 3 samples" in out
    assert "MAE on 3 others: " in out
    assert "sigma holds 100.0 % of the errors in float32, 100.0 % in 8 bits" in out
    assert sorted(path.name for path in model.iterdir()) == [
        *("README.md", "int8.onnx", "model.yaml", "weights.safetensors"),
    ]
    description = read_description(model)
    assert description.int8.weights == before.weights.sha256
    assert description.weights == before.weights


@pytest.mark.parametrize("name", INT8)
def test_every_back_end_of_integers_answers_nearly_as_torch_at_any_size(name, quantised):
    if BACKENDS[name].missing:
        pytest.skip(f"{', '.join(BACKENDS[name].missing)} not installed")
    description = read_description(quantised)
    graph = DeploymentGraph(SmallNetwork())
    int8 = int8_network(quantised, description)
    backend = open_backend(name, graph, "cpu", Artefacts.of(description), print, int8)
    for size in ((64, 96), (32, 64)):
        answer, correct = backend(*sample(*size)), expected(graph, *sample(*size))
        assert answer.depth.shape == size
        deviation = np.abs(answer.depth / correct.depth - 1)
        assert 1e-5 < deviation.mean() < 0.02  # by 8 bits, of a range of a few units


def test_convolutions_compute_in_integers_but_for_layers_that_cannot(tmp_path, monkeypatch):
    graph = DeploymentGraph(SmallNetwork())
    examples = [sample(32, 64, seed) for seed in range(2)]
    # In float it is the same file both times.
    in_float = tmp_path / "float.onnx"
    export_onnx(graph, in_float, None)
    monkeypatch.setattr(
        post_training, "export_onnx", lambda graph, path, size: shutil.copy(in_float, path)
    )

    def in_integers() -> int:
        path = tmp_path / "int8.onnx"
        quantise(graph, examples, path)
        nodes = onnx.load(path).graph.node
        dequantised = {n.output[0] for n in nodes if n.op_type == "DequantizeLinear"}
        return sum(n.op_type == "Conv" and set(n.input[:2]) <= dequantised for n in nodes)

    assert in_integers() == 2
    monkeypatch.setitem(post_training.FLOAT_LAYERS, SmallNetwork, ("network.mix.",))
    assert in_integers() == 1


def test_a_model_without_it_says_how_it_is_made(model):
    with pytest.raises(InputError, match="run: lircdepth quantise MODEL DATA"):
        Predictor.load(model, device="cpu", backend="onnxruntime-int8")


def test_a_changed_file_is_not_run(quantised, tmp_path, monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_CACHE", str(tmp_path / "nothing_built_yet"))
    path = quantised / "int8.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    predictor = Predictor.load(quantised, device="cpu", backend="onnxruntime-int8")
    with pytest.raises(InputError, match=r"int8.onnx: SHA-256 is .*fetch the model again"):
        predictor.warm_up(96, 64)


@pytest.mark.parametrize("content", [b"", b"no network"], ids=["empty", "text"])
def test_a_file_that_is_no_network_is_said(content, tmp_path):
    (tmp_path / "int8.onnx").write_bytes(content)
    network = Int8Network(tmp_path / "int8.onnx", hashlib.sha256(content).hexdigest())
    files = Int8Files(network, Artefacts(tmp_path / "cache", "small"), print)
    with pytest.raises(InputError, match=r"int8\.onnx: not a quantised network \(.*quantise again"):
        files.of_size(32, 64)


def test_a_file_without_end_is_not_read(quantised, tmp_path, monkeypatch):
    monkeypatch.setenv("LIRCDEPTH_CACHE", str(tmp_path / "nothing_built_yet"))
    (quantised / "int8.onnx").unlink()
    (quantised / "int8.onnx").symlink_to("/dev/zero")
    predictor = Predictor.load(quantised, device="cpu", backend="onnxruntime-int8")
    with pytest.raises(InputError, match=r"int8.onnx: a pipe or a device"):
        predictor.warm_up(96, 64)


def test_after_other_weights_came_it_is_refused_and_the_rest_runs(quantised, make_model):
    description = read_description(quantised)
    other = SmallNetwork()
    nn.init.zeros_(other.answer.weight)
    again = quantised.with_name("again")
    written = write_model(again, other, description, "card")
    assert written.int8 is None  # new weights are not quantised

    (quantised / "weights.safetensors").write_bytes((again / "weights.safetensors").read_bytes())
    text = (quantised / "model.yaml").read_text()
    kept, _, form = text.rpartition("int8:")
    kept = kept.replace(description.weights.sha256, written.weights.sha256)
    (quantised / "model.yaml").write_text(f"{kept}int8:{form}")
    with pytest.raises(InputError, match="made of other weights than the model has"):
        Predictor.load(quantised, device="cpu", backend="onnxruntime-int8")
    torch_runs = Predictor.load(quantised, device="cpu", backend="torch")
    torch_runs.warm_up(96, 64)


def test_auto_never_takes_it():
    assert INT8
    assert not any(BACKENDS[name].automatic for name in INT8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trained": False, "uncertainty_trained": False}, "give the folder of a trained student"),
        ({"network": "teacher", "uncertainty_trained": False}, "give the folder of a trained"),
    ],
)
def test_what_cannot_be_quantised_is_said_in_one_line(
    change, words, tmp_path, make_model, samples, capsys
):
    description = make_model(weights=StoredWeights("", ""), **change)
    write_model(tmp_path / "model", SmallNetwork(), description, "card")
    assert main(["quantise", str(tmp_path / "model"), str(samples)]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "model" / "int8.onnx").exists()


def test_a_model_that_cannot_be_written_to_is_told_first(model, samples, monkeypatch, capsys):
    monkeypatch.setattr(command, "spread_samples", lambda *_: pytest.fail("it read samples"))
    monkeypatch.setattr("os.access", lambda path, mode: path != model)  # root may write anywhere
    assert main(["quantise", str(model), str(samples)]) == 2
    assert f"{model}: cannot be written to" in capsys.readouterr().err


def test_samples_without_truth_are_told_first(model, samples, monkeypatch, capsys):
    monkeypatch.setattr(command, "has_truth", lambda sample: False)
    assert main(["quantise", str(model), str(samples)]) == 2
    assert f"{samples}: no sample has truth" in capsys.readouterr().err
    assert read_description(model).int8 is None


def test_one_sample_is_too_few(model, tmp_path, capsys):
    write_shards(tmp_path / "one", [1])
    assert main(["quantise", str(model), str(tmp_path / "one")]) == 2
    assert "one sample; give two or more" in capsys.readouterr().err
    assert main(["quantise", str(model), str(tmp_path / "one"), "--images", "1"]) == 2
    assert "--images 1: give 2 or more" in capsys.readouterr().err


def test_renamed_layers_are_no_longer_quantised_unnoticed(tmp_path):
    path = tmp_path / "small.onnx"
    export_onnx(DeploymentGraph(SmallNetwork()), path, (32, 64))
    with pytest.raises(InputError, match=r"network\.encoder\.base_model\.0\.: no weights"):
        post_training._left_in_float(onnx.load(path), post_training.FLOAT_LAYERS[Student])
