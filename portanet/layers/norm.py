"""Normalisation layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative, Positive, Share
from portanet.errors import ShapeError
from portanet.initializers import ones, zeros
from portanet.layers.base import RatedLayer, as_rows, sum_rows
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["BatchNorm", "LayerNorm"]


def sum_channels(x: Array, add: Callable[[Array], Array] | None = None) -> Array:
    """Return `x`, (n, ..., c), summed over all axes but the last, (c,); `add` adds it up over processes."""
    found = sum_rows(as_rows(x, 2), namespace(x))
    return found if add is None else add(found)


@dataclass(frozen=True)
class BatchNorm(RatedLayer):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted; rows or images alike.

    Forward   m, v = mean and variance of x over all axes but the last (of the batch when training, else the running
              ones);   u = (x - m) / √(v + eps),   y = γ u + β
    Backward  dβ = Σ dy,   dγ = Σ dy u
              dx = γ / √(v + eps) (dy - dβ / N - u dγ / N)   when training, N samples a channel
              dx = γ / √(v + eps) dy                         else
    Shapes    x, y (n, ..., c); γ, β and the buffers (c,)
    Source    Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1

    Parameters
    ----------
    momentum : float
        Share of the running mean and variance that a step keeps, 0 ≤ momentum < 1.
    eps : float
        Added to the variance; above 0, or a constant channel would give NaN.
    rate : float
        Factor on the learning rate of γ and β; 0 freezes them, and the running mean and variance still move.
    """

    momentum: Share = 0.9
    eps: Positive = 1e-5
    rate: NotNegative = field(default=1.0, kw_only=True)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        channels = in_shape[-1:]
        return {"gamma": ones(rng, channels), "beta": zeros(rng, channels)}, in_shape

    def least_batch(self, in_shape: Shape) -> int:
        return 1 if math.prod(in_shape[:-1]) > 1 else 2  # two values a channel: rows, or the places of one sample

    def init_buffers(self, in_shape: Shape) -> Params:
        params, _ = self.init(None, in_shape)  # as many as γ and β, and begin as they do
        return {"mean": params["beta"], "variance": params["gamma"]}

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        # Rows of a larger batch: the statistics are the whole batch's, added up over the processes that have its parts.
        part = key.part if train and key is not None else None
        add = None if part is None else part.add  # None too: each process has statistics of its own
        n: Any = math.prod(x.shape[:-1]) if part is None or add is None else math.prod(x.shape[1:-1]) * part.total
        if train:
            if n < 2:
                message = (
                    f"training needs two values a channel or more, got a batch of shape {tuple(x.shape)}; take larger "
                    f"batches, of which none is left with a single sample, or LayerNorm"
                )
                raise ShapeError(message)
            mean = sum_channels(x, add) / n
            centred = x - mean
            variance = sum_channels(centred * centred, add) / n
        else:
            mean, variance = params["mean"], params["variance"]
            centred = x - mean
        inverse = 1.0 / xp.sqrt(variance + self.eps)
        u = centred * inverse
        return params["gamma"] * u + params["beta"], (
            u,
            params["gamma"] * inverse,
            mean,
            variance,
            n if train else 0,
            add,
        )

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        u, scale, _, _, n, add = cache
        dbeta, dgamma = sum_channels(dy), sum_channels(dy * u)
        grads = {"gamma": dgamma, "beta": dbeta}
        if not need_dx:
            return None, grads
        if not n:
            return scale * dy, grads
        if add is not None:  # dx takes the sums over the whole batch; the gradients stay these rows' part of them
            both = add(xp.stack([dbeta, dgamma]))
            dbeta, dgamma = both[0, ...], both[1, ...]
        share = 1.0 / n  # 1 / N
        return scale * (dy - dbeta * share - u * (dgamma * share)), grads

    def updated_buffers(self, params: Params, cache: Any) -> Params:
        _, _, mean, variance, n, _ = cache
        keep, new = self.momentum, 1 - self.momentum
        unbiased = new * (n / max(n - 1, 1))  # the batch's own variance is too small by that
        return {"mean": keep * params["mean"] + new * mean, "variance": keep * params["variance"] + unbiased * variance}


@dataclass(frozen=True)
class LayerNorm(RatedLayer):
    """Each sample's last axis with mean 0 and variance 1, then scaled and shifted.

    Forward   m, v = mean and variance of x over the last axis;   u = (x - m) / √(v + eps),   y = γ u + β
    Backward  du = γ dy,   dx = (du - mean(du) - u mean(du u)) / √(v + eps);   dγ = Σ dy u,   dβ = Σ dy
    Shapes    x, y (n, ..., c); γ, β (c,)
    Source    Ba, Kiros & Hinton 2016, arXiv:1607.06450

    Parameters
    ----------
    eps : float
        Added to the variance; above 0, or a constant sample would give NaN.
    rate : float
        Factor on the learning rate of γ and β; 0 freezes them.
    """

    eps: Positive = 1e-5
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        channels = in_shape[-1:]
        return {"gamma": ones(rng, channels), "beta": zeros(rng, channels)}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        inverse = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + self.eps)
        u = centred * inverse
        return params["gamma"] * u + params["beta"], (u, inverse, params["gamma"])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        u, inverse, gamma = cache
        grads = {"gamma": sum_channels(dy * u), "beta": sum_channels(dy)}
        if not need_dx:
            return None, grads
        du = gamma * dy
        along = xp.mean(du * u, axis=-1, keepdims=True)
        return inverse * (du - xp.mean(du, axis=-1, keepdims=True) - u * along), grads
