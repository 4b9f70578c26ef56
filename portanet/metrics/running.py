"""Metrics that are measured batch by batch, in training too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import Count, Name
from portanet.layers import Sigmoid
from portanet.losses import Loss
from portanet.losses.base import aligned, weighted_mean
from portanet.metrics.base import Metric, shares
from portanet.typing import Array

__all__ = ["R2", "Accuracy", "MeanAbsoluteErrorMetric", "TopK"]


@dataclass(frozen=True)
class Accuracy(Metric):
    """Share of the samples whose largest output is the target's class (a single output: on its side of the threshold).

    With a loss that takes each output for a label of its own (BinaryCrossEntropy, a target row a sample), the share of
    the outputs on their right side.
    """

    name: Name = "accuracy"
    ranks_only: ClassVar[bool] = True
    greater_is_better: ClassVar[bool | None] = True

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        xp = namespace(prediction)
        if prediction.shape[-1] == 1 or (loss.output is Sigmoid and target.ndim == prediction.ndim):
            right = (prediction > loss.threshold) == (aligned(prediction, target, xp) > 0.5)
            hit = xp.mean(xp.astype(right, prediction.dtype), axis=-1)
        else:
            classes = xp.argmax(target, axis=-1) if target.ndim == prediction.ndim else target
            hit = xp.astype(xp.argmax(prediction, axis=-1) == classes, prediction.dtype)
        return weighted_mean(hit, weight, xp)[0]


@dataclass(frozen=True)
class TopK(Metric):
    """Share of the samples whose target is among the `k` largest outputs; of equal outputs the first counts as larger.

    So ``top_1`` is the accuracy, and a network whose outputs are all equal hits k classes and no more.
    """

    k: Count = 5
    ranks_only: ClassVar[bool] = True
    greater_is_better: ClassVar[bool | None] = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """The column's name, ``top_5`` for k = 5."""
        return f"top_{self.k}"

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        xp = namespace(prediction)
        own = xp.argmax(aligned(prediction, target, xp), axis=-1, keepdims=True)
        index = xp.arange(prediction.shape[-1], dtype=own.dtype, device=device(prediction))
        value = xp.sum(xp.where(index == own, prediction, 0.0), axis=-1, keepdims=True)
        ahead = (prediction > value) | ((prediction == value) & (index < own))
        above = xp.sum(xp.astype(ahead, prediction.dtype), axis=-1)
        return weighted_mean(xp.astype(above < self.k, prediction.dtype), weight, xp)[0]


@dataclass(frozen=True)
class MeanAbsoluteErrorMetric(Metric):
    """Mean of |y - t| over outputs and samples."""

    name: Name = "mae"
    greater_is_better: ClassVar[bool | None] = False

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        xp = namespace(prediction)
        error = xp.mean(xp.abs(prediction - aligned(prediction, target, xp)), axis=-1)
        return weighted_mean(error, weight, xp)[0]


@dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination, 1 - Σ w (t - y)² / Σ w (t - t̄)²; the mean of it over the outputs.

    A batch gives the mean of its targets, what rounding took from that mean, their mean square about it, and the mean
    squared error. They are joined on the host in float64 by the parallel formula of Chan, Golub & LeVeque 1983, so that
    nothing cancels where targets lie far from 0.
    """

    name: Name = "r2"
    greater_is_better: ClassVar[bool | None] = True

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        xp = namespace(prediction)
        t = aligned(prediction, target, xp)
        each = None if weight is None else weight[..., None, :]

        def mean(columns: Array) -> Array:  # over the samples, for each output
            return weighted_mean(xp.matrix_transpose(columns), each, xp)[0]

        centre = mean(t)
        e = t - centre[..., None, :]
        return xp.stack([centre, mean(e), mean(e * e), mean((prediction - t) ** 2)], axis=-2)

    def merge(self, values: Any, sizes: Any) -> float:
        share = shares(sizes)[:, None]
        centre, rest, square, error = (values[:, i, :] for i in range(4))
        mean = (share * (centre + rest)).sum(axis=0)
        spread = (share * (square - rest**2 + (centre + rest - mean) ** 2)).sum(axis=0)
        error = (share * error).sum(axis=0)
        flat = spread <= 0
        # scikit-learn's convention for an output whose targets are all alike: 1 if it is met, else 0
        score = (~flat) * (1 - error / (spread + flat)) + flat * (error == 0)
        return float(score.mean())
