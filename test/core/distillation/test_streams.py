"""The three distillation streams and smoothness, by hand."""

import math

import pytest
import torch

from lircdepth_core.distillation import (
    InterDepthDistillation,
    StructureDistillation,
    image_feature_loss,
    radar_feature_loss,
    smoothness,
)
from lircdepth_core.errors import InputError


def test_deep_image_features_and_shallow_radar_features_weigh_most():
    shallow, deep = torch.zeros(2, 3, 4, 6), torch.zeros(2, 5, 2, 3)
    deep_changed = deep.clone()
    deep_changed[1] += 3
    deep_changed[1, 0, 0, 0] += 30
    mean_deep = 3 + 30 / 30
    image = image_feature_loss((shallow, deep), (shallow + 1, deep_changed))
    assert image.tolist() == pytest.approx([0.5, mean_deep + 0.5])
    radar = radar_feature_loss((shallow, deep), (deep_changed, shallow + 1))
    assert radar.tolist() == pytest.approx([1, 1 + 0.5 * mean_deep])


def test_structure_compares_cosines_of_pixels():
    small = torch.tensor([[3.0, 0.0], [0.0, 7.0]]).reshape(1, 2, 1, 2)  # at right angles
    alike = torch.tensor([[1.0, 2.0], [1.0, 2.0]]).reshape(1, 2, 1, 2)
    student, teacher = (small, alike), (alike, small)
    # Two of four cosines differ by 1, at both scales; the last one is the full size.
    loss = StructureDistillation()(student, teacher)
    assert loss.tolist() == pytest.approx([0.5 + 0.5 * 0.5])
    assert StructureDistillation()(student, student).tolist() == [0]
    slanted = torch.tensor([[1.0, 3.0], [0.0, 4.0]]).reshape(1, 2, 1, 2)
    loss = StructureDistillation()((slanted,), (small,))
    assert loss.tolist() == pytest.approx([2 * 0.6**2 / 4])


def test_structure_takes_a_pixels_norm_as_given():
    feature = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).requires_grad_()
    StructureDistillation().affinity(feature).sum().backward()
    assert feature.grad.flatten().tolist() == pytest.approx([2 * 3 / 25, 2 * 4 / 25])


def test_structure_has_its_own_gradient_where_that_is_asked_for():
    size = torch.tensor(1.0, requires_grad=True)
    student, teacher = torch.randn(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for detached in (True, False):
        loss = StructureDistillation(0.2, detached)([size * student], [teacher]).sum()
        (slope,) = torch.autograd.grad(loss, size)
        # The loss is that of directions: it is as large for features of any size.
        assert (slope.abs() < 1e-6) == (not detached)


def test_structure_s_own_gradient_survives_pixels_without_any_feature():
    student = torch.zeros(1, 4, 6, 6, requires_grad=True)
    teacher = torch.rand(1, 4, 6, 6)
    StructureDistillation(0.2, detach_norm=False)([student], [teacher]).sum().backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(
    ("size", "pixels"),
    [((352, 704), 36), ((22, 44), 36), ((11, 10), 6 * 5), ((4, 6), 24), ((1, 1), 1)],
)
def test_structure_pools_to_a_few_pixels(size, pixels):
    affinity = StructureDistillation().affinity(torch.rand(2, 3, *size))
    assert affinity.shape == (2, pixels, pixels)


def test_structure_refuses_what_it_pools_to_other_pixels():
    """192 rows in pieces of 9 are 22; 96 in pieces of 4 are 24."""
    large, small = torch.ones(1, 2, 192, 32), torch.ones(1, 2, 96, 16)
    with pytest.raises(InputError, match=r"pooling: 0\.05 makes"):
        StructureDistillation(0.05)([small], [large])
    assert StructureDistillation(0.2)([small], [large]) == 0


def test_structure_pools_by_the_maximum_row_by_row():
    feature = torch.zeros(1, 2, 10, 10)
    feature[0, 0], feature[0, 1, 3, 5] = 1, 1  # its cell of 2x2 is row 1, column 2
    affinity = StructureDistillation().affinity(feature)[0]
    odd = (affinity[0] < 0.99).nonzero().flatten().tolist()
    assert odd == [1 * 5 + 2]
    assert affinity[0, odd[0]].item() == pytest.approx(math.sqrt(0.5))


def inter(*values):
    """A map (1, 1, 1, W) for each of d8, d4, d2."""
    return tuple(torch.tensor(row, dtype=torch.float32).reshape(1, 1, 1, -1) for row in values)


def test_inter_depths_are_weighted_by_disagreement():
    student = inter([0.1, 0.3, 0.5], [0.2, 0.2, 0.2], [0.4, 0.6, 0.2])
    teacher = inter([0.1, 0.5, 0.5], [0.2, 0.2, 0.2], [0.3, -0.1, 0.9])
    mask = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    u = 1 - math.exp(-5 * 0.1 / 0.7)
    at_2 = (u * 0.1 + 1 * 0.7) / (u + 1)  # no U for a depth of -0.1
    at_8 = 0.2  # where they agree there is no weight
    loss = InterDepthDistillation()(student, teacher, mask)
    assert loss.tolist() == pytest.approx([at_2 + 0.25 * at_8], rel=1e-5)


def test_equal_inter_depths_and_empty_masks_cost_nothing():
    student = tuple(d.requires_grad_() for d in inter([0.1, 0.3], [0.2, 0.2], [0.4, 0.6]))
    equal = tuple(d.detach() for d in student)
    other = tuple(d + 1 for d in equal)
    everywhere = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    for teacher, mask in ((equal, everywhere), (other, ~everywhere)):
        loss = InterDepthDistillation()(student, teacher, mask)
        loss.sum().backward()
        assert loss.tolist() == [0]
        assert not any(d.grad.any() for d in student)


def test_a_teachers_depth_below_zero_leaves_the_gradient_finite():
    student = tuple(d.requires_grad_() for d in inter([0.1], [0.1], [0.1]))
    teacher = inter([-0.1], [-0.101], [-50])
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    InterDepthDistillation()(student, teacher, mask).sum().backward()
    assert [d.grad.item() for d in student] == [0.25, 0.5, 1]


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_a_teachers_depth_that_is_not_finite_teaches_nothing(odd):
    student = tuple(d.requires_grad_() for d in inter([0.1, 0.3], [0.2, 0.2], [0.4, 0.6]))
    teacher = inter([0.2, odd], [0.2, 0.2], [0.4, 0.6])
    mask = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    loss = InterDepthDistillation()(student, teacher, mask)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([0.25 * 0.1])
    assert all(d.grad.isfinite().all() for d in student)


def test_inter_depths_weights_can_be_detached():
    def slopes(detached):
        student = tuple(d.requires_grad_() for d in inter([0.1, 0.3], [0.2, 0.2], [0.4, 0.6]))
        teacher = inter([0.2, 0.5], [0.3, 0.6], [0.5, 0.9])
        mask = torch.ones(1, 1, 1, 2, dtype=torch.bool)
        InterDepthDistillation(detached)(student, teacher, mask).sum().backward()
        return student[2].grad.flatten()

    u = torch.tensor([1 - math.exp(-5 * 0.1 / 0.9), 1 - math.exp(-5 * 0.3 / 1.5)])
    assert slopes(True).tolist() == pytest.approx((-u / u.sum()).tolist(), rel=1e-4)
    assert (slopes(True) - slopes(False)).abs().min() > 1e-2


def test_smoothness_forgives_steps_at_edges_of_the_image():
    image = torch.zeros(2, 3, 2, 3)
    image[1, 0, :, 1:] = 1.5  # a step of 0.5 on average
    depth = torch.tensor([[1.0, 5.0, 5.0], [1.0, 5.0, 6.0]]).expand(2, 1, 2, 3)
    along_y = (0 + 0 + 1) / 3
    expected = [(4 + 0 + 4 + 1) / 4 + along_y, ((4 + 4) * math.exp(-0.5) + 1) / 4 + along_y]
    assert smoothness(depth, image).tolist() == pytest.approx(expected)


def test_inter_depths_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"mask \(1, 1, 2\)"):
        InterDepthDistillation()(inter([1, 1]), inter([1, 1]), torch.ones(1, 1, 2) > 0)
