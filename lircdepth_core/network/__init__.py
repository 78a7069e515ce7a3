"""The networks: student, teacher and what they are fed and answer."""

from lircdepth_core.network.deployment import DeploymentGraph, InferenceOutput
from lircdepth_core.network.imagenet import load_imagenet
from lircdepth_core.network.inputs import IMAGE_MEAN, IMAGE_STD, SIZE_MULTIPLE
from lircdepth_core.network.output import MAX_DEPTH, StudentOutput, TeacherOutput
from lircdepth_core.network.student import Student
from lircdepth_core.network.teacher import Teacher

__all__ = [
    "IMAGE_MEAN",
    "IMAGE_STD",
    "MAX_DEPTH",
    "SIZE_MULTIPLE",
    "DeploymentGraph",
    "InferenceOutput",
    "Student",
    "StudentOutput",
    "Teacher",
    "TeacherOutput",
    "load_imagenet",
]
