"""Normalisation of each sample by itself: by groups of channels, by channel, and by the root mean square."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative, Positive
from portanet.errors import ShapeError
from portanet.initializers import ones, zeros
from portanet.layers.base import RatedLayer
from portanet.layers.norm import sum_channels
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["GroupNorm", "InstanceNorm", "RMSNorm"]


@dataclass(frozen=True)
class GroupNorm(RatedLayer):
    """Each group of channels of a sample with mean 0 and variance 1, then each channel scaled and shifted.

    Forward   m, v = mean and variance of x over the places and channels of a group;
              u = (x - m) / √(v + eps),   y = γ u + β
    Backward  du = γ dy,   dx = (du - mean(du) - u mean(du u)) / √(v + eps) with means over the group;
              dγ = Σ dy u,   dβ = Σ dy
    Shapes    x, y (n, ..., c); γ, β (c,)
    Source    Wu & He 2018, arXiv:1803.08494

    Parameters
    ----------
    groups : int
        Number of groups, 1 or more; the channels are a multiple of it.
    eps : float
        Added to the variance; above 0.
    rate : float
        Factor on the learning rate of γ and β; 0 freezes them.
    """

    groups: Count
    eps: Positive = 1e-5
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        channels = in_shape[-1:]
        if channels[0] % self.groups:
            message = f"expected a multiple of {self.groups} channels (groups), got {channels[0]}; change groups"
            raise ShapeError(message)
        return {"gamma": ones(rng, channels), "beta": zeros(rng, channels)}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        grouped = by_groups(x, self.groups, xp)
        u, inverse = standardised(grouped, self.eps, xp)
        u = xp.reshape(u, tuple(x.shape))
        return params["gamma"] * u + params["beta"], (u, inverse, params["gamma"])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        u, inverse, gamma = cache
        grads = {"gamma": sum_channels(dy * u), "beta": sum_channels(dy)}
        return (of_groups(gamma * dy, u, inverse, self.groups) if need_dx else None), grads


@dataclass(frozen=True)
class InstanceNorm(RatedLayer):
    """Each channel of a sample with mean 0 and variance 1 over its places, then, if asked for, scaled and shifted.

    Forward   m, v = mean and variance of x over the places of a channel;
              u = (x - m) / √(v + eps),   y = γ u + β, or u
    Backward  du = γ dy,   dx = (du - mean(du) - u mean(du u)) / √(v + eps) with means over the places;
              dγ = Σ dy u,   dβ = Σ dy
    Shapes    x, y (n, ..., c) with at least two places; γ, β (c,)
    Source    Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022

    Parameters
    ----------
    eps : float
        Added to the variance; above 0.
    affine : bool
        Whether there are γ and β.
    rate : float
        Factor on the learning rate of γ and β; 0 freezes them.
    """

    eps: Positive = 1e-5
    affine: bool = False
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) < 2:
            message = f"expected samples with places and channels, got samples of shape {tuple(in_shape)}"
            raise ShapeError(message)
        channels = in_shape[-1:]
        return ({"gamma": ones(rng, channels), "beta": zeros(rng, channels)} if self.affine else {}), in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        u, inverse = standardised(by_groups(x, x.shape[-1], xp), self.eps, xp)
        u = xp.reshape(u, tuple(x.shape))
        gamma = params.get("gamma")
        return (u if gamma is None else gamma * u + params["beta"]), (u, inverse, gamma)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        u, inverse, gamma = cache
        grads = {} if gamma is None else {"gamma": sum_channels(dy * u), "beta": sum_channels(dy)}
        if not need_dx:
            return None, grads
        return of_groups(dy if gamma is None else gamma * dy, u, inverse, dy.shape[-1]), grads


@dataclass(frozen=True)
class RMSNorm(RatedLayer):
    """Each sample's last axis divided by its root mean square, then scaled.

    Forward   r = 1 / √(mean(x²) + eps),   u = x r,   y = γ u
    Backward  du = γ dy,   dx = r (du - u mean(du u));   dγ = Σ dy u
    Shapes    x, y (n, ..., c); γ (c,)
    Source    Zhang & Sennrich 2019, arXiv:1910.07467

    Parameters
    ----------
    eps : float
        Added to the mean square; above 0.
    rate : float
        Factor on the learning rate of γ; 0 freezes it.
    """

    eps: Positive = 1e-5
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        return {"gamma": ones(rng, in_shape[-1:])}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        inverse = 1.0 / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + self.eps)
        u = x * inverse
        return params["gamma"] * u, (u, inverse, params["gamma"])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        u, inverse, gamma = cache
        grads = {"gamma": sum_channels(dy * u)}
        if not need_dx:
            return None, grads
        du = gamma * dy
        return inverse * (du - u * xp.mean(du * u, axis=-1, keepdims=True)), grads


def by_groups(x: Array, groups: int, xp: Any) -> Array:
    """Return `x`, (n, ..., c), as (n, places, groups, c / groups)."""
    return xp.reshape(x, (x.shape[0], -1, groups, x.shape[-1] // groups))


def standardised(x: Array, eps: float, xp: Any) -> tuple[Array, Array]:
    """Return groups (n, places, groups, channels) with mean 0 and variance 1, and 1 / √(v + eps) of each."""
    centred = x - xp.mean(x, axis=(1, 3), keepdims=True)
    inverse = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=(1, 3), keepdims=True) + eps)
    return centred * inverse, inverse


def of_groups(du: Array, u: Array, inverse: Array, groups: int) -> Array:
    """Return dx of :func:`standardised` from du, in du's shape."""
    xp = namespace(du)
    shape = tuple(du.shape)
    du, u = by_groups(du, groups, xp), by_groups(u, groups, xp)
    along = xp.mean(du * u, axis=(1, 3), keepdims=True)
    return xp.reshape(inverse * (du - xp.mean(du, axis=(1, 3), keepdims=True) - u * along), shape)
