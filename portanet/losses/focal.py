"""The cross-entropy that looks past what is easy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.losses.base import weighted_mean
from portanet.losses.cross_entropy import Exclusive
from portanet.typing import Array

__all__ = ["FocalCrossEntropy"]


@dataclass(frozen=True)
class FocalCrossEntropy(Exclusive):
    """Cross-entropy that counts samples less the better they are classified, from logits z; p = softmax(z).

    Forward   l  = -Σ t (1 - p)ᵍ log p     (Σ t = 1)
    Backward  a  = t (g (1 - p)ᵍ p log p / (1 - p) - (1 - p)ᵍ),   dz = a - p Σ a
    Source    Lin, Goyal, Girshick, He & Dollár 2017, arXiv:1708.02002

    Parameters
    ----------
    gamma : float
        g, 0 or more; at 0 it is SoftmaxCrossEntropy. Class weights (their α) are ``fit(class_weight=...)``.
    """

    gamma: NotNegative = 2.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        t = self.aligned_targets(prediction, target, xp)
        z = prediction - xp.max(prediction, axis=-1, keepdims=True)
        log_p = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
        p = xp.exp(log_p)
        rest = -xp.expm1(log_p)  # 1 - p, exact where p is close to 1
        factor = rest**self.gamma
        value, share = weighted_mean(-xp.vecdot(factor * log_p, t), weight, xp)
        return value, (p, log_p, rest, factor, t, share)

    def backward(self, cache: Any) -> Array:
        p, log_p, rest, factor, t, share = cache
        xp = namespace(p)
        # log p / (1 - p) is close to -1 where 1 - p is 0, and the factor is 0 there: no number is needed.
        a = t * (self.gamma * factor * p * log_p / xp.maximum(rest, 1e-30) - factor)
        return (a - p * xp.sum(a, axis=-1, keepdims=True)) * share
