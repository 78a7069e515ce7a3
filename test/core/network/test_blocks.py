"""Pieces of the networks against values computed by hand."""

from math import exp, pi, sqrt

import pytest
import torch
from torch import nn

from lircdepth_core.network import Student, Teacher
from lircdepth_core.network.blocks import TransposedBottleneck
from lircdepth_core.network.planar_guidance import PlanarGuidance, plane_depth
from lircdepth_core.network.sparse_conv import SparseConv


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_bottleneck(stride):
    block = TransposedBottleneck(8, 5, stride)
    assert block(torch.randn(2, 8, 6, 7)).shape == (2, 5, 6 * stride, 7 * stride)
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [(type(m), m.groups, m.kernel_size, m.bias) for m in convolutions] == [
        (nn.Conv2d, 1, (1, 1), None),
        (nn.ConvTranspose2d, 48, (3, 3), None),
        (nn.ConvTranspose2d, 1, (1, 1), None),
    ]


def test_transposed_bottleneck_has_no_residual():
    block = TransposedBottleneck(4, 4, 1).eval()
    nn.init.zeros_(block.pointwise_layer_transpose[0].weight)
    assert not block(torch.randn(1, 4, 3, 3)).any()


def test_sparse_convolution_divides_by_the_returns_it_saw():
    layer = SparseConv(1, 1, 3)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.arange(1.0, 10).reshape(1, 1, 3, 3))
        layer.bias.fill_(-1)
    x, mask = torch.zeros(2, 1, 1, 3, 7)
    x[0, 0, 1, 1], x[0, 0, 1, 3] = 10, 20
    x[0, 0, 0, 6] = 99  # outside the mask: must not count
    mask[0, 0, 1, [1, 3]] = 1

    y, grown = layer(x, mask)

    assert y[0, 0, 1, 1].item() == pytest.approx(5 * 10 - 1)  # the return under the centre
    assert y[0, 0, 0, 0].item() == pytest.approx(9 * 10 - 1)  # right and below
    assert y[0, 0, 1, 2].item() == pytest.approx((4 * 10 + 6 * 20) / 2 - 1)  # one each side
    assert y[0, 0, 1, 6].item() == pytest.approx(exp(-1) - 1)  # none: the bias through ELU
    assert grown[0, 0].tolist() == [[1, 1, 1, 1, 1, 0, 0]] * 3


def test_a_plane_is_met_where_it_should_be():
    # Two cells of 2 x 2 pixels, normals (0.6, 0, 0.8) and (0, 0.6, 0.8), 10 from the origin; rays
    # pass a quarter of a cell off the centre.
    polar = torch.atan2(torch.tensor(0.6), torch.tensor(0.8)).expand(1, 1, 2)
    azimuth = torch.tensor([[[0, pi / 2]]])
    depth = plane_depth(polar, azimuth, torch.full((1, 1, 2), 10.0), scale=2)
    near, far = 10 / (0.8 + 0.15), 10 / (0.8 - 0.15)
    expected = torch.tensor([[[[far, near, far, far], [far, near, near, near]]]])
    torch.testing.assert_close(depth, expected)


def test_planar_guidance_angles_and_sub_pixels():
    guidance = PlanarGuidance(16, first=8, scale=4)
    nn.init.zeros_(guidance.reduc.plane_params.weight)  # sigmoids of 0: pi/6, pi and 0.5
    depth = guidance(torch.randn(1, 16, 1, 1))
    u = torch.tensor([-0.375, -0.125, 0.125, 0.375])
    expected = (0.5 / (-0.5 * u + sqrt(3) / 2)).expand(1, 1, 4, 4)
    torch.testing.assert_close(depth, expected)


def test_coarse_radar_depth_counts_only_above_confidence_0_4():
    teacher = Teacher().eval()
    confidence = torch.tensor([0.2, 0.39, 0.4, 0.41, 0.9]).repeat(32 * 32 // 5 + 1)[: 32 * 32]
    confidence = confidence.reshape(1, 1, 32, 32)
    seen = []
    teacher.decoder_radar.register_forward_hook(
        lambda *_: (torch.full_like(confidence, 0.3), confidence)
    )
    teacher.encoder_radar2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    radar = torch.rand(1, 4, 32, 32)
    with torch.inference_mode():
        teacher(torch.zeros(1, 3, 32, 32), radar)

    believed, passed_on = seen[0].split([1, 4], dim=1)
    torch.testing.assert_close(believed, 30.0 * (confidence > 0.405))
    assert torch.equal(passed_on, radar)


def test_batch_normalisation_constants():
    """BTS's in the teacher's decoders but for the atrous layers' second; torch's all else."""
    for network in (Student(), Teacher()):
        for key, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                bts = isinstance(network, Teacher) and key.startswith("decoder")
                bts = bts and "aconv_sequence" not in key
                expected = (1.1e-5, 0.01) if bts else (1e-5, 0.1)
                assert (module.eps, module.momentum) == expected, key


def test_sparse_convolution_of_nothing_is_its_bias_in_half_precision_too():
    layer = SparseConv(2, 3, 5)
    nn.init.constant_(layer.bias, 0.5)
    with torch.autocast("cpu", torch.float16):
        answer, mask = layer(torch.randn(1, 2, 8, 8), torch.zeros(1, 1, 8, 8))
    assert torch.equal(answer, torch.full((1, 3, 8, 8), 0.5))
    assert not mask.any()
