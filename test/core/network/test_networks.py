"""What every network promises."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from golden_rule import make_input
from torch.utils.flop_counter import FlopCounterMode

from lircdepth_core.errors import InputError
from lircdepth_core.network import (
    IMAGE_MEAN,
    IMAGE_STD,
    NETWORKS,
    DeploymentGraph,
    SmallStudent,
    Student,
    StudentNetwork,
    Teacher,
)

UNUSED = ("fc.weight", "fc.bias", "sparsity.weight")
every_network = pytest.mark.parametrize("kind", NETWORKS)


@pytest.fixture(scope="module")
def filled_once(filled) -> Callable[[str], torch.nn.Module]:
    """A filled network in eval mode by its kind; tests leave it as it is."""
    made: dict[str, torch.nn.Module] = {}

    def get(kind: str) -> torch.nn.Module:
        if kind not in made:
            made[kind] = filled(NETWORKS[kind]())
        return made[kind]

    return get


@pytest.fixture(scope="module")
def network(request, filled_once):
    """A filled network in eval mode; tests leave it as it is."""
    return filled_once(request.param)


every_filled_network = pytest.mark.parametrize("network", NETWORKS, indirect=True)


@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_parameters_are_named_and_shaped_as_published(kind, published_keys):
    with torch.device("meta"):
        state = NETWORKS[kind]().state_dict()
    shapes = {
        key: list(value.shape)
        for key, value in state.items()
        if not key.startswith("uncertainty_head.")
    }
    assert shapes == published_keys(kind)


def test_parameter_counts():
    with torch.device("meta"):
        student, teacher = Student(), Teacher()
    head = count(student.uncertainty_head)
    assert count(student) - head == 12_645_228
    assert head < 0.002 * count(student)
    assert count(teacher) == 62_248_686
    assert count(teacher) - 3 * (512 * 1000 + 1000) == 60_709_686


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def multiplications(network):
    """Of convolutions, for an image of 64x32; they grow with its area."""
    image, radar = torch.zeros(1, 3, 32, 64), torch.zeros(1, 4, 32, 64)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(image, radar)
    return counter.get_total_flops() / 2


def test_the_small_student_takes_less_than_a_quarter_of_the_students_multiplications():
    assert multiplications(SmallStudent()) < 0.25 * multiplications(Student())


def test_the_small_students_output_shapes(filled_once, golden_input):
    with torch.inference_mode():
        output = filled_once("small_student")(*golden_input)
    full = (1, 1, 64, 96)
    for tensor in (output.depth, output.uncertainty, *output.inter_depths):
        assert tensor.shape == full
    pyramid = [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    features = [(width, *size) for width, size in zip((32, 48, 80, 128, 192), pyramid, strict=True)]
    for found in (output.image_features, output.radar_features):
        assert [tuple(tensor.shape[1:]) for tensor in found] == features
    decoded = [*features[3::-1], features[0]]
    assert [tuple(tensor.shape[1:]) for tensor in output.decoder_features] == decoded


@pytest.mark.parametrize("row_of_cell", [0, 1])
def test_each_pixel_at_half_size_answers_for_the_four_that_it_covers(row_of_cell, golden_input):
    """Odd rows from a bias of their own: depth and uncertainty of every second row change."""
    small = SmallStudent().eval()
    with torch.inference_mode():
        before = small(*golden_input)
        for answer in (small.decoder.get_depth, small.uncertainty_head.answer):
            answer.bias[2 * row_of_cell : 2 * row_of_cell + 2] += 1.0
        after = small(*golden_input)
    for old, new in ((before.depth, after.depth), (before.uncertainty, after.uncertainty)):
        changed = (old != new)[0, 0].all(1)
        assert changed[row_of_cell::2].all()
        if old is before.depth:  # on which the uncertainty hangs, of both rows
            assert not changed[1 - row_of_cell :: 2].any()


@pytest.mark.parametrize("network", ["student", "teacher"], indirect=True)
def test_the_published_networks_output_shapes(network, golden_input):
    with torch.inference_mode():
        output = network(*golden_input)
    full = (1, 64, 96)

    def shapes(tensors):
        return [tuple(tensor.shape[1:]) for tensor in tensors]

    assert shapes([output.depth, *output.inter_depths]) == [full] * 4
    assert shapes(output.decoder_features) == [
        (512, 4, 6),
        (128, 8, 12),
        (128, 16, 24),
        (64, 32, 48),
        (32, 64, 96),
    ]
    pyramid = [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert shapes(output.image_features) == [
        (width, *size) for width, size in zip((64, 64, 128, 256, 512), pyramid, strict=True)
    ]
    radar = [(width, *size) for width, size in zip((64, 128, 128, 512, 512), pyramid, strict=True)]
    if isinstance(network, Student):
        assert shapes(output.radar_features) == radar
        assert shapes([output.uncertainty]) == [full]
    else:
        assert shapes(output.radar_features) == radar[::-1]
        assert shapes([output.confidence, output.radar_depth]) == [full] * 2


@every_filled_network
@pytest.mark.parametrize(
    ("image", "radar", "named"),
    [
        ((1, 3, 64, 80), (1, 4, 64, 80), "80 columns"),
        ((1, 3, 90, 64), (1, 4, 90, 64), "90 rows"),
        ((1, 3, 0, 64), (1, 4, 0, 64), "0 rows"),
        ((1, 1, 64, 64), (1, 4, 64, 64), r"image: shape \(1, 1, 64, 64\)"),
        ((1, 3, 64, 64), (1, 3, 64, 64), r"radar: shape \(1, 3, 64, 64\)"),
        ((1, 3, 64, 64), (4, 64, 64), r"radar: shape \(4, 64, 64\)"),
        ((1, 3, 64, 64), (1, 4, 64, 96), r"radar: shape \(1, 4, 64, 96\)"),
        ((2, 3, 64, 64), (1, 4, 64, 64), r"radar: shape \(1, 4, 64, 64\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(network, image, radar, named):
    with pytest.raises(InputError, match=named):
        network(torch.zeros(image), torch.zeros(radar))


@every_filled_network
def test_a_batch_answers_as_its_samples_alone(network, golden_input):
    image, radar = (torch.cat([tensor, tensor.flip(3)]) for tensor in golden_input)
    with torch.inference_mode():
        together = flat(network(image, radar))
        alone = [flat(network(image[i : i + 1], radar[i : i + 1])) for i in (0, 1)]
    for key, value in together.items():
        single = torch.cat([output[key] for output in alone])
        error = (value - single).abs().max() / single.abs().max()
        assert error <= 1e-4, key


def flat(output):
    return {
        f"{field}/{i}": tensor
        for field, value in output._asdict().items()
        for i, tensor in enumerate([value] if isinstance(value, torch.Tensor) else value)
    }


@every_filled_network
def test_without_radar_the_answer_is_finite(network, golden_input):
    image, radar = golden_input
    with torch.inference_mode():
        output = flat(network(image, torch.zeros_like(radar)))
    assert [key for key, value in output.items() if not value.isfinite().all()] == []


@every_network
def test_gradient_reaches_all_that_trains(kind, filled_once, golden_input):
    network = copy.deepcopy(filled_once(kind)).train()
    output = network(*golden_input)
    total = output.depth.mean()
    total = total + (output.radar_depth if kind == "teacher" else output.uncertainty).mean()
    total.backward()

    frozen = {key for key, value in network.named_parameters() if not value.requires_grad}
    assert frozen == {key for key, _ in network.named_parameters() if key.endswith(UNUSED)}
    without = [
        key
        for key, value in network.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.any())
    ]
    assert without == []


@every_filled_network
def test_saved_and_loaded_weights_answer_the_same(network, golden_input, tmp_path):
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    loaded = type(network)().eval()
    loaded.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with torch.inference_mode():
        expected, got = flat(network(*golden_input)), flat(loaded(*golden_input))
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_the_students_decoder_starts_from_xavier_uniform_weights():
    torch.manual_seed(0)
    for key, weight in Student().decoder.named_parameters():
        if weight.dim() == 4:
            fan_in, fan_out = (weight[0].numel(), weight[:, 0].numel())
            bound = math.sqrt(6 / (fan_in + fan_out))
            assert weight.abs().max() <= bound, key
            assert weight.abs().max() > 0.85 * bound, key


@every_filled_network
def test_the_deployment_graph_answers_the_same(network):
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8, generator=generator)
    radar = torch.zeros(1, 4, 64, 96)
    radar[0, :, 10::20, 5::9] = torch.rand(4, 1, 1, generator=generator) * 50
    mean, std = (255 * torch.tensor(values).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    with torch.inference_mode():
        expected = network((image.permute(0, 3, 1, 2) - mean) / std, radar)
        found = DeploymentGraph(network)(image, radar)
    error = (found.depth - expected.depth[:, 0]).abs().max() / expected.depth.max()
    assert error <= 1e-4
    if isinstance(network, StudentNetwork):
        assert (found.uncertainty - expected.uncertainty[:, 0]).abs().max() <= 1e-4


@every_filled_network
def test_depth_comes_in_fine_steps_in_half_precision(network):
    """32x64 pixels; from a logit in bfloat16 some hundred depths would be left of them."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = network(*make_input(32, 64))
    assert output.depth.dtype == torch.float32
    assert len(output.depth.unique()) > 1400


def test_a_plane_beyond_what_float16_holds_spoils_no_depth(filled_once, monkeypatch):
    teacher = filled_once("teacher")
    planes = teacher.decoder.reduc8x8
    real = planes.forward

    def beyond(feature):
        depth = real(feature)
        depth[..., 5, 7] = 7e4
        return depth

    monkeypatch.setattr(planes, "forward", beyond)
    with torch.inference_mode(), torch.autocast("cpu", torch.float16):
        output = teacher(*make_input(32, 64))
    assert output.depth.isfinite().all()
    assert (output.inter_depths[0][..., 5, 7] == 7e4).all()


@pytest.mark.parametrize("kind", ["student", "small_student"])
def test_students_run_in_half_precision_throughout(kind, filled_once, golden_input):
    student = copy.deepcopy(filled_once(kind)).to(torch.bfloat16)
    with torch.inference_mode():
        output = student(*(values.to(torch.bfloat16) for values in golden_input))
    assert output.depth.dtype == output.uncertainty.dtype == torch.float32
    assert output.depth.isfinite().all()
