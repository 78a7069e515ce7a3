"""The uncertainty-rectified depth loss, by hand."""

import math

import pytest
import torch

from lircdepth_core.distillation import DepthLoss
from lircdepth_core.distillation.depth_loss import inter_depth_l1, plain_l1
from lircdepth_core.errors import InputError


def maps(*rows):
    """Each row of numbers as one sample (N, 1, 1, W)."""
    return torch.tensor(rows, dtype=torch.float32)[:, None, None]


def weight(truth, depth):
    """Its share of the softmax over its U and the other's, which is 1."""
    u = 1 - math.exp(-5 * abs(truth - depth) / (truth + depth))
    return math.exp(u) / (math.exp(u) + math.e)


DEPTH = maps([12, 20, 30, 44])
DENSE = maps([10, 20, 33, 0])
SINGLE = maps([0, 0, 36, 40])


def test_each_term_is_the_mean_error_weighted_by_uncertainty():
    terms = DepthLoss()(DEPTH, DENSE, SINGLE)
    v = [weight(10, 12), weight(20, 20)]  # the third pixel is the single scan's
    assert terms.dense.tolist() == pytest.approx([2 * v[0] / sum(v)])
    assert v[1] == pytest.approx(1 / (1 + math.e))
    v = [weight(36, 30), weight(40, 44)]
    assert terms.single.tolist() == pytest.approx([(6 * v[0] + 4 * v[1]) / sum(v)])


def test_plain_it_is_the_mean_error_on_the_same_pixels():
    terms = DepthLoss(rectified=False)(DEPTH, DENSE, SINGLE)
    assert terms.dense.tolist() == [1]
    assert terms.single.tolist() == [5]
    assert plain_l1(DEPTH, DENSE).tolist() == pytest.approx([(2 + 0 + 3) / 3])


def test_samples_do_not_weigh_each_others_losses():
    depth = maps([12, 20], [50, 60], [5, 5])
    dense = maps([10, 20], [20, 20], [0, 0])
    terms = DepthLoss()(depth, dense, torch.zeros_like(dense))
    alone = [DepthLoss()(depth[i, None], dense[i, None], 0 * dense[:1]).dense for i in range(3)]
    assert terms.dense.tolist() == pytest.approx(torch.cat(alone).tolist())
    assert terms.dense[2] == 0


@pytest.mark.parametrize("detached", [True, False])
def test_gradient_flows_through_the_weights_unless_detached(detached):
    depth = DEPTH.double().requires_grad_()
    loss = DepthLoss(detach_uncertainty=detached)

    def dense_term(a):
        """With the weights of the original depths, if detached."""
        v = [weight(10, 12 if detached else a), weight(20, 20)]
        return abs(10 - a) * v[0] / sum(v)

    loss(depth, DENSE.double(), SINGLE.double()).dense.sum().backward()
    slope = (dense_term(12 + 1e-4) - dense_term(12 - 1e-4)) / 2e-4
    assert depth.grad[0, 0, 0, 0].item() == pytest.approx(slope, rel=1e-4)


def test_without_truth_loss_and_gradient_are_zero():
    depth = DEPTH.clone().requires_grad_()
    terms = DepthLoss()(depth, torch.zeros_like(depth), torch.zeros_like(depth))
    (terms.dense + terms.single).sum().backward()
    assert terms.dense.tolist() == terms.single.tolist() == [0]
    assert not depth.grad.any()


def test_a_missing_channel_axis_is_refused():
    depth = torch.ones(2, 1, 3, 4)
    with pytest.raises(InputError, match=r"dense \(2, 3, 4\)"):
        DepthLoss()(depth, depth[:, 0], depth)
    with pytest.raises(InputError, match=r"target \(2, 3, 4\)"):
        plain_l1(depth, depth[:, 0])


def test_intermediate_depths_count_each_scale_alike_as_depths_of_0_to_100_m():
    truth = torch.cat([DENSE, maps([0, 0, 0, 50])])
    d8 = maps([0.12, 0.20, -5.0, 0.9], [0.5] * 4)  # planar guidance behind the camera counts as 0 m
    d4 = maps([0.10, 0.20, 0.33, 0.9], [0.5] * 4)
    d2 = maps([0.10, 0.20, 70.0, 0.9], [0.2] * 4)  # and far beyond as 100 m
    found = inter_depth_l1((d8, d4, d2), truth)
    assert found.tolist() == pytest.approx([((2 + 33) / 3 + 0 + 67 / 3) / 3, 30 / 3])
