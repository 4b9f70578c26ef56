"""A learned factor for each feature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer, as_rows, sum_rows
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale(RatedLayer):
    """Learned factor for each feature, y = x s; in front of the first dense layer it selects features, softly.

    Forward   y  = x s
    Backward  dx = dy s,   ds = Σ_rows dy x
    Shapes    x, y (*stack, n, *places, features), s (*stack, features)
    Source    Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 (a rate of 6)

    Parameters
    ----------
    scale_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of s; 0 freezes it.
    """

    scale_init: Initializer = "ones"
    rate: NotNegative = field(default=1.0, kw_only=True)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        return {"scale": initializer(self.scale_init)(rng, in_shape[-1:])}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        scale = of_features(params["scale"], x)
        return x * scale, (x, scale, params["scale"].ndim)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, scale, ndim = cache
        dx = dy * scale if need_dx else None
        return dx, {"scale": sum_rows(as_rows(dy * x, ndim + 1), namespace(dy))}


def of_features(a: Array, x: Array) -> Array:
    """Return `a`, (*stack, features), in the shape that goes with x, (*stack, n, *places, features)."""
    shape = tuple(a.shape)
    return namespace(a).reshape(a, (*shape[:-1], *([1] * (x.ndim - a.ndim)), shape[-1]))
