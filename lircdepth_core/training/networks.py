"""The networks of a run: what learns, as it is at first, and who teaches it."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from lircdepth_core.errors import InputError, naming
from lircdepth_core.inference import ModelDescription, find_model, load_published
from lircdepth_core.inference.model_files import load_network, read_description
from lircdepth_core.inference.published import PUBLISHED
from lircdepth_core.network import (
    NETWORKS,
    SmallStudent,
    Student,
    StudentNetwork,
    Teacher,
    load_imagenet,
)
from lircdepth_core.network.mobilenet import MobileNetV2
from lircdepth_core.network.resnet import ResNet
from lircdepth_core.training.config import ImageNet, Start

TEACHERS = {"student": ("teacher",), "small_student": ("teacher", "student")}
"""Which networks can teach a student."""


def starting_network(
    kind: str, start: Start, seed: int
) -> tuple[StudentNetwork | Teacher, ModelDescription | None]:
    """The network that is to learn, and what it was before, if it comes from a model folder.

    Args:
        kind: one of `NETWORKS`.
        start: where the parameters come from.
        seed: of those that come from nowhere.

    Raises:
        InputError: a file cannot be read, or is of another network.
    """
    torch.manual_seed(seed)
    if start.model is not None:
        if Path(start.model).is_file():
            if kind not in PUBLISHED:
                raise InputError(f"start.model: no {kind} was published; give a model folder")
            _refuse_safetensors("start.model", start.model)
            with naming("start.model"):
                return load_published(start.model, kind), None
        folder, description = _described(start.model, (kind,), "start.model")
        known = load_network(folder, description)
        assert isinstance(known, StudentNetwork | Teacher)
        return known, description
    network = NETWORKS[kind]()
    files = start.imagenet
    if not isinstance(network, SmallStudent) and start.image_encoder:
        raise InputError(f"start.image_encoder: not for a {kind}; give null")
    if isinstance(network, Teacher):
        _refuse(kind, mobilenet_v2=files.mobilenet_v2)
        _load_imagenet(network.encoder.base_model, files, "resnet34")
        _load_imagenet(network.encoder_radar1.base_model_radar, files, "resnet18")
        _load_imagenet(network.encoder_radar2.base_model_radar, files, "resnet18")
        return network, None
    _refuse(kind, resnet34=files.resnet34, resnet18=files.resnet18)
    if isinstance(network, SmallStudent):
        _load_imagenet(network.encoder.base_model, files, "mobilenet_v2")
        if start.image_encoder:
            backbone = _student_backbone(start.image_encoder)
            network.encoder.base_model.load_state_dict(backbone.state_dict())
    elif isinstance(network, Student):
        _load_imagenet(network.encoder.base_model, files, "mobilenet_v2")
        _load_imagenet(network.encoder_radar.base_model, files, "mobilenet_v2")
    return network, None


def load_teacher(
    source: str, focal_length: float, kinds: tuple[str, ...] = ("teacher",)
) -> StudentNetwork | Teacher:
    """A trained network to learn from, of a model folder or a published checkpoint.

    Args:
        source: path or name of a model folder, or a teacher's file of `torch.save`.
        focal_length: pixels, of the images it is shown. A model folder's must be the same, because
            its depths have that scale.
        kinds: which networks may be the teacher.

    Raises:
        InputError: it cannot be read, is not trained, or learned another focal length.
    """
    if Path(source).is_file():
        _refuse_safetensors("teacher", source)
        with naming("teacher"):
            return load_published(source, "teacher")
    folder, description = _described(source, kinds, "teacher")
    if not description.trained:
        raise InputError(f"teacher: {source} is not trained; train it first")
    learned = description.input.focal_length
    if not math.isclose(learned, focal_length, rel_tol=1e-3):
        raise InputError(
            f"teacher: {source} learned with a focal length of {learned:g} px; give this as "
            f"data.focal_length, not {focal_length:g}"
        )
    teacher = load_network(folder, description)
    assert isinstance(teacher, StudentNetwork | Teacher)
    return teacher


def _refuse_safetensors(field: str, source: str) -> None:
    """Say what to give instead of the weights of a model folder, or of a run's checkpoint."""
    if Path(source).suffix == ".safetensors":
        raise InputError(
            f"{field}: {source} holds parameters alone; give the folder of a model, such as "
            "runs/teacher/model"
        )


def _student_backbone(source: str) -> MobileNetV2:
    """The image backbone of a student in a model folder."""
    folder, description = _described(source, ("student",), "start.image_encoder")
    if not description.trained:
        raise InputError(f"start.image_encoder: {source} is not trained; give null")
    student = load_network(folder, description)
    assert isinstance(student, Student)
    return student.encoder.base_model


def _described(source: str, kinds: tuple[str, ...], field: str) -> tuple[Path, ModelDescription]:
    """A model folder, if it is of one of these kinds."""
    with naming(field):
        folder = find_model(source)
        description = read_description(folder)
    if description.network not in kinds:
        wanted = " or ".join(f"a {kind}" for kind in kinds)
        raise InputError(f"{field}: {source} is a {description.network}; give {wanted}")
    return folder, description


def _load_imagenet(backbone: MobileNetV2 | ResNet, files: ImageNet, name: str) -> None:
    """Load one of the files, if it is given."""
    path = getattr(files, name)
    if not path:
        return
    if not Path(path).exists():
        raise InputError(
            f"start.imagenet.{name}: {path}: no such file; get torchvision's from "
            "https://download.pytorch.org/models/, or give null to start from nothing"
        )
    with naming(f"start.imagenet.{name}"):
        load_imagenet(backbone, path)


def _refuse(kind: str, **files: str | None) -> None:
    for name, file in files.items():
        if file:
            raise InputError(f"start.imagenet.{name}: a {kind} has no such backbone; give null")
