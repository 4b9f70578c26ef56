"""Categories as indicators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import COUNT, Several
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["OneHot"]


@dataclass(frozen=True)
class OneHot(Layer):
    """Indicator of each category of each feature, y = 1 where the feature is that category, else 0.

    Forward   y  = [x₁ = 0, …, x₁ = k₁ - 1, x₂ = 0, …]  as 0 and 1
    Backward  dx = 0: whole numbers have no slope
    Shapes    x (..., f) whole numbers (in any dtype), y (..., k₁ + … + k_f)

    Parameters
    ----------
    categories : sequence of int
        Number of categories of each feature, 1 or more. An x beyond them gives zeros.
    """

    categories: Annotated[Sequence[int], Several(COUNT)]
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if tuple(in_shape[-1:]) != (len(self.categories),):
            message = (
                f"expected {len(self.categories)} features, one for each entry of categories, got samples of shape "
                f"{tuple(in_shape)}"
            )
            raise ShapeError(message)
        return {}, (*in_shape[:-1], sum(self.categories))

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        found = []
        for i, k in enumerate(self.categories):
            numbers = xp.arange(k, dtype=x.dtype, device=device(x))
            found.append(xp.astype(xp.round(x[..., i : i + 1]) == numbers, x.dtype))
        return xp.concat(found, axis=-1), tuple(x.shape)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return (namespace(dy).zeros(cache, dtype=dy.dtype, device=device(dy)) if need_dx else None), {}
