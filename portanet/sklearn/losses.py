"""The losses of scikit-learn's regressor, as it defines and reports them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.losses import Loss, Poisson, SumSquaredError
from portanet.losses.base import aligned, weighted_mean
from portanet.typing import Array


@dataclass(frozen=True)
class HalfSquaredError(SumSquaredError):
    """Half the squared error, reported as the mean over the m outputs, descended as their sum.

    Forward   l  = ½ Σ (y - t)² / m
    Backward  dy = y - t     (not that of l where m > 1: scikit-learn's stochastic solvers do so, and so do these)
    """

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        value, cache = super().forward(prediction, target, weight)
        return value / prediction.shape[-1], cache


@dataclass(frozen=True)
class HalfPoissonDeviance(Poisson):
    """Half the Poisson deviance, summed over the outputs of a sample, from the logarithm z of the rates.

    Forward   l  = Σ t log t - t z - t + exp(z)     (0 log 0 = 0)
    Backward  dz = exp(z) - t
    Source    McCullagh & Nelder 1989, Generalized Linear Models, ch. 6
    """

    target_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        t = aligned(prediction, target, xp)
        rate = xp.exp(prediction)
        own = t * xp.log(xp.maximum(t, 1e-30))  # 0 where t is 0
        value, share = weighted_mean(xp.sum(own - t * prediction - t + rate, axis=-1), weight, xp)
        return value, (rate, t, share)

    def backward(self, cache: Any) -> Array:
        rate, t, share = cache
        return (rate - t) * share


def public(loss: Loss) -> Loss:
    """Return the library's own loss of the same outputs, which a file can name, in the place of one of these."""
    if isinstance(loss, HalfSquaredError):
        return SumSquaredError(loss.unit)
    return Poisson() if isinstance(loss, HalfPoissonDeviance) else loss
