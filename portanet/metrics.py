"""Metrics: quantities reported next to the loss.

During training and evaluation a metric gives a few numbers a batch (``batch``), which stay on the device, and one
number an epoch from all of them (``merge``), on the host. The functions on whole label arrays run on the host.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from array_api_compat import device

from portanet.backends.host import host_array
from portanet.backends.namespace import namespace
from portanet.checks import Count, Name, check_fields
from portanet.errors import ConfigError, DataError, install, unknown
from portanet.layers import Sigmoid
from portanet.losses import Loss
from portanet.losses.base import aligned, weighted_mean
from portanet.registry import Registry
from portanet.typing import Array

__all__ = ["R2", "Accuracy", "MeanAbsoluteErrorMetric", "Metric", "ScikitMetric", "TopK", "confusion_matrix"]


class Metric:
    """Base of all metrics; every one is a frozen dataclass."""

    name: str
    ranks_only: ClassVar[bool] = False
    """Whether the order of the outputs is enough, so that the loss's link need not be applied to them."""
    greater_is_better: ClassVar[bool | None] = None
    """Whether a larger value is better or a smaller one; None if it is not known, so that callbacks need a `mode`."""

    def __post_init__(self) -> None:
        check_fields(self)

    def batch(self, prediction: Array, target: Array, weight: Array | None, loss: Loss) -> Array:
        """Return the batch's numbers, shape () or (k,), on the device; what the outputs mean depends on the `loss`."""
        raise NotImplementedError

    def merge(self, values: Any, sizes: Any) -> float:
        """Return the epoch's number from the batches': host arrays, `values` (batches, ...), `sizes` (batches,)."""
        return float((values * _shares(sizes)).sum())


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
        share = _shares(sizes)[:, None]
        centre, rest, square, error = (values[:, i, :] for i in range(4))
        mean = (share * (centre + rest)).sum(axis=0)
        spread = (share * (square - rest**2 + (centre + rest - mean) ** 2)).sum(axis=0)
        error = (share * error).sum(axis=0)
        flat = spread <= 0
        # scikit-learn's convention for an output whose targets are all alike: 1 if it is met, else 0
        score = (~flat) * (1 - error / (spread + flat)) + flat * (error == 0)
        return float(score.mean())


@dataclass(frozen=True)
class ScikitMetric(Metric):
    """A function ``name(y_true, y_pred)`` of :mod:`sklearn.metrics`, for evaluation and validation (not for batches).

    Class labels are given for a classification, the outputs themselves for a regression or where the name says that
    it takes scores (``roc_auc_score``, ``log_loss``, ``average_precision_score``, ``brier_score_loss``).
    """

    name: Name
    takes_scores: ClassVar[frozenset[str]] = frozenset(
        {"roc_auc_score", "log_loss", "average_precision_score", "brier_score_loss", "top_k_accuracy_score"}
    )

    @property
    def greater_is_better(self) -> bool | None:  # type: ignore[override]
        """By the ending of the name, as scikit-learn's guide to model evaluation has it, or by the list of scorers."""
        if self.name.endswith(("_score", "_error", "_loss", "_deviance")):
            return self.name.endswith("_score")
        return True if self.name in importlib.import_module("sklearn.metrics").get_scorer_names() else None

    def function(self) -> tuple[Callable[..., float], set[str]]:
        """Return the function, and which of its parameters are filled in here."""
        found = getattr(importlib.import_module("sklearn.metrics"), self.name)
        return found, set(inspect.signature(found).parameters)

    def whole(self, target: Any, outputs: Any, labels: Any | None, weight: Any | None = None) -> float:
        """Return the metric of host arrays: targets, outputs on the target's scale, and predicted labels, if any.

        Raises
        ------
        ConfigError
            If the function fails, or its result is not one number.
        """
        function, known = self.function()
        options: dict[str, Any] = {}
        if weight is not None:
            if "sample_weight" not in known:
                message = f"metric {self.name!r}: it takes no sample weights; leave one of the two out"
                raise ConfigError(message)
            options["sample_weight"] = weight
        guess = outputs
        if labels is not None:
            target, guess = self._classes(target, outputs, labels, known, options)
        elif outputs.shape[-1] == 1:
            guess = outputs[:, 0]
        try:
            return float(function(target, guess, **options))
        except (TypeError, ValueError) as error:
            message = f"metric {self.name!r}: expected one number from the function, got: {error}"
            raise ConfigError(message) from error

    def _classes(self, target: Any, outputs: Any, labels: Any, known: Any, options: dict[str, Any]) -> tuple[Any, Any]:
        """Return target and guess of a classification in the form that the function takes; adds to `options`."""
        count = outputs.shape[1]
        rows = target.ndim == 2 and target.shape[1] > 1
        if rows and (target.sum(axis=1) == 1).all():  # one class a sample, written as a row
            target, rows = target.argmax(axis=1), False
        several = rows or count > 2
        if self.name not in self.takes_scores:
            if several and "average" in known:
                options["average"] = "macro"
            if "zero_division" in known:  # 0, as by default, without its warning: a young network misses whole classes
                options["zero_division"] = 0
            return target, (outputs > 0.5).astype(target.dtype) if rows else labels
        if not several:
            return target, outputs[:, -1]  # the probability of class 1
        if not rows:
            if "multi_class" in known:
                options["multi_class"] = "ovr"
            if "labels" in known:  # the data need not hold every class
                options["labels"] = list(range(count))
        return target, outputs


@dataclass(frozen=True)
class FunctionMetric(ScikitMetric):
    """A custom function ``f(y_true, y_pred) -> float``, given what :class:`ScikitMetric` gives to most functions.

    That is class labels for a classification, the outputs for a regression; and ``sample_weight``, if it takes them.
    """

    custom: Callable[..., float]

    @property
    def greater_is_better(self) -> bool | None:  # type: ignore[override]
        """Not known: callbacks that watch it need a `mode`."""
        return None

    def function(self) -> tuple[Callable[..., float], set[str]]:
        return self.custom, {"sample_weight"} & set(inspect.signature(self.custom).parameters)


MetricLike: TypeAlias = Metric | str | Callable[..., float]
METRICS: Registry[Metric] = Registry("metric", Metric, {"accuracy": Accuracy, "mae": MeanAbsoluteErrorMetric, "r2": R2})


def get(spec: MetricLike) -> Metric:
    """Return the metric that `spec` is or names: ``accuracy``, ``mae``, ``r2``, ``top_5``, or one of sklearn.metrics.

    A function is one of sklearn.metrics, or a custom one: ``f(y_true, y_pred) -> float``, with a name of its own.

    Raises
    ------
    ConfigError
        If the name is neither ours nor, where scikit-learn is installed, its own; or a function cannot be a metric.
    """
    if isinstance(spec, Metric):
        return spec
    if callable(spec) and not isinstance(spec, type):
        return _of_function(spec)
    if not isinstance(spec, str):
        hint = f"; make one of it: {spec.__name__}()" if isinstance(spec, type) else ""
        message = f"metric: expected a name or a Metric, got {spec!r}{hint}"
        raise ConfigError(message)
    if spec in METRICS:
        return METRICS[spec]()
    head, _, k = spec.partition("_")
    if head == "top" and k.isdecimal() and len(k) < 10 and int(k) > 0:
        return TopK(int(k))
    hint = ""
    try:
        # A name that cannot be a function's, as a file may hold it, is not worth the import.
        known = importlib.import_module("sklearn.metrics") if spec.isidentifier() and len(spec) < 60 else None
        function = getattr(known, spec, None)
        first = next(iter(inspect.signature(function).parameters), "") if inspect.isfunction(function) else ""
        if first in ("y_true", "y1"):  # it compares targets and predictions; clusterings and distances do not
            return ScikitMetric(spec)
    except ImportError:
        hint = f"; more come from scikit-learn, which is not installed; {install('sklearn')}"
    raise ConfigError(unknown("metric", spec, [*METRICS, "top_5"]) + hint, missing=(spec,))


def _of_function(function: Callable[..., float]) -> Metric:
    name = getattr(function, "__name__", "")
    if str(getattr(function, "__module__", "")).startswith("sklearn.metrics"):
        return get(name)
    taken, fits = name in ("epoch", "loss", "lr", "seconds"), False
    with contextlib.suppress(ConfigError):
        taken = taken or get(name) is not None  # under that name a file would bring the other one back
    with contextlib.suppress(TypeError, ValueError):
        fits = inspect.signature(function).bind(None, None) is not None
    if taken or not fits or not name.isidentifier():
        why = f"the name {name!r} is taken" if taken else "it does not take (y_true, y_pred)" if not fits else "no name"
        message = f"metric: got {function!r:.60} ({why}); write def name(y_true, y_pred): ... with a name of its own"
        raise ConfigError(message)
    return FunctionMetric(name, function)


def measure(
    metrics: Sequence[Metric], loss: Loss, prediction: Array, target: Array, weight: Array | None
) -> tuple[Array, ...]:
    """Return the batch's numbers of every metric, from predictions on the loss's own scale."""
    linked = prediction if all(metric.ranks_only for metric in metrics) else loss.link(prediction)
    return tuple(m.batch(prediction if m.ranks_only else linked, target, weight, loss) for m in metrics)


def confusion_matrix(target: Any, predicted: Any, classes: int) -> Any:
    """Return counts, shape (classes, classes): entry (i, j) is how many of class i were taken for class j.

    Parameters
    ----------
    target, predicted : arrays or lists of integers, shape (n,)
        Class indices, 0 ≤ index < `classes`.

    Raises
    ------
    DataError
        If the two differ in length, are no class indices, or an index is out of range.
    """
    target, predicted = host_array(target), host_array(predicted)
    if target.shape != predicted.shape or target.ndim != 1:
        came = f"targets of shape {target.shape} and predictions of shape {predicted.shape}"
        message = f"confusion_matrix: expected a class index for each sample, twice, got {came}; "
        raise DataError(message + "take the argmax of rows of outputs")
    for name, labels in (("target", target), ("predicted", predicted)):
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes and (labels % 1 == 0).all()):
            came = f"numbers from {labels.min()} to {labels.max()}"
            message = f"confusion_matrix: {name} must hold class indices 0 … {classes - 1}, got {came}"
            raise DataError(message)
    # int: the indices may come in bytes, which would wrap round
    counts = namespace(target).bincount(target.astype(int) * classes + predicted.astype(int), minlength=classes**2)
    return counts.reshape(classes, classes)


def _shares(sizes: Any) -> Any:
    """Return each batch's share in the whole; all are 0 if no sample had a weight so far."""
    return sizes / max(sizes.sum(), 1e-30)
