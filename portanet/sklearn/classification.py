"""What classifiers share: labels to targets, outputs to labels and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from array_api_compat import array_namespace
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target

from portanet import backends, losses
from portanet.errors import ConfigError
from portanet.layers import Layer, Sigmoid, Softmax
from portanet.losses import Loss
from portanet.sklearn import inputs
from portanet.sklearn.base import BaseMLP, can_partial_fit
from portanet.sklearn.labels import Labels
from portanet.sklearn.parameters import CONSTRAINTS
from portanet.sklearn.private import check_first_call
from portanet.typing import Array


@dataclass(kw_only=True, eq=False, repr=False)
class BaseClassifier(ClassifierMixin, BaseMLP):
    """A network whose outputs are the probabilities of classes."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "class_weight": [dict, "array-like", str, None],
    }

    class_weight: Any = None
    loss: Any = "log_loss"

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch more on these samples.

        Parameters
        ----------
        X, y, sample_weight, classes : array-like
            The samples, their labels, their weights, and all labels that will ever come (first call only).

        Returns
        -------
        self : object
            The estimator.
        """
        if check_first_call(self, classes):
            several = type_of_target(inputs.host(y)).startswith("multilabel")
            self._know(inputs.host(y) if several else classes)
        super().partial_fit(X, y, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        p : array of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._proba(X, "predict_proba")

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        log_p : array of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        p = self._proba(X, "predict_log_proba")
        with backends.of(p).activate(self._dtype):
            return array_namespace(p).log(p)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Share of the samples whose labels are all predicted.
        """
        return self._score(X, y, sample_weight)

    def _proba(self, X: Any, method: str) -> Array:
        p = self._outputs(X, method)
        return array_namespace(p).concat([1.0 - p, p], axis=1) if self.n_outputs_ == 1 else p

    def _decoded(self, outputs: Array) -> Array:
        labels = self._labels.decode(inputs.host(outputs))
        numbers = not issparse(labels) and labels.dtype.kind in "biuf"
        return inputs.returned(backends.of(outputs), labels) if numbers else labels

    def _read_targets(self, x: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any]:
        y = inputs.targets(x, y, numeric=False)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._know(y)
        else:
            self._labels.check(y, same=bool(self.warm_start))
        return self._labels.encode(y), y

    def _know(self, y: Any) -> None:
        self._labels = Labels(y)
        self.classes_, self.n_outputs_ = self._labels.classes, self._labels.outputs

    def _weights(self, x: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        own = super()._weights(x, y, sample_weight, incremental=incremental)
        if self.class_weight is None:
            return own
        if incremental and isinstance(self.class_weight, str):
            message = "class_weight 'balanced' is not supported for partial_fit, which does not see all labels"
            raise ValueError(message + "; give the weights as a dict")
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if own is None else own * by_class

    def _make_loss(self) -> tuple[Loss, Layer | None]:
        exclusive = self._labels.kind == "multiclass"
        output = Softmax if exclusive else Sigmoid
        self.out_activation_ = "softmax" if exclusive else "logistic"
        if self.loss == "log_loss":
            return losses.SoftmaxCrossEntropy() if exclusive else losses.BinaryCrossEntropy(), None
        loss = losses.get(self.loss)
        if loss.output not in (None, output):
            wanted = "SoftmaxCrossEntropy" if exclusive else "BinaryCrossEntropy"
            kind = self._labels.kind
            message = f"loss: {type(loss).__name__} does not fit {kind} labels; use {wanted}, or 'log_loss' for either"
            raise ConfigError(message)
        return loss, None if loss.output else output()

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        return float(accuracy_score(y, self._labels.decode(outputs), sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
