"""Normalization of a channel by its neighbours, as in AlexNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative, Positive
from portanet.errors import ConfigError
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["LocalResponseNorm"]


@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """Each channel divided by a power of the squares of its neighbours (LRN).

    Forward   d  = k + α/size Σ x² over the `size` channels around each,   y = x d^-β
    Backward  dx = dy d^-β - 2 α β / size x Σ (dy x d^(-β - 1)) over the same channels
    Shapes    x, y (..., channels)
    Source    Krizhevsky, Sutskever & Hinton 2012, NeurIPS 25, sec. 3.3

    Parameters
    ----------
    size : int
        An odd number of channels, 1 or more.
    alpha, beta : float
        0 or more.
    k : float
        Above 0.
    """

    size: Count = 5
    alpha: NotNegative = 1e-4
    beta: NotNegative = 0.75
    k: Positive = 1.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size % 2:
            message = (
                f"LocalResponseNorm: size must be odd, got {self.size}; libraries differ about the side of one more"
            )
            raise ConfigError(message)

    def scratch(self, in_shape: Shape) -> int:
        return int(in_shape[-1]) ** 2  # which channels are neighbours

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        d = (x * x) @ self.near(x) * (self.alpha / self.size) + self.k
        return x * d**-self.beta, (x, d)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, d = cache
        scaled = dy * d**-self.beta
        around = (scaled * x / d) @ self.near(x)
        return scaled - (2.0 * self.alpha * self.beta / self.size) * x * around, {}

    def near(self, x: Array) -> Array:
        """Return (channels, channels), 1 where two channels are neighbours."""
        xp = namespace(x)
        i = xp.arange(x.shape[-1], dtype=xp.int32, device=device(x))
        return xp.astype(xp.abs(i[:, None] - i[None, :]) <= self.size // 2, x.dtype)
