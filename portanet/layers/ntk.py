"""The affine layer in the neural tangent parametrisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from portanet.checks import Positive
from portanet.initializers import Initializer
from portanet.layers.dense import Dense
from portanet.random import Key
from portanet.typing import Array, Params

__all__ = ["NTKDense"]


@dataclass(frozen=True)
class NTKDense(Dense):
    """Affine map in the neural tangent parametrisation, y = x W / √in + β b, with W and b of variance 1.

    Forward   y  = x W / √in + β b
    Backward  dx = dy Wᵀ / √in,   dW = xᵀ dy / √in,   db = β Σ_rows dy
    Shapes    those of Dense
    Source    Jacot, Gabriel & Hongler 2018, arXiv:1806.07572

    W has the same size whatever the number of inputs, so one learning rate of Adam suits all widths. By Adam, which
    does not see the size of a gradient, β is a factor on the learning rate of the bias β b that takes effect.

    Parameters
    ----------
    units, bias, weight_init, bias_init, in_features, rate
        Those of :class:`Dense`; weights and biases are drawn from the standard normal distribution.
    bias_factor : float
        β, above 0.
    """

    weight_init: Initializer = "normal"
    bias_init: Initializer = "normal"
    bias_factor: Positive = 0.1

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return super().forward(self.effective(params), x, train=train, key=key)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        # dx is Dense's own: it is taken from the weights that took effect, which the cache holds.
        dx, grads = super().backward(params, dy, cache, need_dx=need_dx)
        return dx, self.effective(grads)

    def effective(self, params: Params) -> Params:
        """Return the weight W / √in and the bias β b of the same map as a Dense."""
        weight = params["weight"]
        found = {"weight": weight * (1.0 / math.sqrt(weight.shape[-2]))}
        if self.bias:
            found["bias"] = params["bias"] * self.bias_factor
        return found
