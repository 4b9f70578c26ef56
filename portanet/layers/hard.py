"""Elementwise functions of straight pieces, and quotients. Shapes: x, y, dy and dx are all equal, (..., features)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.elementwise import elementwise
from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.errors import ConfigError
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params

__all__ = ["Hardsigmoid", "Hardswish", "Hardtanh", "ReLU6", "Softsign", "ThresholdedReLU"]

Result = tuple[Array | None, Params]


@dataclass(frozen=True)
class ReLU6(Layer):
    """Rectifier that ends at 6, y = min(max(x, 0), 6).

    Forward   y  = min(max(x, 0), 6)
    Backward  dx = dy where 0 < y < 6, else 0
    Source    Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10; Howard et al. 2017, arXiv:1704.04861
    """

    kinks: ClassVar[tuple[float, ...]] = (0.0, 6.0)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.minimum(xp.maximum(x, 0.0), 6.0)
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        dx = namespace(dy).astype((y > 0.0) & (y < 6.0), dy.dtype)
        dx *= dy
        return dx, {}


@dataclass(frozen=True)
class Hardtanh(Layer):
    """Identity held within two bounds, y = min(max(x, low), high); clipping.

    Forward   y  = min(max(x, low), high)
    Backward  dx = dy where low < y < high, else 0
    Source    Collobert 2004, Large Scale Machine Learning, Université Paris VI

    Parameters
    ----------
    low, high : float
        low < high.
    """

    low: float = -1.0
    high: float = 1.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            message = f"Hardtanh: low must be below high, got {self.low} and {self.high}"
            raise ConfigError(message)

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]  # they are the bounds
        return (self.low, self.high)

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.minimum(xp.maximum(x, self.low), self.high)
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        dx = namespace(dy).astype((y > self.low) & (y < self.high), dy.dtype)
        dx *= dy
        return dx, {}


@dataclass(frozen=True)
class ThresholdedReLU(Layer):
    """Rectifier that begins at theta: y = x where x > theta, else 0.

    Forward   y  = x where x > theta, else 0
    Backward  dx = dy where x > theta, else 0
    Source    Konda, Memisevic & Krueger 2015, arXiv:1402.3337

    Parameters
    ----------
    theta : float
        0 or more.
    """

    theta: NotNegative = 1.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]  # it jumps there
        return (self.theta,)

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        above = namespace(x).astype(x > self.theta, x.dtype)
        return x * above, above

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        return dy * cache, {}


@dataclass(frozen=True)
class Hardsigmoid(Layer):
    """Logistic function in straight pieces, y = min(max(x / 6 + ½, 0), 1).

    Forward   y  = min(max(x / 6 + ½, 0), 1)
    Backward  dx = dy / 6 where 0 < y < 1, else 0
    Source    Courbariaux, Bengio & David 2015, arXiv:1511.00363; with 1/6: Howard et al. 2019, arXiv:1905.02244
    """

    kinks: ClassVar[tuple[float, ...]] = (-3.0, 3.0)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = xp.minimum(xp.maximum(x * (1.0 / 6.0) + 0.5, 0.0), 1.0)
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        y = cache
        dx = namespace(dy).astype((y > 0.0) & (y < 1.0), dy.dtype)
        dx *= 1.0 / 6.0
        dx *= dy
        return dx, {}


@dataclass(frozen=True)
class Hardswish(Layer):
    """Self-gated unit in straight pieces, y = x min(max(x / 6 + ½, 0), 1).

    Forward   s  = min(max(x / 6 + ½, 0), 1),   y = x s
    Backward  dx = dy (s + x / 6) where 0 < s < 1, else dy s
    Source    Howard et al. 2019, arXiv:1905.02244
    """

    kinks: ClassVar[tuple[float, ...]] = (-3.0, 3.0)
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        s = xp.minimum(xp.maximum(x * (1.0 / 6.0) + 0.5, 0.0), 1.0)
        return x * s, (x, s)

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        x, s = cache
        slope = namespace(dy).astype((s > 0.0) & (s < 1.0), dy.dtype)
        slope *= 1.0 / 6.0
        slope *= x
        slope += s
        slope *= dy
        return slope, {}


@dataclass(frozen=True)
class Softsign(Layer):
    """Quotient that saturates slowly, y = x / (1 + |x|).

    Forward   y  = x / (1 + |x|)
    Backward  dx = dy (1 - |y|)²
    Source    Bergstra, Desjardins, Lamblin & Bengio 2009, Université de Montréal, TR 1337
    """

    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y = x / (1.0 + namespace(x).abs(x))
        return y, y

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> Result:
        r = 1.0 - namespace(dy).abs(cache)
        r *= r
        r *= dy
        return r, {}
