"""What teacher and student optimise: losses, the distillation streams, and both tasks."""

from lircdepth_core.distillation.confidence_loss import ConfidenceLoss
from lircdepth_core.distillation.configuration import StudentTaskConfig, TeacherTaskConfig
from lircdepth_core.distillation.depth_loss import DepthLoss, DepthTerms
from lircdepth_core.distillation.feature_distillation import image_feature_loss, radar_feature_loss
from lircdepth_core.distillation.inter_depth_distillation import InterDepthDistillation
from lircdepth_core.distillation.sky_loss import sky_loss
from lircdepth_core.distillation.smoothness import smoothness
from lircdepth_core.distillation.structure_distillation import StructureDistillation
from lircdepth_core.distillation.tasks import StudentTask, Task, TaskLosses, TeacherTask
from lircdepth_core.distillation.uncertainty_loss import uncertainty_loss

__all__ = [
    "ConfidenceLoss",
    "DepthLoss",
    "DepthTerms",
    "InterDepthDistillation",
    "StructureDistillation",
    "StudentTask",
    "StudentTaskConfig",
    "Task",
    "TaskLosses",
    "TeacherTask",
    "TeacherTaskConfig",
    "image_feature_loss",
    "radar_feature_loss",
    "sky_loss",
    "smoothness",
    "uncertainty_loss",
]
