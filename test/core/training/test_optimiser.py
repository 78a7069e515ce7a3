"""Parameter groups and learning rate of the recipe."""

from __future__ import annotations

import pytest
import torch

from lircdepth_core.network import Student
from lircdepth_core.training.config import Optimiser
from lircdepth_core.training.optimiser import learning_rate, make_optimiser


def test_encoders_decay_and_the_rest_does_not_and_nothing_is_left_out():
    student = Student()
    student.decoder.scale1.requires_grad_(False)
    groups = make_optimiser(student, Optimiser()).param_groups
    decay = {id(value): group["weight_decay"] for group in groups for value in group["params"]}
    for name, parameter in student.named_parameters():
        expected = 1e-4 if name.startswith(("encoder.", "encoder_radar.")) else 0.0
        if name.startswith("decoder.scale1."):
            assert id(parameter) not in decay
        else:
            assert decay.pop(id(parameter)) == expected, name
    assert not decay
    assert all((group["lr"], group["eps"]) == (5e-5, 1e-2) for group in groups)


def test_the_learning_rate_falls_to_a_tenth():
    config = Optimiser(learning_rate=2.0)
    assert learning_rate(0, 100, config) == 2.0
    assert learning_rate(50, 100, config) == pytest.approx(2 * (0.9 * 0.535887 + 0.1), rel=1e-5)
    assert learning_rate(100, 100, config) == pytest.approx(0.2)


def test_it_warms_up():
    config = Optimiser(learning_rate=1.0, warmup_steps=4, end_share=1.0)
    assert [learning_rate(step, 10, config) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_weight_decay_is_apart_from_the_gradient():
    """AdamW: without a gradient's worth, a weight shrinks by lr times decay."""
    network = torch.nn.ModuleDict({"encoder": torch.nn.Linear(1, 1, bias=False)})
    optimiser = make_optimiser(network, Optimiser(learning_rate=0.1, encoder_weight_decay=0.5))
    before = network["encoder"].weight.item()
    network["encoder"].weight.grad = torch.zeros(1, 1)
    optimiser.step()
    assert network["encoder"].weight.item() == pytest.approx(before * 0.95)


def test_updates_are_adamws_with_weights_that_lie_channels_last():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Conv2d(5, 2, 3))
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Conv2d(5, 2, 3))
    plain.load_state_dict(network.state_dict())
    torch.nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    settings = Optimiser(learning_rate=1e-2, eps=1e-8, decoder_weight_decay=0.1)
    ours = make_optimiser(network, settings)
    expected = torch.optim.AdamW(plain.parameters(), lr=1e-2, eps=1e-8, weight_decay=0.1)
    image = torch.randn(2, 3, 9, 9)
    for _ in range(5):
        for net, optimiser in ((network, ours), (plain, expected)):
            optimiser.zero_grad()
            net(image).square().mean().backward()
            optimiser.step()
    for (name, value), other in zip(network.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-5, atol=1e-6, msg=name)
