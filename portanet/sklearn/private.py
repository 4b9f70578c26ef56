"""Private names of scikit-learn that the estimators use: a new version may move or change them."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_first_call
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from portanet.sklearn.protocol import CallbackSupportMixin

__all__ = [
    "SCIKIT_CONSTRAINTS",
    "Interval",
    "Options",
    "ScikitEstimator",
    "StrOptions",
    "check_first_call",
    "check_sample_weight",
]

SCIKIT_CONSTRAINTS: dict[str, Any] = MLPClassifier._parameter_constraints


class ScikitEstimator(CallbackSupportMixin, BaseEstimator):
    """scikit-learn's base class. Its private methods are called here; what must be defined for it has its own names."""

    def _check_arguments(self) -> None:
        """Raise scikit-learn's InvalidParameterError, a ValueError, for the first argument beyond its constraints."""
        self._validate_params()

    def _callback_context(self, epochs: int) -> Any:
        """Return the context in which scikit-learn's callbacks follow a fit of so many epochs; None without any."""
        return self._init_callback_context(max_subtasks=epochs) if hasattr(self, "_skl_callbacks") else None
