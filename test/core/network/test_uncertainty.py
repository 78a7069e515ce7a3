"""The student's uncertainty head."""

import torch

from lircdepth_core.network import Student
from lircdepth_core.network.uncertainty import UncertaintyHead, disagreement


def test_untrained_it_answers_one_half_and_says_so(golden_input):
    student = Student().eval()
    with torch.inference_mode():
        uncertainty = student(*golden_input).uncertainty
    assert student.uncertainty_head.untrained
    assert torch.equal(uncertainty, torch.full_like(uncertainty, 0.5))


def test_a_training_step_ends_untrained():
    head = UncertaintyHead(context_channels=4, feature_channels=4, compared=4)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(*head_inputs()).mean().backward()
    optimizer.step()
    assert not head.untrained


def test_disagreement():
    a, b = torch.tensor([10.0, 10.0, 10.0, 0.0]), torch.tensor([10.0, 30.0, 0.0, 0.0])
    expected = torch.tensor([0, 1 - torch.e**-2.5, 1 - torch.e**-5, 0])
    torch.testing.assert_close(disagreement(a, b), expected, atol=1e-4, rtol=0)
    assert disagreement(a.half(), b.half()).isfinite().all()


def test_its_gradient_stops_at_the_head_unless_asked(filled, golden_input):
    student = filled(Student())
    image, radar = (tensor[..., :32, :32] for tensor in golden_input)
    for shapes_features in (False, True):
        student.uncertainty_shapes_features = shapes_features
        student(image, radar).uncertainty.mean().backward()
        reached = {
            key.split(".")[0]
            for key, value in student.named_parameters()
            if value.grad is not None and value.grad.any()
        }
        everything = {"uncertainty_head", "decoder", "encoder", "encoder_radar"}
        assert reached == (everything if shapes_features else {"uncertainty_head"})


def test_radar_is_seen_around_its_return_and_no_farther(filled):
    head = filled(UncertaintyHead(context_channels=4, feature_channels=4, compared=4))
    depth, inter_depths, feature, context, radar = head_inputs(height=256, width=256)
    without = radar.clone()
    without[0, 0, 128, 128] = 0
    with torch.inference_mode():
        changed = head(depth, inter_depths, feature, context, radar) != head(
            depth, inter_depths, feature, context, without
        )
    rows, columns = changed[0, 0].nonzero().T
    assert 60 <= columns.max() - 128 <= 85
    assert 60 <= 128 - rows.min() <= 85


def test_it_learns_where_radar_bears_the_depth_out():
    """Two samples alike in all but the radar depth, which agrees in one and not in the other."""
    torch.manual_seed(0)
    head = UncertaintyHead(context_channels=4, feature_channels=4, compared=4)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    depth, inter_depths, feature, context, radar = head_inputs(radar_everywhere=True)
    wrong = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)
    radar = torch.cat([depth / wrong * (radar[:, :1] > 0), radar[:, 1:].expand(2, 3, 64, 64)], 1)
    depth, feature, context, *inter_depths = (
        tensor.repeat(2, 1, 1, 1) for tensor in (depth, feature, context, *inter_depths)
    )
    target = torch.where(wrong > 1, 0.8, 0.1).expand_as(depth)
    for _ in range(80):
        optimizer.zero_grad()
        loss = (head(depth, inter_depths, feature, context, radar) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * 0.35**2  # the best constant answer, 0.45, is off by 0.35


def head_inputs(height=64, width=64, radar_everywhere=False):
    generator = torch.Generator().manual_seed(3)

    def noise(channels, scale=1):
        return torch.randn(1, channels, height // scale, width // scale, generator=generator)

    depth = 30 + noise(1)
    inter_depths = tuple(depth / 100 for _ in range(4))
    radar = torch.zeros(1, 4, height, width)
    if radar_everywhere:
        radar[:, 0, 4::16, 4::16] = 1
    radar[0, 0, height // 2, width // 2] = 30
    return depth, inter_depths, noise(4).relu(), noise(4, scale=8), radar
