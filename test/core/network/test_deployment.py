"""The rewritten graph answers as the network does, in fewer operations."""

import numpy as np
import pytest
import torch
from golden_rule import fill, make_input
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD, DeploymentGraph, Student, Teacher
from lircdepth_core.network.blocks import ConvInFloat32, TransposedBottleneck
from lircdepth_core.network.deployment import folded

CONVOLUTIONS = {"ordinary": nn.Conv2d, "transposed": nn.ConvTranspose2d}


@pytest.fixture(scope="module")
def student():
    """Filled, its head too; tests leave it as it is."""
    student = fill(Student())
    torch.manual_seed(0)
    nn.init.normal_(student.uncertainty_head.answer.weight)
    return student


def normalised(image):
    """(N, H, W, 3) bytes as the networks take them."""
    values = (image.numpy() / 255.0 - IMAGE_MEAN) / IMAGE_STD
    return torch.from_numpy(values.astype(np.float32)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def image():
    """(2, 64, 96, 3) bytes."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def radar():
    """(2, 4, 64, 96), the second without a return."""
    _, radar = make_input(64, 96)
    return torch.cat([radar, torch.zeros_like(radar)])


@torch.inference_mode()
def test_it_answers_as_the_student(student, image, radar):
    expected = student(normalised(image), radar)
    answer = DeploymentGraph(student)(image, radar)
    relative = ((answer.depth - expected.depth[:, 0]) / expected.depth[:, 0]).abs()
    assert relative.max() < 1e-4
    torch.testing.assert_close(answer.uncertainty, expected.uncertainty[:, 0], atol=1e-4, rtol=0)
    assert expected.uncertainty.std() > 0.1


@torch.inference_mode()
def test_it_answers_as_the_teacher_and_knows_no_uncertainty(image, radar):
    teacher = fill(Teacher())
    expected = teacher(normalised(image), radar).depth[:, 0]
    answer = DeploymentGraph(teacher)(image, radar)
    assert ((answer.depth - expected) / expected).abs().max() < 1e-4
    assert answer.uncertainty.shape == answer.depth.shape
    assert answer.uncertainty.isnan().all()


def test_nothing_is_left_to_normalise_and_nothing_transposed_that_need_not_be(student):
    layers = list(DeploymentGraph(student).modules())
    assert not [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    (transposed,) = (layer for layer in layers if isinstance(layer, nn.ConvTranspose2d))
    assert transposed.stride == (2, 2)
    assert transposed.groups == 1


def test_the_network_stays_as_it_is(student):
    names = [name for name, _ in student.named_modules()]
    before = {name: value.clone() for name, value in student.state_dict().items()}
    DeploymentGraph(student)
    assert [name for name, _ in student.named_modules()] == names
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(CONVOLUTIONS)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
    groups=st.integers(1, 3),
    widths=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    bias=st.booleans(),
    affine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_convolution_with_its_normalisation_folds(
    kind, kernel, stride, padding, dilation, groups, widths, bias, affine, seed
):
    torch.manual_seed(seed)
    inputs, outputs = (groups * width for width in widths)
    convolution = CONVOLUTIONS[kind](
        inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias
    )
    norm = nn.BatchNorm2d(outputs, affine=affine)
    sequence = nn.Sequential(convolution, norm, nn.ReLU6()).eval()
    with torch.no_grad():
        for values in (*norm.parameters(), norm.running_mean, norm.running_var):
            values.uniform_(0.5, 2)
        x = torch.randn(2, inputs, 11, 12)
        rewritten = folded(sequence)
        torch.testing.assert_close(rewritten(x), sequence(x), atol=1e-4, rtol=1e-4)
    assert [type(layer) for layer in rewritten][1:] == [nn.ReLU6]


@settings(max_examples=20)
@given(
    widths=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_any_bottleneck_answers_as_before(widths, stride, size, seed):
    torch.manual_seed(seed)
    bottleneck = TransposedBottleneck(*widths, stride)
    x = torch.randn(2, widths[0], *size)
    with torch.no_grad():
        for layer in bottleneck.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for values in (*layer.parameters(), layer.running_mean, layer.running_var):
                    values.uniform_(0.5, 2)
        bottleneck.eval()
        torch.testing.assert_close(folded(bottleneck)(x), bottleneck(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_convolution_to_one_channel_answers_as_before_tile_by_tile(bias):
    torch.manual_seed(3)
    layer = nn.Sequential(nn.Conv2d(5, 1, 3, padding=1, bias=bias), nn.Sigmoid())
    tiled = folded(layer)
    assert tiled[0].tiles.out_channels == 16
    x = torch.randn(2, 5, 32, 64)
    torch.testing.assert_close(tiled(x), layer(x))


def test_what_cannot_be_folded_is_left():
    convolution, norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    untracked = nn.BatchNorm2d(2, track_running_stats=False)
    for sequence in (
        nn.Sequential(norm, convolution),
        nn.Sequential(convolution, nn.ReLU(), norm),
        nn.Sequential(convolution, untracked),
    ):
        assert folded(sequence.eval()) is sequence


@pytest.mark.filterwarnings("ignore:In CPU autocast")
def test_for_autocast_it_answers_the_same_and_casts_no_weights(student, image, radar):
    class Casts(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            if operation is torch.ops.aten._to_copy.default:
                casts.append(tuple(args[0].shape))
            return operation(*args, **(kwargs or {}))

    graph = DeploymentGraph(student)
    half = graph.for_autocast(torch.bfloat16)
    weights = {
        tuple(layer.weight.shape)
        for layer in graph.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        and not isinstance(layer, ConvInFloat32)
    }
    answers = []
    for each, expected in ((graph, weights), (half, set())):
        casts: list[tuple[int, ...]] = []
        # No inference mode, which hides operations from the count.
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Casts():
            answers.append(each(image, radar))
        assert weights & set(casts) == expected
    assert torch.equal(answers[0].depth, answers[1].depth)
    assert torch.equal(answers[0].uncertainty, answers[1].uncertainty)
