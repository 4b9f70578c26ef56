"""Functions of whole arrays as metrics: those of scikit-learn, and custom ones."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.checks import Name
from portanet.errors import ConfigError
from portanet.metrics.base import Metric

__all__ = ["ScikitMetric"]


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
