"""Students' files answer as in torch: each is exported once, which takes ten seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_rule import fill
from small_network import expected, sample
from torch import nn

from lircdepth_core.inference.artefacts import Artefacts
from lircdepth_core.inference.backends import BACKENDS, open_backend
from lircdepth_core.inference.backends.onnx_files import OnnxFiles
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.network import DeploymentGraph, SmallStudent, Student

MODEL = Path(__file__).parents[3] / "models" / "lircdepth-s-352x192"


class Exported:
    """A student's graph and its file for images of 96x64, exported once."""

    def __init__(self, graph: DeploymentGraph, artefacts: Artefacts) -> None:
        self.graph, self.artefacts = graph, artefacts
        self.told: list[str] = []
        self.path = OnnxFiles(graph, artefacts, self.told.append).of_size(64, 96)


@pytest.fixture(scope="module", params=["student", "small_student"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    if missing := BACKENDS["onnxruntime"].missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "student":
        student = fill(Student())
        torch.manual_seed(0)
        nn.init.normal_(student.uncertainty_head.answer.weight)
        return Exported(DeploymentGraph(student), Artefacts(folder, "student"))
    # Of a model folder, which another process exports.
    artefacts = dataclasses.replace(Artefacts.of(read_description(MODEL), MODEL), folder=folder)
    graph = DeploymentGraph(load_network(MODEL, read_description(MODEL)))
    return Exported(graph, artefacts)


def test_it_is_told_and_no_process_failed(exported: Exported) -> None:
    assert exported.told == ["exporting the network for 96x64 images, once"]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_students_answer_as_in_torch(name: str, exported: Exported) -> None:
    if BACKENDS[name].missing:
        pytest.skip(f"{', '.join(BACKENDS[name].missing)} not installed")
    image, radar = sample(64, 96)
    answer = open_backend(name, exported.graph, "cpu", exported.artefacts, pytest.fail)(
        image, radar
    )
    correct = expected(exported.graph, image, radar)
    np.testing.assert_allclose(answer.depth, correct.depth, rtol=1e-4)
    np.testing.assert_allclose(answer.uncertainty, correct.uncertainty, atol=1e-4)


def test_layers_that_quantisation_leaves_keep_their_names_in_the_file(exported: Exported) -> None:
    onnx = pytest.importorskip("onnx")
    post_training = pytest.importorskip("lircdepth_core.quantisation.post_training")
    network = type(exported.graph.network)
    least, most = {Student: (30, 50), SmallStudent: (30, 55)}[network]
    model = onnx.load(exported.path)
    left = post_training._left_in_float(model, post_training.FLOAT_LAYERS[network])
    convolutions = [n.name for n in model.graph.node if n.op_type in post_training.CONVOLUTIONS]
    assert least < len(set(left) & set(convolutions)) < most < len(convolutions)
