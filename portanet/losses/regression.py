"""Losses of numbers: squared and absolute errors, and counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace, row_products, sign
from portanet.checks import Number, Positive, Several
from portanet.errors import ShapeError
from portanet.losses.base import Loss, Unit, aligned, in_units, weighted_mean
from portanet.typing import Array

__all__ = ["Huber", "MeanAbsoluteError", "MeanSquaredError", "Poisson", "Quantile", "SumSquaredError"]


@dataclass(frozen=True)
class SumSquaredError(Loss):
    """Half the squared distance, summed over the outputs of a sample.

    Forward   l  = ½ Σ (y - t)²
    Backward  dy = y - t
    Source    Rumelhart, Hinton & Williams 1986, Nature 323, eq. 3

    Parameters
    ----------
    unit : float or tuple of float
        The unit of errors; see :data:`portanet.losses.base.Unit`.
    """

    unit: Unit = 1.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = in_units(prediction - aligned(prediction, target, xp), self.unit, xp)
        value, share = weighted_mean(0.5 * row_products(e, e), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return in_units(e * share, self.unit, namespace(e))


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Squared error, averaged over the m outputs of a sample.

    Forward   l  = Σ (y - t)² / m
    Backward  dy = 2 (y - t) / m
    Source    Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.14

    Parameters
    ----------
    unit : float or tuple of float
        The unit of errors; see :data:`portanet.losses.base.Unit`.
    """

    unit: Unit = 1.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = in_units(prediction - aligned(prediction, target, xp), self.unit, xp)
        value, share = weighted_mean(xp.mean(e * e, axis=-1), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return in_units((2.0 / e.shape[-1]) * e * share, self.unit, namespace(e))


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Absolute error, averaged over the m outputs of a sample; its minimum is the median.

    Forward   l  = Σ |y - t| / m
    Backward  dy = sign(y - t) / m     (0 where they are equal)
    Source    Bishop 2006, Pattern Recognition and Machine Learning, sec. 1.5.5

    Parameters
    ----------
    unit : float or tuple of float
        The unit of errors; see :data:`portanet.losses.base.Unit`.
    """

    unit: Unit = 1.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = in_units(prediction - aligned(prediction, target, xp), self.unit, xp)
        value, share = weighted_mean(xp.mean(xp.abs(e), axis=-1), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return in_units(sign(e) * (1.0 / e.shape[-1]) * share, self.unit, namespace(e))


@dataclass(frozen=True)
class Huber(Loss):
    """Squared error near 0 and absolute error far away, averaged over the m outputs of a sample.

    Forward   l  = Σ g (e - g/2) / m,  e = y - t,  g = e held within ±delta
    Backward  dy = g / m
    Source    Huber 1964, Annals of Mathematical Statistics 35

    Parameters
    ----------
    delta : float
        Where the square passes into the line; above 0.
    unit : float or tuple of float
        The unit of errors; see :data:`portanet.losses.base.Unit`.
    """

    delta: Positive = 1.0
    unit: Unit = 1.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = in_units(prediction - aligned(prediction, target, xp), self.unit, xp)
        g = xp.minimum(xp.maximum(e, -self.delta), self.delta)
        value, share = weighted_mean(xp.mean(g * (e - 0.5 * g), axis=-1), weight, xp)
        return value, (g, share)

    def backward(self, cache: Any) -> Array:
        g, share = cache
        return in_units((1.0 / g.shape[-1]) * g * share, self.unit, namespace(g))


@dataclass(frozen=True)
class Poisson(Loss):
    """Negative log-likelihood of counts from the logarithm z of their rates, averaged over the m outputs of a sample.

    Forward   l  = Σ (exp(z) - t z) / m     (without log t!, which no prediction changes)
    Backward  dz = (exp(z) - t) / m
    Source    McCullagh & Nelder 1989, Generalized Linear Models, ch. 6
    """

    target_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        t = aligned(prediction, target, xp)
        rate = xp.exp(prediction)
        value, share = weighted_mean(xp.mean(rate - t * prediction, axis=-1), weight, xp)
        return value, (rate, t, share)

    def backward(self, cache: Any) -> Array:
        rate, t, share = cache
        return (1.0 / t.shape[-1]) * (rate - t) * share

    def link(self, prediction: Array) -> Array:
        return namespace(prediction).exp(prediction)


@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss: output i of the m outputs of a sample learns the quantile taus[i] of its target.

    Forward   l  = Σ max(τ e, (τ - 1) e) / m,  e = t - y
    Backward  dy = ((e < 0) - τ) / m           (0 where e is 0)
    Source    Koenker & Bassett 1978, Econometrica 46

    A single target a sample is that of all outputs.

    Parameters
    ----------
    taus : tuple of float
        One for each output, between 0 and 1: ``(0.05, 0.5, 0.95)`` is a median within an interval of 90 %.
    unit : float or tuple of float
        The unit of errors; see :data:`portanet.losses.base.Unit`.
    """

    taus: Annotated[tuple[float, ...], Several(Number(above=0, below=1))] = (0.05, 0.5, 0.95)
    unit: Unit = 1.0
    one_target: ClassVar[bool] = True

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        if prediction.shape[-1] != len(self.taus):
            message = f"expected {len(self.taus)} outputs, one for each of taus, got {prediction.shape[-1]}"
            raise ShapeError(message)
        e = in_units(aligned(prediction, target, xp) - prediction, self.unit, xp)
        tau = xp.concat([xp.full((1,), own, dtype=e.dtype, device=device(e)) for own in self.taus])
        value, share = weighted_mean(xp.mean(xp.maximum(tau * e, (tau - 1.0) * e), axis=-1), weight, xp)
        return value, (e, tau, share)

    def backward(self, cache: Any) -> Array:
        e, tau, share = cache
        xp = namespace(e)
        slope = xp.astype(e < 0, e.dtype) - tau * xp.astype(e != 0, e.dtype)
        return in_units((1.0 / e.shape[-1]) * slope * share, self.unit, xp)
