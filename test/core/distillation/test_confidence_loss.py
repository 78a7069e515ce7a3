"""Where the teacher's radar confidence shall be 1."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lircdepth_core.distillation import ConfidenceLoss

NO_BOXES = torch.zeros(1, 0, 4)


def returns(*rows):
    """One sample's returns from (u, v, depth, box)."""
    return torch.tensor([[[u, v, depth, 0, 0, 0, box] for u, v, depth, box in rows]]).float()


def matched(dense, radar, boxes=NO_BOXES, **settings):
    found = ConfidenceLoss(**settings).matches(dense, radar, boxes)
    return {tuple(pixel) for pixel in found[0, 0].nonzero().tolist()}


def rectangle(top, left, bottom, right):
    """Pixels of it, edges included."""
    return {(y, x) for y in range(top, bottom + 1) for x in range(left, right + 1)}


def test_a_window_reaches_50_rows_and_150_columns():
    dense = torch.full((1, 1, 240, 700), 20.0)
    assert matched(dense, returns((300.9, 100.9, 20.3, 0))) == rectangle(50, 150, 150, 450)
    assert matched(dense, returns((3, 238, 20.3, 0))) == rectangle(188, 0, 239, 153)


def test_an_object_box_takes_the_windows_place():
    dense = torch.full((1, 1, 40, 60), 20.0)
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [10.5, 5.0, 20.0, 9.9]]])
    assert matched(dense, returns((15, 7, 20.0, 2)), boxes) == rectangle(5, 11, 9, 20)


def test_only_near_depths_match_and_none_where_there_is_no_depth():
    dense = torch.tensor([[[[20.0, 20.39, 20.41, 19.61, 19.59, 0.0]]]])
    assert matched(dense, returns((0, 0, 20, 0))) == {(0, 0), (0, 1), (0, 3)}
    assert matched(dense, returns((0, 0, 0, 0)), tolerance=30) == set()
    near = torch.tensor([[[[0.0, 0.5]]]])
    assert matched(near, returns((0, 0, 1, 0)), tolerance=2) == {(0, 1)}


def test_a_later_return_takes_no_match_away():
    dense = torch.full((1, 1, 30, 40), 20.0)
    assert matched(dense, returns((9, 9, 20, 0), (9, 9, 50, 0))) == rectangle(0, 0, 29, 39)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_it_equals_pixel_by_pixel(seed):
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=generator)

    dense = uniform(1, 6, 2, 1, 12, 16) * (uniform(0, 1, 2, 1, 12, 16) < 0.8)
    radar = uniform(0, 6, 2, 5, 7) * torch.tensor([2.6, 1.9, 1, 1, 1, 1, 0])
    radar[..., 6] = uniform(0, 3, 2, 5).floor()
    radar[:, 4, 2] = 0
    corners = uniform(-8, 18, 2, 2, 2)
    boxes = torch.cat([corners, corners + uniform(0, 5, 2, 2, 2)], -1)
    boxes[..., 1::2] *= 0.7
    found = ConfidenceLoss(window_rows=2, window_columns=3).matches(dense, radar, boxes)

    for n, y, x in torch.ones(2, 12, 16).nonzero().tolist():
        expected = False
        for u, v, depth, *_, box in radar[n].tolist():
            x1, y1, x2, y2 = int(u) - 3, int(v) - 2, int(u) + 3, int(v) + 2
            if box:
                x1, y1, x2, y2 = boxes[n, int(box) - 1].tolist()
            near = abs(dense[n, 0, y, x].item() - depth) < 0.4
            inside = x1 <= x <= x2 and y1 <= y <= y2
            expected |= depth > 0 and dense[n, 0, y, x].item() > 0 and near and inside
        assert found[n, 0, y, x].item() == expected


def test_the_loss_is_the_cross_entropy_where_there_is_dense_depth():
    dense = torch.tensor([[[[20.0, 30.0, 0.0]]], [[[0.0, 0.0, 0.0]]]])
    confidence = torch.tensor([[[[0.8, 0.4, 0.9]]], [[[0.8, 0.4, 0.9]]]]).requires_grad_()
    radar = returns((0, 0, 20, 0)).repeat(2, 1, 1)
    loss = ConfidenceLoss()(confidence, dense, radar, torch.zeros(2, 0, 4))
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([(-math.log(0.8) - math.log(0.6)) / 2, 0])
    assert confidence.grad.ne(0).flatten().tolist() == [True, True, False, False, False, False]


def test_a_batch_without_returns_matches_nowhere():
    dense = torch.full((2, 1, 4, 6), 20.0)
    radar, boxes = torch.zeros(2, 0, 7), torch.zeros(2, 0, 4)
    loss = ConfidenceLoss()(torch.full((2, 1, 4, 6), 0.25), dense, radar, boxes)
    assert loss.tolist() == pytest.approx([-math.log(0.75)] * 2)


def test_many_returns_are_matched_like_one_by_one():
    generator = torch.Generator().manual_seed(1)
    dense = torch.rand(1, 1, 20, 30, generator=generator) * 4 + 1
    radar = torch.zeros(1, 19, 7)
    radar[0, :, :3] = torch.rand(19, 3, generator=generator) * torch.tensor([29.0, 19.0, 4.0])
    windows = {"window_rows": 2, "window_columns": 3}
    alone = [matched(dense, radar[:, [number]], **windows) for number in range(19)]
    assert matched(dense, radar, **windows) == set().union(*alone)
