"""Dropout, by masks that a counter names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Share
from portanet.errors import ConfigError
from portanet.layers.base import Layer
from portanet.random import Key, bernoulli
from portanet.typing import Array, Params

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout(Layer):
    """Zeroes a share of its inputs while it trains, and scales the rest so that their expectation stays.

    Forward   y  = x m,   m = 1 / (1 - rate) with probability 1 - rate, else 0;   y = x when not training
    Backward  dx = dy m
    Shapes    x, y, dy, dx: (..., features), all equal
    Source    Srivastava et al. 2014, JMLR 15 ("inverted" form)

    Parameters
    ----------
    rate : float
        Share of the inputs that is dropped, 0 ≤ rate < 1.
    """

    rate: Share
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        if not train or self.rate == 0:
            return x, None
        if key is None:
            message = (
                "Dropout: training needs a key that names its random numbers; give key=portanet.random.Key(seed, step)"
            )
            raise ConfigError(message)
        xp = namespace(x)
        mask = xp.astype(bernoulli(x, x.shape, 1 - self.rate, key), x.dtype)
        mask *= 1 / (1 - self.rate)
        return x * mask, mask  # kept, not drawn again: drawing costs more than its memory

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return (dy if cache is None else dy * cache), {}
