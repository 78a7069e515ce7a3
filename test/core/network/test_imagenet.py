"""torchvision's ImageNet weights load into the backbones by name."""

import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.network import load_imagenet
from lircdepth_core.network.mobilenet import MobileNetV2
from lircdepth_core.network.resnet import resnet18, resnet34

BACKBONES = {"mobilenet_v2": MobileNetV2, "resnet18": resnet18, "resnet34": resnet34}


def torchvision_like(name):
    """A state dict named as torchvision's, of other values than a new backbone's."""
    state = {key: value + 1 for key, value in BACKBONES[name]().state_dict().items()}
    if name == "mobilenet_v2":
        state = {f"features.{key}": value for key, value in state.items()}
        state["classifier.1.weight"] = torch.zeros(1000, 1280)
        state["classifier.1.bias"] = torch.zeros(1000)
    return state


@pytest.mark.parametrize("name", BACKBONES)
def test_every_weight_of_a_file_is_loaded(name, tmp_path):
    state = torchvision_like(name)
    torch.save(state, tmp_path / "weights.pth")
    backbone = BACKBONES[name]()
    load_imagenet(backbone, tmp_path / "weights.pth")
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state.get(key, state.get(f"features.{key}"))), key


def test_names_of_well_known_weights():
    """Names that torchvision's own files are known to hold."""
    known = {
        "mobilenet_v2": {"features.0.0.weight", "features.1.conv.1.weight", "features.18.1.bias"},
        "resnet18": {"conv1.weight", "layer4.1.bn2.running_var", "layer2.0.downsample.1.bias"},
        "resnet34": {"layer3.5.conv2.weight", "fc.bias"},
    }
    for name, keys in known.items():
        assert keys <= torchvision_like(name).keys()


def test_old_files_without_batch_counters_are_taken():
    state = {k: v for k, v in torchvision_like("resnet18").items() if "num_batches" not in k}
    assert len(state) == 102
    load_imagenet(resnet18(), state)


def test_what_does_not_fit_is_named_and_changes_nothing():
    state = torchvision_like("mobilenet_v2")
    state["features.19.weight"] = state.pop("features.2.conv.2.weight")
    state["features.0.0.weight"] = torch.zeros(32, 4, 3, 3)
    backbone = MobileNetV2()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(InputError) as error:
        load_imagenet(backbone, state)
    message = str(error.value)
    assert "missing: features.2.conv.2.weight" in message
    assert "unexpected: features.19.weight" in message
    assert "wrong shape: features.0.0.weight (32x4x3x3 instead of 32x3x3x3)" in message
    assert "\n" not in message
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
