"""The Gaussian error linear unit. Shapes: x, y, dy and dx are all equal, (..., features)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from portanet.backends.elementwise import elementwise
from portanet.backends.erf import erf
from portanet.backends.namespace import namespace
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params

__all__ = ["GELU"]

_C = math.sqrt(2 / math.pi)
_A = 0.044715
_HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class GELU(Layer):
    """Gaussian error linear unit, y = x Φ(x) with Φ the normal distribution function; by default in its tanh form.

    Forward   y  = x/2 (1 + t),  t = tanh(u),  u = √(2/π) (x + 0.044715 x³)         "tanh"
              y  = x/2 (1 + t),  t = erf(x / √2)                                    "none": exact
    Backward  dx = dy ((1 + t)/2 + x/2 (1 - t²) du/dx),  du/dx = √(2/π) (1 + 3 · 0.044715 x²)
              dx = dy ((1 + t)/2 + x/√(2π) exp(-x²/2))
    Source    Hendrycks & Gimpel 2016, arXiv:1606.08415

    Parameters
    ----------
    approximate : "tanh" or "none"
        As in torch, whose own default is "none".
    """

    approximate: Literal["tanh", "none"] = "tanh"
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @elementwise
    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        exact = self.approximate == "none"
        t = erf(x * _HALF) if exact else namespace(x).tanh(_C * (x + _A * (x * x * x)))
        return 0.5 * x * (1.0 + t), (x, t)

    @elementwise
    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, t = cache
        if self.approximate == "tanh":
            du = _C * (1.0 + (3 * _A) * (x * x))
            return dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du), {}
        xp = namespace(x)
        a = xp.minimum(xp.abs(x), 60.0)  # beyond 39 the density is 0; the square must not overflow
        density = xp.exp(-0.5 * (a * a))
        density *= 0.5 * _C
        density *= x
        density += 0.5 * (1.0 + t)
        density *= dy
        return density, {}
