"""Layers that only change the shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import COUNT, Several
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Flatten", "Reshape"]


@dataclass(frozen=True)
class Flatten(Layer):
    """Each sample as one row of features.

    Forward   y  = x as (n, product of a sample's axes)
    Backward  dx = dy in x's shape
    """

    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        return {}, (math.prod(in_shape),)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        shape = tuple(x.shape)
        return namespace(x).reshape(x, (shape[0], math.prod(shape[1:]))), shape

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return namespace(dy).reshape(dy, cache), {}


@dataclass(frozen=True)
class Reshape(Layer):
    """Each sample in another shape of as many numbers: ``Reshape((28, 28, 1))`` gives grey images their channel.

    Forward   y  = x as (n, *shape)
    Backward  dx = dy in x's shape

    Parameters
    ----------
    shape : tuple of int
        Of one sample: at least one size, each 1 or more.
    """

    shape: Annotated[tuple[int, ...], Several(COUNT)]
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if math.prod(in_shape) != math.prod(self.shape):
            message = (
                f"expected samples of {math.prod(self.shape)} numbers for the shape {self.shape}, got "
                f"{math.prod(in_shape)} in {tuple(in_shape)}; give a shape of as many numbers"
            )
            raise ShapeError(message)
        return {}, self.shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return namespace(x).reshape(x, (x.shape[0], *self.shape)), tuple(x.shape)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return namespace(dy).reshape(dy, cache), {}
