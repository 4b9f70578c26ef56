"""Layers that only change the shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params, Shape


@dataclass(frozen=True)
class Flatten(Layer):
    """Each sample as one row of features.

    Forward   y  = x as (n, product of a sample's axes)
    Backward  dx = dy in x's shape
    """

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        return {}, (math.prod(in_shape),)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        shape = tuple(x.shape)
        return array_namespace(x).reshape(x, (shape[0], math.prod(shape[1:]))), shape

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return array_namespace(dy).reshape(dy, cache), {}
