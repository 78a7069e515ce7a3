"""What student and teacher optimise, and what they leave alone."""

import dataclasses
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lircdepth_core.distillation import (
    StudentTask,
    StudentTaskConfig,
    TeacherTask,
    TeacherTaskConfig,
)
from lircdepth_core.distillation.confidence_loss import ConfidenceLoss
from lircdepth_core.distillation.depth_loss import DepthLoss, inter_depth_l1, plain_l1
from lircdepth_core.distillation.smoothness import smoothness
from lircdepth_core.distillation.uncertainty_loss import uncertainty_loss
from lircdepth_core.errors import InputError
from lircdepth_core.network import StudentOutput, TeacherOutput

STUDENT_TERMS = {
    "depth_dense", "depth_single", "image_feature", "radar_feature", "structure", "inter_depth",
    "smoothness", "uncertainty",
}  # fmt: skip
DISTILLED = {"image_feature", "radar_feature", "structure", "inter_depth"}
TEACHER_TERMS = {
    "depth_dense", "depth_single", "radar_depth", "confidence", "inter_depth", "smoothness",
}  # fmt: skip


@pytest.fixture(scope="module")
def make_task(stand_in):
    """A task on stand-ins with every term; keywords change its configuration.

    Of a "student" or a "teacher", whose intermediate depths are taught, as published ones are not.
    """

    def make(kind, **changes):
        if kind == "teacher":
            config = TeacherTaskConfig(**{"inter_depth": 1.0} | changes)
            return TeacherTask(stand_in(TeacherOutput), config)
        config = StudentTaskConfig(**changes)
        return StudentTask(stand_in(StudentOutput), stand_in(TeacherOutput, seed=1), config)

    return make


both = pytest.mark.parametrize("kind", ["student", "teacher"])


@both
def test_the_total_is_the_weighted_sum_of_the_named_terms(kind, make_task, make_batch):
    losses = make_task(kind)(make_batch())
    terms = losses.terms
    assert set(terms) == {"student": STUDENT_TERMS, "teacher": TEACHER_TERMS}[kind]
    weights = dict.fromkeys(terms, 1.0) | {"smoothness": 0.001, "radar_depth": 0.5}
    total = sum(weights[name] * terms[name].item() for name in terms)
    assert losses.total.item() == pytest.approx(total)
    assert losses.total.requires_grad
    assert not any(values.requires_grad for values in losses.per_sample.values())


@both
@settings(max_examples=15)
@given(samples=st.integers(1, 3), seed=st.integers(0, 10**6), empty=st.integers(0, 3))
def test_a_batchs_loss_is_the_mean_of_its_samples(
    kind, make_task, make_batch, one_sample, without_truth, samples, seed, empty
):
    batch = make_batch(samples, seed=seed)
    if empty < samples:
        batch = without_truth(batch, empty)
    task = make_task(kind)
    together = task(batch)
    alone = [task(one_sample(batch, number)) for number in range(samples)]
    for name, values in together.per_sample.items():
        torch.testing.assert_close(values, torch.cat([one.per_sample[name] for one in alone]))
    torch.testing.assert_close(together.total, torch.stack([one.total for one in alone]).mean())


@both
def test_a_sample_without_truth_adds_nothing(
    kind, make_task, make_batch, one_sample, without_truth
):
    batch = make_batch()
    needs_no_truth = ["smoothness"]
    if kind == "student":
        needs_no_truth += ["image_feature", "radar_feature", "structure"]
    task = make_task(kind, **dict.fromkeys(needs_no_truth, 0.0))
    whole = task(without_truth(batch, 1))
    assert all(values[1] == 0 for values in whole.per_sample.values())
    assert all(values[0] > 0 for values in whole.per_sample.values())

    def gradients(losses):
        parameters = list(task.network.parameters())
        return torch.autograd.grad(losses.total, parameters)

    half = gradients(task(one_sample(batch, 0)))
    for found, of_one in zip(gradients(whole), half, strict=True):
        torch.testing.assert_close(found, of_one / 2)


@both
def test_a_term_of_weight_zero_is_left_out(kind, make_task, make_batch):
    batch = make_batch()
    every = make_task(kind)(batch).per_sample
    for name in every:
        losses = make_task(kind, **{name: 0.0})(batch)
        assert set(losses.per_sample) == set(every) - {name}
        only = {other: 0.0 for other in every if other != name}
        task = make_task(kind, **only, **{name: 3.0})
        losses = task(batch)
        assert losses.total.item() == pytest.approx(3 * every[name].mean().item())
        (slope,) = torch.autograd.grad(losses.total, task.network.mix.weight)
        assert slope.abs().max() > 0


def test_the_published_teachers_intermediate_depths_are_not_taught(stand_in, make_batch):
    terms = TeacherTask(stand_in(TeacherOutput), TeacherTaskConfig())(make_batch()).terms
    assert set(terms) == TEACHER_TERMS - {"inter_depth"}


def test_settings_reach_the_losses(make_task, make_batch):
    batch = make_batch()

    def changed(kind, **setting):
        plain, other = (make_task(kind, **s)(batch).per_sample for s in ({}, setting))
        return {name for name in plain if not torch.equal(plain[name], other[name])}

    assert changed("student", rectified=False) == {"depth_dense", "depth_single"}
    assert changed("student", pooling=0.5) == {"structure"}
    detached, own = (
        torch.autograd.grad(task(batch).total, task.network.mix.weight)[0]
        for task in (make_task("student", detach_norm=value) for value in (True, False))
    )
    assert not torch.allclose(detached, own)
    for setting in ({"match_tolerance": 5.0}, {"window_rows": 3}, {"window_columns": 3}):
        assert changed("teacher", **setting) == {"confidence"}


@pytest.mark.parametrize("exact", [True, False])
def test_each_of_the_students_own_terms_compares_its_own_maps(make_task, make_batch, exact):
    task, batch = make_task("student"), make_batch()
    if not exact:  # as of nuScenes
        batch = batch._replace(exact=torch.zeros_like(batch.exact))
    student = task.network(batch.image, batch.radar)
    depth = DepthLoss()(student.depth, batch.dense, batch.single_scan)
    learned = uncertainty_loss(
        student.uncertainty, student.depth, batch.dense, batch.single_scan, batch.exact
    )
    wanted = {
        "depth_dense": depth.dense,
        "depth_single": depth.single,
        "smoothness": smoothness(student.depth, batch.image),
        "uncertainty": learned,
    }
    found = task(batch).per_sample
    for name, values in wanted.items():
        torch.testing.assert_close(found[name], values.detach(), msg=name)


def test_the_sky_is_far_where_that_is_asked_for(make_task, make_batch):
    batch = make_batch()
    exact = torch.full_like(batch.exact, 7.0)
    exact[:, :, :2] = torch.inf
    exact[1] = 5.0
    batch = batch._replace(exact=exact)
    task = make_task("student", sky=0.5)
    depth = task.network(batch.image, batch.radar).depth
    losses = task(batch)
    expected = torch.stack([100 - depth[0, :, :2].mean(), torch.tensor(0.0)])
    torch.testing.assert_close(losses.per_sample["sky"], expected.detach())
    plain = make_task("student")(batch)
    assert "sky" not in plain.per_sample
    torch.testing.assert_close(losses.total, plain.total + 0.5 * expected.mean())


def test_each_of_the_teachers_terms_compares_its_own_maps(make_task, make_batch):
    config = TeacherTaskConfig()
    task, batch = make_task("teacher"), make_batch()
    teacher = task.network(batch.image, batch.radar)
    confidence = ConfidenceLoss(config.match_tolerance, config.window_rows, config.window_columns)
    of_confidence = partial(confidence, teacher.confidence, batch.dense, batch.returns)
    wanted = {
        "depth_dense": plain_l1(teacher.depth, batch.dense),
        "depth_single": plain_l1(teacher.depth, batch.single_scan),
        "radar_depth": plain_l1(teacher.radar_depth, batch.dense),
        "confidence": of_confidence(batch.boxes),
        "inter_depth": inter_depth_l1(teacher.inter_depths, batch.dense),
        "smoothness": smoothness(teacher.depth, batch.image),
    }
    assert not torch.equal(of_confidence(batch.boxes), of_confidence(0 * batch.boxes))
    found = task(batch).per_sample
    for name, values in wanted.items():
        torch.testing.assert_close(found[name], values.detach(), msg=name)


@pytest.mark.parametrize("weighted", [{"inter_depth"}, {"depth_dense", "depth_single"}])
def test_detaching_reaches_each_rectified_loss(make_task, make_batch, weighted):
    weights = {name: float(name in weighted) for name in STUDENT_TERMS}

    def slopes(detached):
        task = make_task("student", detach_uncertainty=detached, **weights)
        return torch.autograd.grad(task(make_batch()).total, list(task.network.parameters()))

    assert not torch.allclose(slopes(True)[0], slopes(False)[0])


def test_the_teacher_runs_only_to_distil_and_must_then_be_there(stand_in, make_batch):
    student, teacher = stand_in(StudentOutput), stand_in(TeacherOutput)
    undistilled = StudentTaskConfig().without_distillation()
    losses = StudentTask(student, teacher, undistilled)(make_batch())
    assert teacher.calls == 0
    assert set(losses.per_sample) == STUDENT_TERMS - DISTILLED
    assert set(StudentTask(student, None, undistilled)(make_batch()).terms) == set(losses.terms)
    for name in DISTILLED:
        config = dataclasses.replace(undistilled, **{name: 1.0})
        StudentTask(student, teacher, config)(make_batch())
        with pytest.raises(InputError, match="teacher: none"):
            StudentTask(student, None, config)
    assert teacher.calls == len(DISTILLED)


def test_the_teacher_runs_in_a_precision_of_its_own(stand_in, make_batch):
    seen = []

    def run(around, teachers):
        networks = stand_in(StudentOutput), stand_in(TeacherOutput)
        for network in networks:
            network.mix.register_forward_hook(lambda *call: seen.append(call[2].dtype))
        task = StudentTask(*networks, StudentTaskConfig(), teachers)
        with torch.autocast("cpu", torch.bfloat16, enabled=around is torch.bfloat16):
            task(make_batch())

    for around in (torch.float32, torch.bfloat16):
        for teachers in (None, torch.float32, torch.bfloat16):
            run(around, teachers)
            assert seen[-2:] == [around, teachers or around]


@pytest.mark.parametrize(
    ("config", "fields", "words"),
    [
        (StudentTaskConfig, {"structure": -1.0}, "structure: weight -1.0"),
        (TeacherTaskConfig, {"confidence": float("nan")}, "confidence: weight nan"),
        (StudentTaskConfig, {"pooling": 0.0}, "pooling: 0.0"),
        (TeacherTaskConfig, {"window_rows": -1}, "window_rows: -1"),
        (TeacherTaskConfig, dict.fromkeys(TEACHER_TERMS, 0.0), "every weight is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config, fields, words):
    with pytest.raises(InputError, match=words):
        config(**fields)


def test_gradient_reaches_all_of_the_student_and_nothing_of_the_teacher(
    student, teacher, make_batch
):
    before = {name: buffer.clone() for name, buffer in teacher.named_buffers()}
    task = StudentTask(student.train(), teacher.train(), StudentTaskConfig())
    task(make_batch(2, 64, 96)).total.backward()
    assert without_gradient(student) == []
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    # In eval mode, so its running statistics stay.
    assert all(torch.equal(buffer, before[name]) for name, buffer in teacher.named_buffers())
    assert task.network is student


@pytest.mark.parametrize(
    ("term", "parts"),
    [
        ("image_feature", ["encoder.conv_image"]),
        ("radar_feature", ["encoder_radar.conv_radar"]),
        ("structure", ["decoder.upconv5", "decoder.upconv1", "decoder.conv1"]),
        ("inter_depth", ["decoder.scale8", "decoder.scale4", "decoder.scale2"]),
        ("smoothness", ["decoder.get_depth"]),
    ],
)
def test_each_term_alone_reaches_what_it_teaches(term, parts, student, teacher, make_batch):
    weights = {name: float(name == term) for name in STUDENT_TERMS}
    task = StudentTask(student.train(), teacher, StudentTaskConfig(**weights))
    task(make_batch(2, 64, 96)).total.backward()
    unreached = without_gradient(student)
    assert [name for name in unreached if name.startswith(tuple(parts))] == []


def test_gradient_reaches_all_of_the_teacher(teacher, make_batch):
    TeacherTask(teacher.train(), TeacherTaskConfig())(make_batch(2, 64, 96)).total.backward()
    assert without_gradient(teacher) == []


def without_gradient(network):
    """Names of what trains and was not reached, or not by a finite gradient."""
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not 0 < parameter.grad.abs().max() < torch.inf)
    ]


@both
def test_under_autocast_the_losses_are_float32(kind, make_task, make_batch):
    batch = make_batch()
    task = make_task(kind)
    exact = task(batch)
    with torch.autocast("cpu", torch.bfloat16):
        losses = task(batch)
    assert losses.total.dtype == torch.float32
    for name, values in losses.per_sample.items():
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, exact.per_sample[name], rtol=0.1, atol=0.01)
    losses.total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in task.network.parameters())


@both
def test_only_what_trains_is_wrapped(kind, make_task, make_batch):
    class Wrapper(nn.Module):
        """Stands for DDP, which training runs with two processes of its own."""

        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *inputs):
            return self.module(*inputs)

    task, wrapped = make_task(kind), make_task(kind)
    wrapped.network = Wrapper(wrapped.network)
    torch.testing.assert_close(wrapped(make_batch()).total, task(make_batch()).total)
    assert wrapped.network.module.calls == 1
    names = {f"module.{name}" for name in task.network.state_dict()}
    assert set(wrapped.network.state_dict()) == names


def test_the_teacher_is_no_part_of_what_is_saved(make_task):
    task = make_task("student")
    assert not isinstance(task, nn.Module)
    assert set(task.network.state_dict()) == {"mix.weight", "mix.bias"}
