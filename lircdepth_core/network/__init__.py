"""The networks: student, teacher and what they are fed and answer."""

from collections.abc import Callable

from lircdepth_core.network.deployment import DeploymentGraph, InferenceOutput
from lircdepth_core.network.imagenet import load_imagenet
from lircdepth_core.network.inputs import IMAGE_MEAN, IMAGE_STD, SIZE_MULTIPLE
from lircdepth_core.network.output import MAX_DEPTH, StudentOutput, TeacherOutput
from lircdepth_core.network.small_student import SmallStudent
from lircdepth_core.network.student import Student
from lircdepth_core.network.student_network import StudentNetwork
from lircdepth_core.network.teacher import Teacher

NETWORKS: dict[str, Callable[[], StudentNetwork | Teacher]] = {
    "student": Student,
    "small_student": SmallStudent,
    "teacher": Teacher,
}
"""Every network by the name that model.yaml and `lircdepth train` give it."""

__all__ = [
    "IMAGE_MEAN",
    "IMAGE_STD",
    "MAX_DEPTH",
    "NETWORKS",
    "SIZE_MULTIPLE",
    "DeploymentGraph",
    "InferenceOutput",
    "SmallStudent",
    "Student",
    "StudentNetwork",
    "StudentOutput",
    "Teacher",
    "TeacherOutput",
    "load_imagenet",
]
