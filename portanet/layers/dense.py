"""The affine layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Count
from portanet.errors import ShapeError
from portanet.initializers import Initializer, initializer
from portanet.layers.base import Layer, product, sum_leading, sum_rows
from portanet.random import Key
from portanet.typing import Array, Params, Shape


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map of each row, y = x W + b.

    Forward   y  = x W + b
    Backward  dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ_rows dy        with dy = ∂L/∂y
    Shapes    x (..., n, in), W (..., in, out), b (..., out), y (..., n, out)
    Source    Rumelhart, Hinton & Williams 1986, Nature 323, eqs. 1, 6, 7

    Leading axes make a stack of networks one batched product; where x or W lacks them it is shared by the stack.

    Parameters
    ----------
    units : int
        Number of outputs, 1 or more.
    bias : bool
        Whether b is there.
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    in_features : int, optional
        Number of inputs, 1 or more, if it is to be checked rather than inferred.
    """

    units: Count
    bias: bool = True
    weight_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    in_features: Count | None = None
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) != 1:
            message = (
                f"expected samples with one axis of features, got samples of shape {in_shape}; add Flatten() before it"
            )
            raise ShapeError(message)
        (n_in,) = in_shape
        if self.in_features not in (None, n_in):
            message = (
                f"expected {self.in_features} features (in_features), got {n_in}; set it to {n_in} or leave it out"
            )
            raise ShapeError(message)
        params = {"weight": initializer(self.weight_init)(rng, (n_in, self.units))}
        if self.bias:
            params["bias"] = initializer(self.bias_init)(rng, (self.units,))
        return params, (self.units,)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        weight = params["weight"]
        if x.ndim < 2 or x.shape[-1] != weight.shape[-2]:
            mend = "give rows of samples" if x.ndim < 2 else "add Flatten() before it, or train it anew on this data"
            message = (
                f"expected inputs with {weight.shape[-2]} features, got an array of shape {tuple(x.shape)}; {mend}"
            )
            raise ShapeError(message)
        y = x @ weight
        if self.bias:
            y += params["bias"][..., None, :]  # in place: y is a fresh product, nobody else holds it
        return y, (x, weight)  # both are alive anyway: nothing is copied

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, weight = cache
        xp = namespace(dy)
        grads = {"weight": sum_leading(product(x.mT, dy), weight.ndim, xp)}
        if self.bias:
            grads["bias"] = sum_leading(sum_rows(dy, xp), weight.ndim - 1, xp)
        dx = sum_leading(product(dy, weight.mT), x.ndim, xp) if need_dx else None
        return dx, grads
