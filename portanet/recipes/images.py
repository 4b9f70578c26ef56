"""Well-known networks for images (height, width, channels), small enough for one machine, as lists of layers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from portanet.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    ReLU,
    Residual,
    Tanh,
)
from portanet.typing import Shape

__all__ = ["MODELS", "autoencoder", "depthwise", "lenet", "network_in_network", "resnet", "vgg"]


def lenet(outputs: int, shape: Shape) -> list[Layer]:
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998), with plain means as pools; small images keep their size."""
    second = "valid" if min(shape[:2]) >= 12 else "same"
    convolutions = [Conv2D(6, 5, padding=2), Tanh(), AvgPool2D(2), Conv2D(16, 5, padding=second), Tanh(), AvgPool2D(2)]
    return [*convolutions, Flatten(), Dense(120), Tanh(), Dense(84), Tanh(), Dense(outputs)]


def _normed(units: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[Layer]:
    """Return a convolution that keeps the size (but for the stride), and BatchNorm."""
    return [Conv2D(units, kernel, stride, kernel // 2, groups=groups, bias=False), BatchNorm()]


def vgg(outputs: int, shape: Shape) -> list[Layer]:
    """VGG with BatchNorm (Simonyan & Zisserman 2015, arXiv:1409.1556), of six convolutions."""
    found: list[Layer] = []
    for units in (32, 64, 128):
        found += [*_normed(units), ReLU(), *_normed(units), ReLU(), MaxPool2D(2)]
    return [*found, Flatten(), Dense(128, weight_init="he_normal"), ReLU(), Dropout(0.5), Dense(outputs)]


def resnet(outputs: int, shape: Shape) -> list[Layer]:
    """ResNet with projection shortcuts (He, Zhang, Ren & Sun 2016, arXiv:1512.03385), of six blocks."""
    found: list[Layer] = [*_normed(16), ReLU()]
    for before, units in pairwise((16, 16, 32, 64)):
        stride = units // before
        shortcut = _normed(units, 1, stride) if stride > 1 else ()
        found += [Residual([*_normed(units, 3, stride), ReLU(), *_normed(units)], shortcut), ReLU()]
        found += [Residual([*_normed(units), ReLU(), *_normed(units)]), ReLU()]
    return [*found, GlobalAvgPool2D(), Dense(outputs)]


def depthwise(outputs: int, shape: Shape) -> list[Layer]:
    """Depthwise-separable convolutions (MobileNet: Howard et al. 2017, arXiv:1704.04861), of five pairs."""
    found: list[Layer] = [*_normed(32), ReLU()]
    for before, units, stride in ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)):
        found += [*_normed(before, 3, stride, groups=before), ReLU(), *_normed(units, 1), ReLU()]
    return [*found, GlobalAvgPool2D(), Dense(outputs)]


def network_in_network(outputs: int, shape: Shape) -> list[Layer]:
    """Network in network (Lin, Chen & Yan 2014, arXiv:1312.4400): convolutions of 1 × 1, and no dense layer."""
    found: list[Layer] = []
    for kernel, units in ((5, (64, 48, 32)), (5, (64, 64, 64))):
        for size, own in zip((kernel, 1, 1), units, strict=True):
            found += [Conv2D(own, size, padding=size // 2), ReLU()]
        found += [MaxPool2D(3, 2, ceil_mode=True), Dropout(0.5)]
    return [*found, Conv2D(64, 3, padding=1), ReLU(), Conv2D(64, 1), ReLU(), Conv2D(outputs, 1), GlobalAvgPool2D()]


def autoencoder(channels: int, shape: Shape) -> list[Layer]:
    """Convolutional autoencoder (Masci, Meier, Cireşan & Schmidhuber 2011, ICANN), of images whose sides are 4 k."""
    down = [Conv2D(16, 3, 2, 1), ReLU(), Conv2D(32, 3, 2, 1), ReLU()]
    return [*down, ConvTranspose2D(16, 2, 2), ReLU(), ConvTranspose2D(channels, 2, 2)]


MODELS: dict[str, Callable[[int, Shape], list[Layer]]] = {
    "lenet": lenet,
    "vgg": vgg,
    "resnet": resnet,
    "depthwise": depthwise,
}
"""The classifiers that the command line can name."""
