"""The affine layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative
from portanet.errors import ShapeError
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer, as_rows, product, sum_leading, sum_rows
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(RatedLayer):
    """Affine map of the last axis, y = x W + b.

    Forward   y  = x W + b
    Backward  dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ_rows dy        with dy = ∂L/∂y
    Shapes    x (*stack, n, *places, in), W (*stack, in, out), b (*stack, out), y (*stack, n, *places, out)
    Source    Rumelhart, Hinton & Williams 1986, Nature 323, eqs. 1, 6, 7

    W has as many stack axes as there are: they make a stack of networks one batched product, and x (n, in) without them
    is shared by the stack. Places, such as the tokens of a text, share the parameters and count as rows.

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
    rate : float
        Factor on the learning rate of W and b; 0 freezes them.
    """

    units: Count
    bias: bool = True
    weight_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    in_features: Count | None = None
    rate: NotNegative = field(default=1.0, kw_only=True)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if not in_shape:
            message = "expected samples with an axis of features, got single numbers; give samples of shape (1,)"
            raise ShapeError(message)
        *places, n_in = in_shape
        if self.in_features not in (None, n_in):
            message = (
                f"expected {self.in_features} features (in_features), got {n_in}; set it to {n_in} or leave it out"
            )
            raise ShapeError(message)
        params = {"weight": initializer(self.weight_init)(rng, (n_in, self.units))}
        if self.bias:
            params["bias"] = initializer(self.bias_init)(rng, (self.units,))
        return params, (*places, self.units)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        weight = params["weight"]
        if x.ndim < 2 or x.shape[-1] != weight.shape[-2]:
            fix = "give rows of samples" if x.ndim < 2 else "add Flatten() before it, or retrain it on this data"
            message = f"expected inputs with {weight.shape[-2]} features, got an array of shape {tuple(x.shape)}; {fix}"
            raise ShapeError(message)
        if x.ndim > weight.ndim:  # places as rows: one product in place of one for each sample
            y, cache = Dense.forward(self, params, as_rows(x, weight.ndim))  # not a subclass's: it came from there
            return namespace(y).reshape(y, (*x.shape[:-1], y.shape[-1])), cache
        y = x @ weight
        if self.bias:
            y += params["bias"][..., None, :]  # in place: y is a fresh product, nobody else holds it
        return y, (x, weight)  # both are alive anyway: nothing is copied

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, weight = cache
        xp = namespace(dy)
        if dy.ndim > weight.ndim:
            dx, grads = Dense.backward(self, params, as_rows(dy, weight.ndim), cache, need_dx=need_dx)
            return (None if dx is None else xp.reshape(dx, (*dy.shape[:-1], dx.shape[-1]))), grads
        grads = {"weight": product(xp.matrix_transpose(x), dy)}
        if self.bias:
            grads["bias"] = sum_rows(dy, xp)
        dx = sum_leading(product(dy, xp.matrix_transpose(weight)), x.ndim, xp) if need_dx else None
        return dx, grads
