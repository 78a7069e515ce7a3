"""What the uncertainty head learns."""

import math

import pytest
import torch

from lircdepth_core.distillation import uncertainty_loss


def maps(*rows):
    return torch.tensor(rows, dtype=torch.float32)[:, None, None]


def entropy(p, t):
    return -t * math.log(p) - (1 - t) * math.log(1 - p)


def disagreement(truth, depth):
    return 1 - math.exp(-5 * abs(truth - depth) / (truth + depth))


def test_learned_at_truth_exact_before_single_before_dense_and_at_the_sky():
    depth = maps([10, 20, 30, 40, 50])
    dense = maps([11, 99, 99, 0, 0])
    single = maps([0, 22, 99, 0, 0])
    exact = maps([0, 0, 33, math.inf, 0])
    p = [0.1, 0.2, 0.3, 0.4, 0.5]
    loss = uncertainty_loss(maps(p), depth, dense, single, exact)
    terms = [
        entropy(0.1, disagreement(11, 10)),
        entropy(0.2, disagreement(22, 20)),
        entropy(0.3, disagreement(33, 30)),
        entropy(0.4, 1),
    ]
    assert loss.tolist() == pytest.approx([sum(terms) / 4])


def test_the_best_answer_is_the_expected_uncertainty():
    # One place, seen with three depths: U of 0, of one half and of 1.
    half = 10 * (1 + math.log(2) / 5) / (1 - math.log(2) / 5)
    exact = maps([10, half, math.inf])
    zero = torch.zeros_like(exact)
    depth = torch.full((1, 1, 1, 3), 10.0)

    def slope(p):
        logit = torch.logit(torch.tensor(p)).requires_grad_()
        uncertainty = logit.sigmoid().expand(1, 1, 1, 3)
        uncertainty_loss(uncertainty, depth, zero, zero, exact).sum().backward()
        return logit.grad.item()

    assert slope(0.5) == pytest.approx(0, abs=1e-6)
    assert slope(0.4) == pytest.approx(-0.1, abs=1e-6)
    assert slope(0.7) == pytest.approx(0.2, abs=1e-6)


def test_depth_is_taken_as_given_and_no_truth_costs_nothing():
    depth = maps([10, 20], [10, 20]).requires_grad_()
    uncertainty = maps([0.5, 0.5], [0.5, 0.5]).requires_grad_()
    zero = torch.zeros_like(depth)
    loss = uncertainty_loss(uncertainty, depth, zero, maps([11, 0], [0, 0]), zero)
    loss.sum().backward()
    assert depth.grad is None
    assert loss[1] == 0
    assert uncertainty.grad.flatten().ne(0).tolist() == [True, False, False, False]


@pytest.mark.parametrize("rounded", [0.0, 1.0])
def test_an_answer_rounded_in_half_precision_costs_a_finite_loss(rounded):
    uncertainty = maps([rounded]).half().requires_grad_()
    zero = torch.zeros(1, 1, 1, 1)
    loss = uncertainty_loss(uncertainty, maps([10]), zero, maps([15]), zero)
    loss.sum().backward()
    assert loss.isfinite()
    assert uncertainty.grad.isfinite().all()


@pytest.mark.parametrize("which", ["uncertainty", "depth"])
def test_what_is_not_a_number_is_passed_on_for_the_training_loop_to_name(which):
    given = {"uncertainty": maps([0.5, 0.5]), "depth": maps([10, 10])}
    given[which][0, 0, 0, 1] = math.nan
    truth = maps([9, 9])
    assert uncertainty_loss(**given, dense=truth, single_scan=truth, exact=truth).isnan().all()
