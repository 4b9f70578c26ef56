"""Further smooth elementwise functions. Shapes: x, y, dy and dx are all equal, (..., features)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.elementwise import elementwise
from portanet.backends.namespace import namespace
from portanet.checks import Positive
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params

__all__ = ["CELU", "SELU", "LogSoftmax", "Mish", "SmoothClip"]

Result = tuple[Array | None, Params]


@dataclass(frozen=True)
class Mish(Layer):
    """Self-gated unit, y = x tanh(softplus(x)).

    Forward   y  = x t,   t = tanh(log(1 + e)) = w / (w + 2),   e = exp(x),   w = e (e + 2)
    Backward  dx = dy (t + x (1 - t²) s),   s = e / (1 + e), the logistic function of x
    Source    Misra 2020, arXiv:1908.08681

    x is held below 20 within exp, where t is 1 to the last digit of float64, so that exp cannot overflow.
    """

    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        e = xp.exp(xp.minimum(x, 20.0))
        t = e + 2.0
        t *= e
        t = t / (t + 2.0)
        return x * t, (x, e, t)

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        x, e, t = cache
        slope = 1.0 - t * t
        slope *= e / (1.0 + e)
        slope *= x
        slope += t
        slope *= dy
        return slope, {}


@dataclass(frozen=True)
class SELU(Layer):
    """Scaled exponential linear unit: layers of it keep mean 0 and variance 1 (with weights of variance 1 / inputs).

    Forward   y  = λ (max(x, 0) + α (exp(min(x, 0)) - 1)),   λ = 1.0507…, α = 1.6732…
    Backward  dx = λ dy where y > 0, else dy (y + λ α)
    Source    Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515
    """

    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True
    _alpha: ClassVar[float] = 1.6732632423543772
    _scale: ClassVar[float] = 1.0507009873554805

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.exp(xp.minimum(x, 0.0))  # not expm1, which takes ten times as long and is better near 0 alone
        y -= 1.0
        y *= self._alpha
        y += xp.maximum(x, 0.0)
        y *= self._scale
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        # Below 0 the derivative λ α exp(x) is y + λ α.
        return namespace(dy).where(y > 0, self._scale * dy, dy * (y + self._scale * self._alpha)), {}


@dataclass(frozen=True)
class CELU(Layer):
    """Exponential linear unit whose slope is continuous for every a, y = x where x > 0, else a (exp(x / a) - 1).

    Forward   y  = max(x, 0) + a (exp(min(x, 0) / a) - 1),  a > 0: the slope is read off the sign of y
    Backward  dx = dy where y > 0, else dy (y / a + 1)
    Source    Barron 2017, arXiv:1704.07483

    Parameters
    ----------
    alpha : float
        a, above 0.
    """

    alpha: Positive = 1.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.maximum(x, 0.0) + self.alpha * xp.expm1(xp.minimum(x, 0.0) * (1.0 / self.alpha))
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        return dy * (namespace(dy).minimum(y, 0.0) * (1.0 / self.alpha) + 1.0), {}  # exp(x / a) is y / a + 1


@dataclass(frozen=True)
class LogSoftmax(Layer):
    """Logarithm of the probabilities of the last axis, y = x - log Σ exp(x).

    Forward   y  = z - log Σ exp(z),   z = x - max x
    Backward  dx = dy - exp(y) Σ dy
    Source    Bridle 1990, NIPS
    """

    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        z = x - xp.max(x, axis=-1, keepdims=True)
        y = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
        return y, y

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        xp = namespace(dy)
        return dy - xp.exp(cache) * xp.sum(dy, axis=-1, keepdims=True), {}


@dataclass(frozen=True)
class SmoothClip(Layer):
    """Smooth clipping to (-limit, limit); close to the identity around 0.

    Forward   y  = x r,   r = 1 / √(1 + (x / limit)²)
    Backward  dx = dy r³
    Source    Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 (limit 3)

    Parameters
    ----------
    limit : float
        Above 0.
    """

    limit: Positive = 3.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        u = x * (1.0 / self.limit)
        r = 1.0 / namespace(x).sqrt(1.0 + u * u)
        return x * r, r

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        r = cache
        return dy * (r * r * r), {}
