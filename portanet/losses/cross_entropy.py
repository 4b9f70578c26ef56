"""Cross-entropies of classes, from logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.elementwise import elementwise
from portanet.backends.namespace import namespace, row_products
from portanet.checks import Share
from portanet.errors import ShapeError
from portanet.layers import Layer, Sigmoid, Softmax
from portanet.layers.activations import sigmoid, softmax
from portanet.losses.base import Loss, aligned, weighted_mean
from portanet.typing import Array

__all__ = ["BinaryCrossEntropy", "SoftmaxCrossEntropy"]


class Exclusive(Loss):
    """Base of losses of classes of which a sample is one, from logits; their output layer is the softmax."""

    output: ClassVar[type[Layer] | None] = Softmax
    threshold: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def aligned_targets(self, prediction: Array, target: Array, xp: Any) -> Array:
        """Return the targets in the shape of the prediction; raise ShapeError if that has a single output."""
        if prediction.shape[-1] < 2:
            message = (
                f"{type(self).__name__}: expected at least 2 outputs, got 1; use BinaryCrossEntropy for a single output"
            )
            raise ShapeError(message)
        return aligned(prediction, target, xp)

    def link(self, prediction: Array) -> Array:
        return softmax(prediction)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Exclusive):
    """Negative logarithm of the softmax at the target, from logits z.

    Forward   l  = log Σ exp(z) - Σ t z     (Σ t = 1)
    Backward  dz = softmax(z) - t           (the softmax's Jacobian and the logarithm cancel)
    Source    Bridle 1990, NIPS; label smoothing: Szegedy et al. 2016, arXiv:1512.00567

    Parameters
    ----------
    label_smoothing : float
        Share e of each target that is spread evenly over the K classes, t (1 - e) + e / K; 0 ≤ e < 1.

    Notes
    -----
    Class weights (``fit(class_weight=...)``) are weights of samples: each sample's whole loss, smoothed part included,
    is weighted by its own class. ``torch.nn.CrossEntropyLoss(weight, label_smoothing=...)`` weights the smoothed part
    by the class that it falls on: the two differ where both are used, and are the same where one of them is.
    """

    label_smoothing: Share = 0.0

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        t = _smooth(self.aligned_targets(prediction, target, xp), self.label_smoothing, prediction.shape[-1])
        z = prediction - xp.max(prediction, axis=-1, keepdims=True)  # the largest exponential is then 1
        e = xp.exp(z)
        s = xp.sum(e, axis=-1, keepdims=True)
        value, share = weighted_mean(xp.log(s)[..., 0] - row_products(z, t), weight, xp)
        return value, (e, s, t, share)  # loss and gradient share the exponentials

    @elementwise
    def backward(self, cache: Any) -> Array:
        e, s, t, share = cache
        dz = e / s
        dz -= t
        dz *= share
        return dz


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Negative log-likelihood of independent yes-or-no outputs, from logits z; summed over the outputs of a sample.

    Forward   l  = Σ max(z, 0) - z t + log(1 + exp(-|z|))
    Backward  dz = σ(z) - t
    Source    Solla, Levin & Fleisher 1988, Complex Systems 2

    Parameters
    ----------
    label_smoothing : float
        Share e of each target that is spread evenly over yes and no, t (1 - e) + e / 2; 0 ≤ e < 1.
    """

    label_smoothing: Share = 0.0
    output: ClassVar[type[Layer] | None] = Sigmoid
    threshold: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        z = prediction
        t = _smooth(aligned(z, target, xp), self.label_smoothing, 2)
        likelihood = xp.maximum(z, 0.0) - z * t + xp.log1p(xp.exp(-xp.abs(z)))
        value, share = weighted_mean(xp.sum(likelihood, axis=-1), weight, xp)
        return value, (z, t, share)

    @elementwise
    def backward(self, cache: Any) -> Array:
        z, t, share = cache
        return (sigmoid(z) - t) * share

    def link(self, prediction: Array) -> Array:
        return sigmoid(prediction)


def _smooth(target: Array, share: float, classes: int) -> Array:
    return target * (1.0 - share) + share / classes if share else target
