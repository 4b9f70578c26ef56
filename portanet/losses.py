"""Losses: a number to be made small, and its gradient with respect to the prediction.

``forward(prediction, target, weight) -> (value, cache)``, ``backward(cache) -> ∂value/∂prediction``. Predictions have
shape (..., n, outputs). Targets have the same shape, or lack its last axis: class indices (integers, at more than one
output) or one number a sample (at one output). The value is the mean over the samples, weighted where weights (n,) are
given: Σ w l / Σ w. Leading axes are a stack of networks, and the value has one entry for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import check_fields
from portanet.errors import ConfigError, ShapeError, unknown
from portanet.layers import Layer, Sigmoid, Softmax
from portanet.layers.activations import sigmoid, softmax
from portanet.typing import Array

__all__ = [
    "BinaryCrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "SoftmaxCrossEntropy",
    "SumSquaredError",
]


class Loss:
    """Base of all losses; every one is a frozen dataclass."""

    output: ClassVar[type[Layer] | None] = None
    """The output layer that the loss contains; a network that ends with it is trained on what goes into that layer."""

    threshold: ClassVar[float] = 0.5
    """Where a single output passes from class 0 to class 1."""

    target_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """What targets may be."""

    def __post_init__(self) -> None:
        check_fields(self)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        """Return the weighted mean over the samples, and the cache of :meth:`backward`."""
        raise NotImplementedError

    def backward(self, cache: Any) -> Array:
        """Return the gradient with respect to the prediction, in its shape."""
        raise NotImplementedError

    def link(self, prediction: Array) -> Array:
        """Return the prediction on the target's scale: probabilities, rates, or itself."""
        return prediction


def aligned(prediction: Array, target: Array, xp: Any) -> Array:
    """Return `target` in the shape and dtype of `prediction`: class indices as one-hot rows, numbers as a column."""
    if target.ndim < prediction.ndim and target.shape[-1] == prediction.shape[-2]:
        outputs = prediction.shape[-1]
        if outputs == 1:
            target = target[..., None]
        elif xp.isdtype(target.dtype, "integral"):
            indices = xp.arange(outputs, dtype=target.dtype, device=device(prediction))
            target = target[..., None] == indices  # by comparison: an index out of range cannot wrap round
    if target.shape[-2:] != prediction.shape[-2:]:
        message = (
            f"expected targets for predictions of shape {tuple(prediction.shape)}, got targets of shape "
            f"{tuple(target.shape)}; give one row of {prediction.shape[-1]} numbers a sample"
        )
        if prediction.shape[-1] > 1:
            message += ", or one class index (an integer) a sample"
        raise ShapeError(message)
    return target if target.dtype == prediction.dtype else xp.astype(target, prediction.dtype)


def weighted_mean(values: Array, weight: Array | None, xp: Any) -> tuple[Array, Any]:
    """Return the mean of `values` (..., n), and each sample's share in it, to scale gradients (..., n, outputs)."""
    if weight is None:
        share = 1.0 / values.shape[-1]
        return xp.sum(values, axis=-1) * share, share
    total = xp.sum(weight, axis=-1, keepdims=True)
    shares = weight / xp.maximum(total, 1e-30)  # a batch whose weights are all 0 moves nothing
    return xp.sum(values * shares, axis=-1), shares[..., None]


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Negative logarithm of the softmax at the target, from logits z.

    Forward   l  = log Σ exp(z) - Σ t z     (Σ t = 1)
    Backward  dz = softmax(z) - t           (the softmax's Jacobian and the logarithm cancel)
    Source    Bridle 1990, NIPS; label smoothing: Szegedy et al. 2016, arXiv:1512.00567

    Parameters
    ----------
    label_smoothing : float
        Share e of each target that is spread evenly over the K classes, t (1 - e) + e / K; 0 ≤ e < 1.
    """

    label_smoothing: float = 0.0
    output: ClassVar[type[Layer] | None] = Softmax
    threshold: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_smoothing(self)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        if prediction.shape[-1] < 2:
            message = (
                "SoftmaxCrossEntropy: expected at least 2 outputs, got 1; use BinaryCrossEntropy for a single output"
            )
            raise ShapeError(message)
        t = _smooth(aligned(prediction, target, xp), self.label_smoothing, prediction.shape[-1])
        z = prediction - xp.max(prediction, axis=-1, keepdims=True)  # the largest exponential is then 1
        e = xp.exp(z)
        s = xp.sum(e, axis=-1, keepdims=True)
        value, share = weighted_mean(xp.log(s)[..., 0] - xp.vecdot(z, t), weight, xp)
        return value, (e, s, t, share)  # loss and gradient share the exponentials

    def backward(self, cache: Any) -> Array:
        e, s, t, share = cache
        dz = e / s
        dz -= t
        dz *= share
        return dz

    def link(self, prediction: Array) -> Array:
        return softmax(prediction)


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

    label_smoothing: float = 0.0
    output: ClassVar[type[Layer] | None] = Sigmoid
    threshold: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_smoothing(self)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        z = prediction
        t = _smooth(aligned(z, target, xp), self.label_smoothing, 2)
        likelihood = xp.maximum(z, 0.0) - z * t + xp.log1p(xp.exp(-xp.abs(z)))
        value, share = weighted_mean(xp.sum(likelihood, axis=-1), weight, xp)
        return value, (z, t, share)

    def backward(self, cache: Any) -> Array:
        z, t, share = cache
        return (sigmoid(z) - t) * share

    def link(self, prediction: Array) -> Array:
        return sigmoid(prediction)


@dataclass(frozen=True)
class SumSquaredError(Loss):
    """Half the squared distance, summed over the outputs of a sample.

    Forward   l  = ½ Σ (y - t)²
    Backward  dy = y - t
    Source    Rumelhart, Hinton & Williams 1986, Nature 323, eq. 3
    """

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = prediction - aligned(prediction, target, xp)
        value, share = weighted_mean(0.5 * xp.vecdot(e, e), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return e * share


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Squared error, averaged over the m outputs of a sample.

    Forward   l  = Σ (y - t)² / m
    Backward  dy = 2 (y - t) / m
    Source    Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.14
    """

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = prediction - aligned(prediction, target, xp)
        value, share = weighted_mean(xp.mean(e * e, axis=-1), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return (2.0 / e.shape[-1]) * e * share


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Absolute error, averaged over the m outputs of a sample; its minimum is the median.

    Forward   l  = Σ |y - t| / m
    Backward  dy = sign(y - t) / m     (0 where they are equal)
    Source    Bishop 2006, Pattern Recognition and Machine Learning, sec. 1.5.5
    """

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = prediction - aligned(prediction, target, xp)
        value, share = weighted_mean(xp.mean(xp.abs(e), axis=-1), weight, xp)
        return value, (e, share)

    def backward(self, cache: Any) -> Array:
        e, share = cache
        return namespace(e).sign(e) * (1.0 / e.shape[-1]) * share


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
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.delta > 0:
            message = f"Huber: delta must be above 0, got {self.delta!r}"
            raise ConfigError(message)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        xp = namespace(prediction)
        e = prediction - aligned(prediction, target, xp)
        g = xp.minimum(xp.maximum(e, -self.delta), self.delta)
        value, share = weighted_mean(xp.mean(g * (e - 0.5 * g), axis=-1), weight, xp)
        return value, (g, share)

    def backward(self, cache: Any) -> Array:
        g, share = cache
        return (1.0 / g.shape[-1]) * g * share


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


LOSSES: dict[str, type[Loss]] = {
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "sum_squared_error": SumSquaredError,
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}


def get(spec: str | Loss) -> Loss:
    """Return the loss that `spec` is or names.

    Raises
    ------
    ConfigError
        If the name is unknown; the nearest known one is told.
    """
    if isinstance(spec, Loss):
        return spec
    if not isinstance(spec, str) or spec not in LOSSES:
        raise ConfigError(unknown("loss", spec, LOSSES))
    return LOSSES[spec]()


def _smooth(target: Array, share: float, classes: int) -> Array:
    return target * (1.0 - share) + share / classes if share else target


def _check_smoothing(loss: SoftmaxCrossEntropy | BinaryCrossEntropy) -> None:
    if not 0 <= loss.label_smoothing < 1:
        message = f"{type(loss).__name__}: label_smoothing must be at least 0 and below 1, got {loss.label_smoothing!r}"
        raise ConfigError(message)
