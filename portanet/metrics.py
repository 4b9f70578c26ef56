"""Metrics: what a person wants to know beside the loss.

During training and evaluation a metric gives a few numbers a batch (``batch``), which stay on the device, and one number
an epoch from all of them (``merge``), on the host. The functions on whole label arrays run on the host.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from array_api_compat import array_namespace

from portanet.errors import ConfigError, DataError, unknown
from portanet.losses import Loss, aligned, weighted_mean
from portanet.typing import Array

__all__ = ["R2", "Accuracy", "MeanAbsoluteErrorMetric", "Metric", "ScikitMetric", "TopK", "confusion_matrix"]


class Metric:
    """Base of all metrics; every one is a frozen dataclass."""

    name: str
    ranks_only: ClassVar[bool] = False
    """Whether the order of the outputs is enough, so that the loss's link need not be applied to them."""

    def batch(self, prediction: Array, target: Array, weight: Array | None, threshold: float) -> Array:
        """Return the batch's numbers, shape () or (k,), on the device; `threshold` parts the classes of a single output."""
        raise NotImplementedError

    def merge(self, values: Any, sizes: Any) -> float:
        """Return the epoch's number from the batches': host arrays, `values` (batches, ...), `sizes` (batches,)."""
        return float((values * sizes).sum() / sizes.sum())


@dataclass(frozen=True)
class Accuracy(Metric):
    """Share of the samples whose largest output is the target's class (a single output: on its side of the threshold).

    At several outputs with a target row each (multi-label), the share of the outputs on their right side.
    """

    name: str = "accuracy"
    ranks_only: ClassVar[bool] = True

    def batch(self, prediction: Array, target: Array, weight: Array | None, threshold: float) -> Array:
        xp = array_namespace(prediction)
        if prediction.shape[-1] == 1:
            hit = (prediction > threshold) == (aligned(prediction, target, xp) > 0.5)
            hit = hit[..., 0]
        else:
            classes = xp.argmax(target, axis=-1) if target.ndim == prediction.ndim else target
            hit = xp.argmax(prediction, axis=-1) == classes
        return weighted_mean(xp.astype(hit, prediction.dtype), weight, xp)[0]


@dataclass(frozen=True)
class TopK(Metric):
    """Share of the samples whose target is among the `k` largest outputs."""

    k: int = 5
    ranks_only: ClassVar[bool] = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """The column's name, ``top_5`` for k = 5."""
        return f"top_{self.k}"

    def batch(self, prediction: Array, target: Array, weight: Array | None, threshold: float) -> Array:
        xp = array_namespace(prediction)
        own = xp.sum(prediction * aligned(prediction, target, xp), axis=-1, keepdims=True)
        above = xp.sum(xp.astype(prediction > own, prediction.dtype), axis=-1)
        return weighted_mean(xp.astype(above < self.k, prediction.dtype), weight, xp)[0]


@dataclass(frozen=True)
class MeanAbsoluteErrorMetric(Metric):
    """Mean of |y - t| over outputs and samples."""

    name: str = "mae"

    def batch(self, prediction: Array, target: Array, weight: Array | None, threshold: float) -> Array:
        xp = array_namespace(prediction)
        error = xp.mean(xp.abs(prediction - aligned(prediction, target, xp)), axis=-1)
        return weighted_mean(error, weight, xp)[0]


@dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination, 1 - Σ w (t - y)² / Σ w (t - t̄)²; the mean of it over the outputs.

    A batch gives the mean of its targets, their mean square about it, and the mean squared error. They are joined by
    the parallel formula of Chan, Golub & LeVeque 1983, so that nothing cancels where targets lie far from 0.
    """

    name: str = "r2"

    def batch(self, prediction: Array, target: Array, weight: Array | None, threshold: float) -> Array:
        xp = array_namespace(prediction)
        t = aligned(prediction, target, xp)

        def mean(columns: Array) -> Array:  # over the samples, for each output
            return weighted_mean(xp.matrix_transpose(columns), weight, xp)[0]

        centre = mean(t)
        around = mean((t - centre) ** 2)
        return xp.stack([centre, around, mean((prediction - t) ** 2)])

    def merge(self, values: Any, sizes: Any) -> float:
        share = (sizes / sizes.sum())[:, None]
        centre, around, error = (values[:, i, :] for i in range(3))
        mean = (share * centre).sum(axis=0)
        spread = (share * (around + (centre - mean) ** 2)).sum(axis=0)
        error = (share * error).sum(axis=0)
        if (spread == 0).any():
            return 1.0 if (error == 0).all() else 0.0  # scikit-learn's convention for targets that are all alike
        return float((1 - error / spread).mean())


@dataclass(frozen=True)
class ScikitMetric(Metric):
    """A function ``name(y_true, y_pred)`` of :mod:`sklearn.metrics`, for evaluation and validation (not for batches).

    Class labels are given for a classification, the outputs themselves for a regression or where the name says that
    it takes scores (``roc_auc_score``, ``log_loss``, ``average_precision_score``, ``brier_score_loss``).
    """

    name: str
    takes_scores: ClassVar[frozenset[str]] = frozenset(
        {"roc_auc_score", "log_loss", "average_precision_score", "brier_score_loss", "top_k_accuracy_score"}
    )

    def whole(self, target: Any, outputs: Any, labels: Any | None, weight: Any | None = None) -> float:
        """Return the metric of host arrays: targets, outputs on the target's scale, and predicted labels if there are any."""
        function = getattr(importlib.import_module("sklearn.metrics"), self.name)
        scores = labels is None or self.name in self.takes_scores
        guess = outputs if scores else labels
        if scores and guess.ndim == 2 and guess.shape[1] == 1:
            guess = guess[:, 0]
        options: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        if labels is not None and not scores and int(target.max()) > 1 and "average" in function.__kwdefaults__:
            options["average"] = "macro"
        return float(function(target, guess, **options))


METRICS: dict[str, type[Metric]] = {"accuracy": Accuracy, "mae": MeanAbsoluteErrorMetric, "r2": R2}


def get(spec: str | Metric) -> Metric:
    """Return the metric that `spec` is or names: ``accuracy``, ``mae``, ``r2``, ``top_5``, or a function of sklearn.metrics.

    Raises
    ------
    ConfigError
        If the name is neither ours nor, where scikit-learn is installed, its own.
    """
    if isinstance(spec, Metric):
        return spec
    if spec in METRICS:
        return METRICS[spec]()
    head, _, k = spec.partition("_")
    if head == "top" and k.isdigit() and int(k) > 0:
        return TopK(int(k))
    try:
        if callable(getattr(importlib.import_module("sklearn.metrics"), spec, None)):
            return ScikitMetric(spec)
        hint = ""
    except ImportError:
        hint = '; more come from scikit-learn, which is not installed: pip install "portanet[sklearn]"'
    raise ConfigError(unknown("metric", spec, [*METRICS, "top_5"]) + hint)


def measure(
    metrics: Sequence[Metric], loss: Loss, prediction: Array, target: Array, weight: Array | None
) -> tuple[Array, ...]:
    """Return the batch's numbers of every metric, from predictions on the loss's own scale."""
    linked = None
    found = []
    for metric in metrics:
        if metric.ranks_only:
            found.append(metric.batch(prediction, target, weight, loss.threshold))
            continue
        linked = loss.link(prediction) if linked is None else linked
        found.append(metric.batch(linked, target, weight, 0.5))
    return tuple(found)


def confusion_matrix(target: Any, predicted: Any, classes: int) -> Any:
    """Return counts, shape (classes, classes): entry (i, j) is how many of class i were taken for class j.

    Parameters
    ----------
    target, predicted : host arrays of integers, shape (n,)
        Class indices, 0 ≤ index < `classes`.

    Raises
    ------
    DataError
        If the two differ in length or an index is out of range.
    """
    xp = array_namespace(target, predicted)
    if target.shape != predicted.shape:
        message = f"confusion_matrix: expected as many predictions as targets, got {predicted.shape} and {target.shape}"
        raise DataError(message)
    for name, labels in (("target", target), ("predicted", predicted)):
        if len(labels) and not (0 <= int(labels.min()) and int(labels.max()) < classes):
            message = f"confusion_matrix: {name} must lie in 0 … {classes - 1}, got {int(labels.min())} … {int(labels.max())}"
            raise DataError(message)
    counts = xp.bincount(target * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)
