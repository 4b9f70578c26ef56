"""Elementwise nonlinearities, and the softmax. Shapes: x, y, dy and dx are all equal, (..., features)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from portanet.backends.elementwise import elementwise
from portanet.backends.namespace import namespace
from portanet.checks import NotNegative, Number
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params

__all__ = ["ELU", "LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Softplus", "Swish", "Tanh"]

Result = tuple[Array | None, Params]


@elementwise
def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)); x is held above -80, where the result is as good as 0, so that exp cannot overflow."""
    xp = namespace(x)
    e = xp.maximum(x, -80.0)
    e *= -1.0
    e = xp.exp(e)
    e += 1.0
    return 1.0 / e


def softmax(x: Array) -> Array:
    """Return exp(x) / Σ exp(x) over the last axis; the maximum is taken off first, which changes only the range."""
    xp = namespace(x)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    e /= xp.sum(e, axis=-1, keepdims=True)
    return e


class _Activation(Layer):
    """Base of the layers that leave the shape alone and mix the last axis at most."""

    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True


@dataclass(frozen=True)
class ReLU(_Activation):
    """Rectifier, y = max(x, 0).

    Forward   y  = max(x, 0)
    Backward  dx = dy where y > 0, else 0
    Source    Nair & Hinton 2010, ICML
    """

    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.maximum(x, xp.zeros_like(x[:1, ...]))  # beside a number NumPy takes twice as long
        return y, y  # the slope is read off the output, which the next layer keeps anyway

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        dx = namespace(dy).astype(cache > 0, dy.dtype)
        dx *= dy
        return dx, {}


@dataclass(frozen=True)
class LeakyReLU(_Activation):
    """Rectifier that lets a little through, y = x where x > 0, else a x.

    Forward   y  = max(x, a x),  0 ≤ a ≤ 1: the slope is read off the sign of y
    Backward  dx = dy where y > 0, else a dy
    Source    Maas, Hannun & Ng 2013, ICML
    """

    slope: Annotated[float, Number(0, 1)] = 0.01
    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.maximum(x, self.slope * x)
        return y, y  # y > 0 where x > 0

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        xp = namespace(dy)
        return xp.where(cache > 0, dy, self.slope * dy), {}


@dataclass(frozen=True)
class ELU(_Activation):
    """Exponential linear unit, y = x where x > 0, else a (exp(x) - 1).

    Forward   y  = max(x, 0) + a (exp(min(x, 0)) - 1),  a ≥ 0: the slope is read off the sign of y
    Backward  dx = dy where y > 0, else dy (y + a)
    Source    Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289
    """

    alpha: NotNegative = 1.0
    kinks: ClassVar[tuple[float, ...]] = (0.0,)

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.maximum(x, 0.0) + self.alpha * xp.expm1(xp.minimum(x, 0.0))
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        xp = namespace(dy)
        y = cache
        return xp.where(y > 0, dy, dy * (y + self.alpha)), {}  # below 0 the derivative a exp(x) is y + a


@dataclass(frozen=True)
class Sigmoid(_Activation):
    """Logistic function, y = 1 / (1 + exp(-x)).

    Forward   y  = 1 / (1 + exp(-x))
    Backward  dx = dy y (1 - y)
    Source    Rumelhart, Hinton & Williams 1986, Nature 323, eq. 2
    """

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y = sigmoid(x)
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        dx = 1.0 - y
        dx *= y
        dx *= dy
        return dx, {}


@dataclass(frozen=True)
class Tanh(_Activation):
    """Hyperbolic tangent, y = tanh(x).

    Forward   y  = tanh(x)
    Backward  dx = dy (1 - y²)
    Source    LeCun, Bottou, Orr & Müller 1998, Efficient BackProp
    """

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y = namespace(x).tanh(x)
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        return dy * (1.0 - y * y), {}


@dataclass(frozen=True)
class Softplus(_Activation):
    """Smooth rectifier, y = log(1 + exp(x)).

    Forward   y  = max(x, 0) + log(1 + exp(-|x|)), which cannot overflow
    Backward  dx = dy (1 - exp(-y)), the logistic function of x read off the output
    Source    Dugas et al. 2001, NIPS
    """

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        return -dy * namespace(dy).expm1(-cache), {}


@dataclass(frozen=True)
class Swish(_Activation):
    """Self-gated unit, y = x s with s the logistic function of x.

    Forward   y  = x s,   s = 1 / (1 + exp(-x))
    Backward  dx = dy (s + y (1 - s))
    Source    Ramachandran et al. 2017, arXiv:1710.05941
    """

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        s = sigmoid(x)
        y = x * s
        return y, (s, y)

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        s, y = cache
        return dy * (s + y * (1.0 - s)), {}


@dataclass(frozen=True)
class Softmax(_Activation):
    """Probabilities of the last axis, y = exp(x) / Σ exp(x). With cross-entropy use the loss alone: it takes logits.

    Forward   y  = exp(x - max x) / Σ exp(x - max x)
    Backward  dx = y (dy - Σ dy y), the product with the Jacobian diag(y) - y yᵀ
    Source    Bridle 1990, NIPS
    """

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y = softmax(x)
        return y, y

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        xp = namespace(dy)
        y = cache
        return y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)), {}
