"""Layers that move pixels between the channels and the places of images (n, height, width, channels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from portanet.backends.namespace import namespace
from portanet.checks import Count
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.resize import check_images
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["DepthToSpace2D", "SpaceToDepth2D"]

Order = Literal["CRD", "DCR"]
"""How the channels of a block lie: channel by channel (c, row, column), or place by place (row, column, c)."""


@dataclass(frozen=True)
class DepthToSpace2D(Layer):
    """Blocks of channels as blocks of pixels (pixel shuffle, sub-pixel convolution).

    Forward   y[i b + p, j b + q, k] = x[i, j, c],   c = (k b + p) b + q "CRD", (p b + q) channels / b² + k "DCR"
    Backward  dx = dy in the places that it came from
    Shapes    x (n, h, w, c b²), y (n, b h, b w, c)
    Source    Shi et al. 2016, arXiv:1609.05158

    Parameters
    ----------
    block : int
        b, 1 or more.
    order : "CRD" or "DCR"
        torch's PixelShuffle is CRD, TensorFlow's depth_to_space DCR.
    """

    block: Count = 2
    order: Order = "CRD"
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        b = self.block
        if in_shape[2] % (b * b):
            message = f"expected a multiple of {b * b} channels, {b} × {b} pixels of each, got {in_shape[2]}"
            raise ShapeError(message)
        return {}, (in_shape[0] * b, in_shape[1] * b, in_shape[2] // (b * b))

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return to_space(x, self.block, self.order), None

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return to_depth(dy, self.block, self.order), {}


@dataclass(frozen=True)
class SpaceToDepth2D(Layer):
    """Blocks of pixels as channels: the inverse of DepthToSpace2D.

    Forward   y[i, j, c] = x[i b + p, j b + q, k],   c = (k b + p) b + q "CRD", (p b + q) channels + k "DCR"
    Backward  dx = dy in the places that it came from
    Shapes    x (n, b h, b w, c), y (n, h, w, c b²)
    Source    Shi et al. 2016, arXiv:1609.05158

    Parameters
    ----------
    block : int
        b, 1 or more.
    order : "CRD" or "DCR"
        torch's PixelUnshuffle is CRD, TensorFlow's space_to_depth DCR.
    """

    block: Count = 2
    order: Order = "CRD"
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        b = self.block
        if in_shape[0] % b or in_shape[1] % b:
            message = f"expected images whose sides are multiples of {b}, got {in_shape[0]} × {in_shape[1]}"
            raise ShapeError(message)
        return {}, (in_shape[0] // b, in_shape[1] // b, in_shape[2] * b * b)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return to_depth(x, self.block, self.order), None

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return to_space(dy, self.block, self.order), {}


def space_axes(shape: Shape, b: int, order: str) -> tuple[Shape, Shape, Shape]:
    """Return how images (n, h, w, c b²) are taken apart, the order of the axes then, and the shape (n, b h, b w, c)."""
    n, height, width, channels = shape
    c = channels // (b * b)
    apart = (n, height, width, c, b, b) if order == "CRD" else (n, height, width, b, b, c)
    axes = (0, 1, 4, 2, 5, 3) if order == "CRD" else (0, 1, 3, 2, 4, 5)
    return apart, axes, (n, height * b, width * b, c)


def depth_axes(shape: Shape, b: int, order: str) -> tuple[Shape, Shape, Shape]:
    """Return the same for images (n, b h, b w, c) that become (n, h, w, c b²)."""
    n, height, width, c = shape
    axes = (0, 1, 3, 5, 2, 4) if order == "CRD" else (0, 1, 3, 2, 4, 5)
    return (n, height // b, b, width // b, b, c), axes, (n, height // b, width // b, c * b * b)


def to_space(x: Array, b: int, order: str) -> Array:
    """Return images (n, h, w, c b²) as (n, b h, b w, c)."""
    return _moved(x, *space_axes(tuple(x.shape), b, order))


def to_depth(x: Array, b: int, order: str) -> Array:
    """Return images (n, b h, b w, c) as (n, h, w, c b²)."""
    return _moved(x, *depth_axes(tuple(x.shape), b, order))


def _moved(x: Array, apart: Shape, axes: Shape, shape: Shape) -> Array:
    xp = namespace(x)
    return xp.reshape(xp.permute_dims(xp.reshape(x, apart), axes), shape)
