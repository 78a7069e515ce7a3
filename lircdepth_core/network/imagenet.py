"""ImageNet weights for the backbones, in torchvision's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from lircdepth_core.network.mobilenet import MobileNetV2
from lircdepth_core.network.parameters import load_parameters, read_checkpoint
from lircdepth_core.network.resnet import ResNet


def load_imagenet(
    backbone: MobileNetV2 | ResNet, source: str | Path | Mapping[str, Tensor]
) -> None:
    """Load torchvision's ImageNet weights into a backbone.

    Args:
        backbone: an encoder's `base_model` or `base_model_radar`.
        source: a file or state dict of torchvision's mobilenet_v2, resnet18 or resnet34. The
            classifier of MobileNetV2 is left out.

    Raises:
        InputError: the file cannot be read, or it names each key that is missing, unexpected or of
            the wrong shape; the backbone is then unchanged.
    """
    if isinstance(source, str | Path):
        name, parameters = str(source), read_checkpoint(source)
    else:
        name, parameters = "state dict", source
    module: nn.Module = backbone
    if isinstance(backbone, MobileNetV2):
        module = nn.ModuleDict({"features": backbone})
        parameters = {
            key: value for key, value in parameters.items() if not key.startswith("classifier.")
        }
    # torchvision's ResNet files are older than this counter, which only serves training.
    counters = {key for key in module.state_dict() if key.endswith("num_batches_tracked")}
    load_parameters(module, parameters, name, optional=counters)
