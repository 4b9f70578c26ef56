"""How both estimators are called to be fitted."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.metaestimators import available_if

from portanet.sklearn.base import BaseMLP, by_epochs
from portanet.sklearn.protocol import with_callbacks


def can_partial_fit(estimator: BaseMLP) -> bool:
    """Tell whether an estimator trains by epochs; L-BFGS does not."""
    if not by_epochs(estimator):
        message = f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        raise AttributeError(message)
    return True


class Estimator(BaseMLP):
    """A network that is fitted to samples, in one go or by epochs."""

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit the network to samples and what is to be predicted of them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples: on the host, or an array of CuPy, torch or JAX, which is then trained on where it lives.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            A classifier's labels, or a row of 0 and 1 a sample where it can have several; a regressor's numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        X_val, y_val : array-like, default=None
            Samples that are scored behind each epoch; with `early_stopping` they decide, and nothing is split off.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val)
        return self

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch more on these samples.

        Parameters
        ----------
        X, y, sample_weight : array-like
            The samples, their labels or numbers, and their weights.

        Returns
        -------
        self : object
            The estimator.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self
