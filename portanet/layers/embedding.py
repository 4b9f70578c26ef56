"""Vectors for categories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.backends.primitives.index_add import index_add
from portanet.checks import Count, NotNegative
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(RatedLayer):
    """A row of the weight for each whole number, y = W[x].

    Forward   y  = W[x]
    Backward  dW[i] = Σ dy over the places with x = i
              dx = 0: whole numbers have no slope
    Shapes    x (n, ...) whole numbers in 0 … categories - 1 (in any dtype), W (categories, units), y (n, ..., units)
    Source    Bengio, Ducharme, Vincent & Jauvin 2003, JMLR 3

    Parameters
    ----------
    categories : int
        How many numbers there are, 1 or more. An x beyond them gives zeros.
    units : int
        Length of a vector, 1 or more.
    weight_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of W; 0 freezes it.
    """

    categories: Count
    units: Count
    weight_init: Initializer = "normal:0.05"
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        weight = initializer(self.weight_init)(rng, (self.categories, self.units))
        return {"weight": weight}, (*in_shape, self.units)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        weight = params["weight"]
        xp = namespace(weight)
        index = xp.astype(xp.round(x), xp.int32)
        known = (index >= 0) & (index < self.categories)
        index = xp.where(known, index, xp.zeros_like(index))  # an index out of range would wrap round
        rows = xp.take(weight, xp.reshape(index, (-1,)), axis=0)
        y = xp.reshape(rows, (*x.shape, self.units))
        return xp.where(known[..., None], y, xp.zeros_like(y)), (index, known)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        index, known = cache
        rows = xp.reshape(xp.where(known[..., None], dy, xp.zeros_like(dy)), (-1, self.units))
        grads = {"weight": index_add(self.categories, xp.reshape(index, (-1,)), rows)}
        return (xp.zeros(tuple(dy.shape[:-1]), dtype=dy.dtype, device=device(dy)) if need_dx else None), grads
