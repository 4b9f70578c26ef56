"""Vectors for categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative
from portanet.errors import ShapeError
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer, as_rows
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(RatedLayer):
    """A row of the weight for each whole number, y = W[x].

    Forward   y  = W[x]
    Backward  dW = onehot(x)ᵀ dy: a product, so that equal numbers add up in one order on every device
              dx = 0: whole numbers have no slope
    Shapes    x (*stack, n, ...) whole numbers in 0 … categories - 1 (in any dtype), W (*stack, categories, units),
              y (*stack, n, ..., units); with flat, of samples (features,), y (*stack, n, features units)
    Source    Bengio, Ducharme, Vincent & Jauvin 2003, JMLR 3

    Parameters
    ----------
    categories : int
        How many numbers there are, 1 or more. An x beyond them gives zeros.
    units : int
        Length of a vector, 1 or more.
    weight_init : str or function
        See :mod:`portanet.initializers`.
    flat : bool
        Whether the vectors of a sample's features follow one another in one row.
    rate : float
        Factor on the learning rate of W; 0 freezes it.
    """

    categories: Count
    units: Count
    weight_init: Initializer = "normal:0.05"
    flat: bool = False
    rate: NotNegative = field(default=1.0, kw_only=True)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        weight = initializer(self.weight_init)(rng, (self.categories, self.units))
        if not self.flat:
            return {"weight": weight}, (*in_shape, self.units)
        if len(in_shape) != 1:
            message = f"flat=True makes rows of rows of features, got samples of shape {tuple(in_shape)}; add Flatten()"
            raise ShapeError(message)
        return {"weight": weight}, (in_shape[0] * self.units,)

    def scratch(self, in_shape: Shape) -> int:
        return math.prod(in_shape) * self.categories  # one-hot rows

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(params["weight"])
        weight = params["weight"]
        numbers = xp.arange(self.categories, dtype=xp.int32, device=device(weight))
        # By comparison: an index out of range cannot wrap round, and the rows of a batch serve backward as they are.
        onehot = xp.astype(xp.astype(xp.round(x), xp.int32)[..., None] == numbers, weight.dtype)
        rows = as_rows(onehot, weight.ndim)
        shape = (*x.shape[:-1], x.shape[-1] * self.units) if self.flat else (*x.shape, self.units)
        return xp.reshape(rows @ weight, shape), (rows, tuple(x.shape))

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        rows, shape = cache
        xp = namespace(dy)
        dy = xp.reshape(dy, (*rows.shape[:-1], self.units))
        grads = {"weight": rows.mT @ dy}
        return (xp.zeros(shape, dtype=dy.dtype, device=device(dy)) if need_dx else None), grads

    def config(self) -> dict[str, Any]:
        found = super().config()
        if not self.flat:  # as files have it that know of no flat
            del found["flat"]
        return found
