"""ResNet-18 and -34 as feature pyramids (He et al. 2016, arXiv 1512.03385, table 1)."""

from __future__ import annotations

from torch import Tensor, nn


class ResNet(nn.Module):
    """A ResNet of basic blocks; parameter names are torchvision's.

    `forward` takes (N, 3, H, W) and returns five taps of 64, 64, 128, 256 and 512 channels at
    1/2, 1/4, 1/8, 1/16 and 1/32: after the first ReLU and after each of the four layers.

    The classifier `fc` is held because the published weights hold it; it is frozen and not used.
    """

    TAP_CHANNELS = (64, 64, 128, 256, 512)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = residual_layer(64, 64, blocks[0], stride=1)
        self.layer2 = residual_layer(64, 128, blocks[1], stride=2)
        self.layer3 = residual_layer(128, 256, blocks[2], stride=2)
        self.layer4 = residual_layer(256, 512, blocks[3], stride=2)
        self.fc = nn.Linear(512, 1000).requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to five taps, shallow to deep."""
        half = self.relu(self.bn1(self.conv1(x)))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer3(eighth)
        return half, quarter, eighth, sixteenth, self.layer4(sixteenth)


def resnet18() -> ResNet:
    """ResNet-18 with random weights."""
    return ResNet((2, 2, 2, 2))


def resnet34() -> ResNet:
    """ResNet-34 with random weights."""
    return ResNet((3, 4, 6, 3))


def residual_layer(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """Basic blocks in a row; the first one changes size and width."""
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if stride != 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))
