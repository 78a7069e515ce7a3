"""`lircdepth export`: a file that answers as the model does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="needs the extra 'export'")
pytest.importorskip("onnxruntime", reason="needs the extra 'export'")

import onnx
import onnxruntime
from small_network import SmallNetwork

from lircdepth_core import cli
from lircdepth_core.inference import export_command
from lircdepth_core.inference.model_description import format_description, parse_description
from lircdepth_core.inference.onnx_export import export_onnx
from lircdepth_core.network import DeploymentGraph

UNTRAINED = {"trained": False, "uncertainty_trained": False}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The network that costs next to nothing, for images of 64x32."""
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export_onnx(DeploymentGraph(SmallNetwork()), path, (32, 64))
    return path


@pytest.fixture
def model(tmp_path, make_model, small_network, monkeypatch):
    """A folder whose network costs next to nothing."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.yaml").write_text(format_description(make_model(**UNTRAINED)))
    monkeypatch.setattr(export_command, "load_network", lambda *_: small_network)
    return folder


def answer(path, image, radar):
    session = onnxruntime.InferenceSession(path)
    return session.run(["depth", "uncertainty"], {"image": image, "radar": radar})


def sample(number, rows, columns):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (number, rows, columns, 3), np.uint8)
    return image, rng.uniform(0, 50, (number, 4, rows, columns)).astype(np.float32)


def test_any_number_and_size_of_images_is_answered_as_in_torch(
    model, small_network, make_model, tmp_path, capsys
):
    path = tmp_path / "new" / "network.onnx"
    assert cli.main(["export", str(model), str(path)]) == 0
    assert "network.onnx: image and radar to depth and uncertainty" in capsys.readouterr().out
    graph = DeploymentGraph(small_network)
    for shape in ((1, 32, 64), (3, 96, 32)):
        image, radar = sample(*shape)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(image), torch.from_numpy(radar))
        depth, uncertainty = answer(path, image, radar)
        assert depth.shape == uncertainty.shape == shape
        np.testing.assert_allclose(depth, expected.depth, rtol=1e-5)
        np.testing.assert_allclose(uncertainty, expected.uncertainty, atol=1e-5)
    (stored,) = onnx.load(path).metadata_props
    assert stored.key == "model.yaml"
    assert parse_description(stored.value) == make_model(**UNTRAINED)
    assert [child.name for child in path.parent.iterdir()] == ["network.onnx"]


def test_a_fixed_size_is_that_of_the_file(model, tmp_path):
    path = tmp_path / "network.onnx"
    assert cli.main(["export", str(model), str(path), "--size", "64x32"]) == 0
    image, radar = onnxruntime.InferenceSession(path).get_inputs()
    assert image.shape == [1, 32, 64, 3]
    assert radar.shape == [1, 4, 32, 64]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("700x384", "size 700x384: give multiples of 32"),
        ("0x32", "size 0x32: give multiples"),
        ("99968x32", "size 99968x32: give multiples of 32 up to 8192"),
        ("64", "'64' is no size"),
    ],
)
def test_a_size_that_is_none_is_one_line(size, words, model, tmp_path, capsys):
    try:
        status = cli.main(["export", str(model), str(tmp_path / "n.onnx"), "--size", size])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "n.onnx").exists()


def test_a_file_that_is_there_is_kept(model, tmp_path, capsys):
    (tmp_path / "network.onnx").write_text("mine")
    assert cli.main(["export", str(model), str(tmp_path / "network.onnx")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "network.onnx").read_text() == "mine"


def test_a_file_that_answers_otherwise_is_not_written(model, tmp_path, monkeypatch, capsys):
    def export_another(graph, *arguments):
        graph.std *= 1.01
        onnx_export(graph, *arguments)
        graph.std /= 1.01

    onnx_export = export_command.export_onnx
    monkeypatch.setattr(export_command, "export_onnx", export_another)
    out = tmp_path / "out"
    arguments = ["export", str(model), str(out / "network.onnx"), "--size", "64x32"]
    assert cli.main(arguments) == 2
    assert "not written, ONNX Runtime's answer is" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("output", [0, 1], ids=["depth", "uncertainty"])
def test_a_file_that_answers_in_nan_is_not_written(
    model, exported, tmp_path, monkeypatch, capsys, output
):
    monkeypatch.setattr(
        export_command, "export_onnx", lambda graph, path, *_: shutil.copy(exported, path)
    )

    class Broken(export_command.onnxruntime.InferenceSession):
        def run(self, *arguments):
            answers = super().run(*arguments)
            answers[output] = np.full_like(answers[output], np.nan)
            return answers

    monkeypatch.setattr(export_command.onnxruntime, "InferenceSession", Broken)
    arguments = ["export", str(model), str(tmp_path / "n.onnx"), "--size", "64x32"]
    assert cli.main(arguments) == 2
    assert "not written, ONNX Runtime's answer is nan off" in capsys.readouterr().err


def test_a_file_names_no_folder_of_the_machine_that_wrote_it(exported):
    content = exported.read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"stack_trace" not in content
