"""Negative log-likelihoods of what a network predicts: a normal distribution for each target, or log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.errors import ShapeError
from portanet.layers import Layer, LogSoftmax
from portanet.losses.base import Loss, Unit, aligned, in_units, weighted_mean
from portanet.typing import Array

__all__ = ["GaussianLikelihood", "NegativeLogLikelihood"]


@dataclass(frozen=True)
class GaussianLikelihood(Loss):
    """Gaussian negative log-likelihood (GaussianNLL): a network of 2 m outputs learns m means and their variances.

    Outputs are the m means μ, then the logarithms s = log σ² of the m variances.

    Forward   l  = Σ ½ (s + (μ - t)² exp(-s)) / m     (without ½ log 2π, which no prediction changes)
    Backward  dμ = (μ - t) exp(-s) / m,   ds = ½ (1 - (μ - t)² exp(-s)) / m
    Shapes    predictions (..., n, 2 m), targets (..., n, m), or (..., n) if m is 1
    Source    Nix & Weigend 1994, Proceedings of the IEEE International Conference on Neural Networks, eq. 5

    ``predict`` returns the means and then the standard deviations σ, ``predict(x, raw=True)`` μ and s.

    Parameters
    ----------
    unit : float or tuple of float
        What errors and deviations are measured in: (μ - t) / unit and σ / unit stand above in place of μ - t and σ, and
        dμ is divided by it too. With the targets' standard deviation, targets of any size are learned like standardised
        ones.
    """

    unit: Unit = 1.0

    def targets(self, outputs: int) -> int:
        if outputs % 2:
            message = (
                f"GaussianLikelihood: expected twice as many outputs as targets, means and variances, got {outputs}"
            )
            raise ShapeError(message)
        return outputs // 2

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        m = self.targets(prediction.shape[-1])
        mean, s = prediction[..., :m], prediction[..., m:]
        e = in_units(mean - aligned(mean, target, xp), self.unit, xp)
        precision = xp.exp(-s)
        value, share = weighted_mean(0.5 * xp.mean(s + e * e * precision, axis=-1), weight, xp)
        return value, (e, precision, share)

    def backward(self, cache: Any) -> Array:
        e, precision, share = cache
        xp = namespace(e)
        scaled = e * precision
        dmean = in_units(scaled, self.unit, xp)
        return xp.concat([dmean, 0.5 - 0.5 * e * scaled], axis=-1) * ((1.0 / e.shape[-1]) * share)

    def link(self, prediction: Array) -> Array:
        xp = namespace(prediction)
        m = self.targets(prediction.shape[-1])
        unit = tuple(1.0 / own for own in self.unit) if isinstance(self.unit, tuple) else 1.0 / self.unit
        return xp.concat([prediction[..., :m], in_units(xp.exp(0.5 * prediction[..., m:]), unit, xp)], axis=-1)


@dataclass(frozen=True)
class NegativeLogLikelihood(Loss):
    """Negative log-likelihood (NLL) of the right class, from log-probabilities: the network ends with LogSoftmax.

    Forward   l  = -Σ t z
    Backward  dz = -t
    Shapes    predictions z (..., n, classes), targets t alike, or indices (..., n)
    Source    Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.108

    SoftmaxCrossEntropy is the same for a network without LogSoftmax.
    """

    ends_with: ClassVar[type[Layer] | None] = LogSoftmax
    threshold: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        t = aligned(prediction, target, xp)
        value, share = weighted_mean(-xp.sum(prediction * t, axis=-1), weight, xp)
        return value, (xp.broadcast_to(t, prediction.shape), share)  # a stack of networks may share its targets

    def backward(self, cache: Any) -> Array:
        t, share = cache
        return -t * share

    def link(self, prediction: Array) -> Array:
        return namespace(prediction).exp(prediction)
