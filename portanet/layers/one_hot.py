"""Whole numbers as zeros and a one."""

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


@dataclass(frozen=True)
class OneHot(Layer):
    """Each feature, a whole number, as a row of zeros with a one at its place; the rows are concatenated.

    Forward   y  = [x₁ = 0, …, x₁ = k₁ - 1, x₂ = 0, …],  1 where true, else 0
    Backward  dx = 0: whole numbers have no slope
    Shapes    x (..., n, features), y (..., n, Σ sizes)
    Source    Suits 1957, Use of dummy variables in regression equations, JASA 52

    A number beyond its size, -1 for example, gives zeros alone. Followed by ``Dense(units, bias=False)`` it is an
    embedding; unlike Embedding it takes leading axes, so that networks with it train together in a Fleet.

    Parameters
    ----------
    sizes : sequence of int
        How many values each feature has.
    """

    sizes: Annotated[Sequence[int], Several(COUNT)]
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if tuple(in_shape) != (len(self.sizes),):
            message = f"expected {len(self.sizes)} features, one for each of the sizes, got samples of shape {in_shape}"
            raise ShapeError(message + "; let there be as many sizes as features")
        return {}, (sum(self.sizes),)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp, place = namespace(x), device(x)
        # By comparison: an index out of range cannot wrap round.
        rows = [x[..., i : i + 1] == xp.arange(k, dtype=x.dtype, device=place) for i, k in enumerate(self.sizes)]
        return xp.astype(rows[0] if len(rows) == 1 else xp.concat(rows, axis=-1), x.dtype), None

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        if not need_dx:
            return None, {}
        return namespace(dy).zeros((*dy.shape[:-1], len(self.sizes)), dtype=dy.dtype, device=device(dy)), {}
