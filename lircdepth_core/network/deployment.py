"""An exact rewrite of a network for inference: fewer and cheaper operations, the same answer."""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from lircdepth_core.network.inputs import IMAGE_MEAN, IMAGE_STD

Module = TypeVar("Module", bound=nn.Module)


class InferenceOutput(NamedTuple):
    """What inference needs of a network's answer.

    Attributes:
        depth: (N, H, W) float32 metres along the optical axis.
        uncertainty: (N, H, W) float32 in 0..1, as `StudentOutput.uncertainty`; NaN for a network
            without the head.
    """

    depth: Tensor
    uncertainty: Tensor


class DeploymentGraph(nn.Module):
    """From a camera's bytes and drawn radar to depth and uncertainty, nothing else.

    Within 1e-4 relative of the network, whose folded form it runs (see `folded`).

    Args:
        network: a trained Student or Teacher, or what answers like one; set to eval mode,
            otherwise left as it is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = folded(network.eval())
        self.register_buffer("mean", 255 * torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), False)
        self.register_buffer("std", 255 * torch.tensor(IMAGE_STD).view(1, 3, 1, 1), False)

    def forward(self, image: Tensor, radar: Tensor) -> InferenceOutput:
        """Depth and uncertainty of a batch.

        Args:
            image: (N, H, W, 3) uint8 RGB, H and W multiples of 32.
            radar: (N, 4, H, W) float32 of `RADAR_CHANNELS`: m, dBsm, m/s, m/s; zero where no
                return.

        Raises:
            InputError: shapes that do not fit.
        """
        normalised = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        output = self.network(normalised, radar)
        depth = output.depth[:, 0].float()
        uncertainty = getattr(output, "uncertainty", None)
        if uncertainty is None:
            return InferenceOutput(depth, torch.full_like(depth, torch.nan))
        return InferenceOutput(depth, uncertainty[:, 0].float())


def folded(network: Module) -> Module:
    """A network in eval mode with fewer operations and the same answer.

    Batch normalisation that follows a convolution in an `nn.Sequential` becomes part of its weights
    (Jacob et al. 2018, arXiv 1712.05877, equation 14). A transposed convolution of stride 1
    becomes the ordinary one that it is, of mirrored weights: libraries run those faster.

    Returns:
        A network that shares with the given one whatever stays the same; or the given one.
    """
    children = {name: folded(child) for name, child in network.named_children()}
    if isinstance(network, nn.Sequential):
        children = _fold_neighbours(children)
    children = {name: _ordinary(child) for name, child in children.items()}
    if children == dict(network.named_children()):
        return network
    changed = copy.copy(network)
    changed._modules = cast("dict[str, nn.Module | None]", children)
    return changed


def _fold_neighbours(layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """The layers of a sequence, each batch normalisation folded into a convolution before it."""
    kept: dict[str, nn.Module] = {}
    for name, layer in layers.items():
        last, before = next(reversed(kept.items()), (None, None))
        if (
            last is not None
            and isinstance(layer, nn.BatchNorm2d)
            and layer.track_running_stats
            and isinstance(before, nn.Conv2d | nn.ConvTranspose2d)
        ):
            kept[last] = _normalised(before, layer)
        else:
            kept[name] = layer
    return kept


def _normalised(
    convolution: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d
) -> nn.Conv2d | nn.ConvTranspose2d:
    """A convolution that answers as this one followed by batch normalisation in eval mode.

    torch's own `fuse_conv_bn_weights` is wrong for grouped transposed convolutions.
    """
    mean, variance = cast("tuple[Tensor, Tensor]", (norm.running_mean, norm.running_var))
    scale = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = -mean * scale
    if norm.affine:
        shift = shift + norm.bias
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    weight = convolution.weight
    if isinstance(convolution, nn.ConvTranspose2d):
        # (in, out / groups, h, w): an output channel is a group and a place in dimension 1.
        grouped = weight.unflatten(0, (convolution.groups, -1))
        weight = (grouped * scale.view(convolution.groups, 1, -1, 1, 1)).flatten(0, 1)
    else:
        weight = weight * scale.view(-1, 1, 1, 1)
    return _with_parameters(convolution, weight, shift)


def _ordinary(layer: nn.Module) -> nn.Module:
    """The ordinary convolution that a transposed one of stride 1 is; another layer as it is."""
    if not isinstance(layer, nn.ConvTranspose2d) or layer.stride != (1, 1):
        return layer
    padding = tuple(
        dilation * (size - 1) - pad
        for dilation, size, pad in zip(
            cast("tuple[int, int]", layer.dilation),
            layer.kernel_size,
            cast("tuple[int, int]", layer.padding),
            strict=True,
        )
    )
    if min(padding) < 0 or any(layer.output_padding):
        return layer
    ordinary = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        cast("tuple[int, int]", layer.kernel_size),
        padding=cast("tuple[int, int]", padding),
        dilation=cast("tuple[int, int]", layer.dilation),
        groups=layer.groups,
        bias=layer.bias is not None,
        device="meta",
    )
    grouped = layer.weight.unflatten(0, (layer.groups, -1))
    weight = grouped.transpose(1, 2).flatten(0, 1).flip(2, 3)
    return _with_parameters(ordinary, weight, layer.bias).train(layer.training)


def _with_parameters(
    layer: nn.Conv2d | nn.ConvTranspose2d, weight: Tensor, bias: Tensor | None
) -> nn.Conv2d | nn.ConvTranspose2d:
    """A copy of a convolution with other parameters, which do not train."""
    changed = copy.copy(layer)
    changed._parameters = {
        "weight": nn.Parameter(weight.detach().clone(), requires_grad=False),
        "bias": None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False),
    }
    return changed
