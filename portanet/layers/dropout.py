"""Dropout, by masks that a counter names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Share
from portanet.errors import ConfigError
from portanet.layers.base import Layer
from portanet.layers.resize import check_images
from portanet.random import Key, bernoulli
from portanet.typing import Array, Params, Shape

__all__ = ["Dropout", "Dropout2D"]


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
        mask = kept(self, x, tuple(x.shape), train, key)
        if mask is None:
            return x, None
        return x * mask, mask  # kept, not drawn again: drawing costs more than its memory

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return (dy if cache is None else dy * cache), {}


@dataclass(frozen=True)
class Dropout2D(Layer):
    """Zeroes a share of the channels of each image while it trains, and scales the rest so that the expectation stays.

    Forward   y  = x m,   m = 1 / (1 - rate) with probability 1 - rate, else 0, one number for each channel of a sample;
              y = x when not training
    Backward  dx = dy m
    Shapes    x, y, dy, dx (n, h, w, c), m (n, 1, 1, c)
    Source    Tompson, Goroshin, Jain, LeCun & Bregler 2015, arXiv:1411.4280

    Parameters
    ----------
    rate : float
        Share of the channels that is dropped, 0 ≤ rate < 1.
    """

    rate: Share
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        return {}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        mask = kept(self, x, (x.shape[0], 1, 1, x.shape[3]), train, key)
        return (x if mask is None else x * mask), mask

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return (dy if cache is None else dy * cache), {}


def kept(layer: Any, x: Array, shape: Shape, train: bool, key: Key | None) -> Array | None:
    """Return the mask m of a dropout layer in this shape; None where nothing is dropped."""
    if not train or layer.rate == 0:
        return None
    if key is None:
        message = (
            f"{type(layer).__name__}: training needs a key that names its random numbers; give "
            "key=portanet.random.Key(seed, step)"
        )
        raise ConfigError(message)
    mask = namespace(x).astype(bernoulli(x, shape, 1 - layer.rate, key), x.dtype)
    mask *= 1 / (1 - layer.rate)
    return mask
