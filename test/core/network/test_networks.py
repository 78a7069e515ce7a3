"""What both networks promise."""

import math

import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.network import Student, Teacher

NETWORKS = {"student": Student, "teacher": Teacher}
UNUSED = ("fc.weight", "fc.bias", "sparsity.weight")
every_network = pytest.mark.parametrize("kind", NETWORKS)


@pytest.fixture(scope="module")
def network(request, filled):
    """A filled network in eval mode; tests leave it as it is."""
    return filled(NETWORKS[request.param]())


every_filled_network = pytest.mark.parametrize("network", NETWORKS, indirect=True)


@every_network
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


@every_filled_network
def test_output_shapes(network, golden_input):
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
def test_gradient_reaches_all_that_trains(kind, filled, golden_input):
    network = filled(NETWORKS[kind]()).train()
    output = network(*golden_input)
    total = output.depth.mean()
    total = total + (output.uncertainty if kind == "student" else output.radar_depth).mean()
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
def test_depth_comes_in_fine_steps_in_half_precision(network, golden_input):
    """64x96 pixels; from a logit in bfloat16 some hundred depths would be left of them."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = network(*golden_input)
    assert output.depth.dtype == torch.float32
    assert len(output.depth.unique()) > 4000


def test_the_student_runs_in_half_precision_throughout(filled, golden_input):
    student = filled(Student()).to(torch.bfloat16)
    with torch.inference_mode():
        output = student(*(values.to(torch.bfloat16) for values in golden_input))
    assert output.depth.dtype == output.uncertainty.dtype == torch.float32
    assert output.depth.isfinite().all()
