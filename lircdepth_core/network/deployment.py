"""An exact rewrite of a network for inference: fewer and cheaper operations, the same answer."""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lircdepth_core.network.blocks import ConvInFloat32, TransposedBottleneck
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
        self.eval()
        self.register_buffer("mean", 255 * torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), False)
        self.register_buffer("std", 255 * torch.tensor(IMAGE_STD).view(1, 3, 1, 1), False)

    def for_autocast(self, dtype: torch.dtype) -> DeploymentGraph:
        """A copy that under autocast to `dtype` answers the same, sooner.

        Its convolutions have their weights in `dtype`, which autocast would otherwise cast for
        every image; those that compute in float32 keep them.
        """
        graph = copy.deepcopy(self)
        for layer in graph.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(
                layer, ConvInFloat32
            ):
                layer.to(dtype)
        return graph

    def forward(self, image: Tensor, radar: Tensor) -> InferenceOutput:
        """Depth and uncertainty of a batch.

        Args:
            image: (N, H, W, 3) uint8 RGB, H and W multiples of 32.
            radar: (N, 4, H, W) float32 of `RADAR_CHANNELS`: m, dBsm, m/s, m/s; zero where no
                return.

        Raises:
            InputError: shapes that do not fit.
        """
        # First to float: TensorRT takes bytes as an input, but can only convert them.
        normalised = (image.float().permute(0, 3, 1, 2) - self.mean) / self.std
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
    becomes the ordinary one that it is, of mirrored weights; the depthwise one of stride 2 in a
    bottleneck becomes four (see `InterleavedConvolutions`), a 3x3 convolution to one channel a
    larger one for 4x4 pixels (see `TiledConvolution`): libraries run those faster.

    Returns:
        A network that shares with the given one whatever stays the same; or the given one.
    """
    children = {name: folded(child) for name, child in network.named_children()}
    if isinstance(network, nn.Sequential):
        children = _fold_neighbours(children)
    if isinstance(network, TransposedBottleneck):
        interleaved = _interleaved(children)
        if interleaved is not None:
            return cast("Module", interleaved)
    children = {name: _tiled(_ordinary(child)) for name, child in children.items()}
    if children == dict(network.named_children()):
        return network
    changed = copy.copy(network)
    changed._modules = cast("dict[str, nn.Module | None]", children)
    return changed


class InterleavedConvolutions(nn.Module):
    """A 3x3 transposed convolution of stride 2 as four ordinary ones, and a layer after it.

    Its output's even and odd rows and columns are four images, each a convolution of the input
    with one or two rows and columns of the weights (Shi et al. 2016, arXiv 1609.07009). What works
    pixel by pixel afterwards may run before they are interleaved, where there is less to move.

    Args:
        transposed: of padding 1 and output padding 1.
        pixelwise: runs on each of the four images.
    """

    def __init__(self, transposed: nn.ConvTranspose2d, pixelwise: nn.Module) -> None:
        super().__init__()
        weight = _ordinary_weight(transposed)
        # Taps of the mirrored weights: an even row or column lies on one of the input, an odd
        # one between two.
        taps = (slice(1, 2), slice(0, 3, 2))
        self.parts = nn.ModuleList(
            _ordinary_convolution(transposed, weight[:, :, rows, columns], (0, 0))
            for rows in taps
            for columns in taps
        )
        self.pixelwise = pixelwise

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether a layer is a transposed convolution of this kind."""
        if not isinstance(layer, nn.ConvTranspose2d):
            return False
        settings = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
        return settings == ((3, 3), (2, 2), (1, 1), (1, 1)) and layer.dilation == (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        images = []
        for part in self.parts:
            rows, columns = cast("nn.Conv2d", part).kernel_size
            images.append(self.pixelwise(part(functional.pad(x, (0, columns - 1, 0, rows - 1)))))
        return functional.pixel_shuffle(torch.stack(images, 2).flatten(1, 2), 2)


class TiledConvolution(nn.Module):
    """A 3x3 convolution to one channel as a 6x6 one of stride 4 to sixteen.

    Libraries compute channels by sixteens or so and throw away all but the one. Here the sixteen
    are the pixels of a 4x4 tile, which are then laid side by side: a quarter of the time.

    Args:
        convolution: of padding 1; its inputs' sides are to be multiples of 4.
    """

    TILE = 4

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        tile = self.TILE
        weight = convolution.weight.new_zeros(
            tile, tile, convolution.in_channels, tile + 2, tile + 2
        )
        for row in range(tile):
            for column in range(tile):
                weight[row, column, :, row : row + 3, column : column + 3] = convolution.weight[0]
        bias = None if convolution.bias is None else convolution.bias.expand(tile**2)
        tiles = _with_parameters(convolution, weight.flatten(0, 1), bias)
        tiles.out_channels, tiles.kernel_size, tiles.stride = tile**2, (tile + 2,) * 2, (tile,) * 2
        self.tiles = tiles

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether a layer is a convolution of this kind."""
        if not isinstance(layer, nn.Conv2d) or layer.out_channels != 1:
            return False
        settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
        return settings == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and layer.padding_mode == "zeros"

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 1, H, W)."""
        return functional.pixel_shuffle(self.tiles(x), self.TILE)


def _tiled(layer: nn.Module) -> nn.Module:
    """A convolution to one channel tile by tile; another layer as it is."""
    return TiledConvolution(cast("nn.Conv2d", layer)) if TiledConvolution.fits(layer) else layer


def _interleaved(bottleneck: dict[str, nn.Module]) -> nn.Module | None:
    """The layers of a bottleneck that doubles the size, normalisation folded; None for another."""
    transposed, *rest = cast("nn.Sequential", bottleneck["depthwise_layer_transpose"])
    if not InterleavedConvolutions.fits(transposed) or any(
        isinstance(layer, nn.BatchNorm2d) for layer in rest
    ):
        return None
    interleaved = InterleavedConvolutions(
        cast("nn.ConvTranspose2d", transposed),
        nn.Sequential(*rest, bottleneck["pointwise_layer_transpose"]),
    )
    return nn.Sequential(bottleneck["expansion_layer"], interleaved)


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
    if min(padding) < 0:
        return layer
    return _ordinary_convolution(layer, _ordinary_weight(layer), cast("tuple[int, int]", padding))


def _ordinary_weight(layer: nn.ConvTranspose2d) -> Tensor:
    """(in, out / groups, h, w) to the mirrored (out, in / groups, h, w)."""
    grouped = layer.weight.unflatten(0, (layer.groups, -1))
    return grouped.transpose(1, 2).flatten(0, 1).flip(2, 3)


def _ordinary_convolution(
    like: nn.ConvTranspose2d, weight: Tensor, padding: tuple[int, int]
) -> nn.Module:
    """A convolution of stride 1 with the channels and the bias of a transposed one."""
    ordinary = nn.Conv2d(
        like.in_channels,
        like.out_channels,
        cast("tuple[int, int]", tuple(weight.shape[2:])),
        padding=padding,
        dilation=cast("tuple[int, int]", like.dilation),
        groups=like.groups,
        bias=like.bias is not None,
        device="meta",
    )
    return _with_parameters(ordinary, weight, like.bias).train(like.training)


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
