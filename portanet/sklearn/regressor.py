"""The regressor."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from portanet import losses
from portanet.errors import ConfigError
from portanet.layers import Layer, Sigmoid, Softmax, Standardize
from portanet.losses import Loss, Poisson, SumSquaredError
from portanet.sklearn import inputs
from portanet.sklearn.base import BaseMLP, by_epochs
from portanet.sklearn.losses import HalfPoissonDeviance, HalfSquaredError
from portanet.sklearn.parameters import CONSTRAINTS, TABLES
from portanet.typing import Array

HOPELESS = 1e4
"""Mean size of targets from which a network with steps of a thousandth is warned of: outputs grow too slowly."""


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor: scikit-learn's, with further arguments, on any device.

    For the same `random_state` it trains the network that scikit-learn trains, up to rounding.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, another name, or Loss, default='squared_error'
        Half the squared error; half the Poisson deviance, of the rate's logarithm; or another of portanet's losses.
    hidden_layer_sizes, activation : as in MLPClassifier
        Units and activations of the hidden layers.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter : as in MLPClassifier
        Minimiser, L2 penalty, samples a step, learning rate and its course, and largest number of epochs.
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum : as in MLPClassifier
        Order, seed, least improvement, printing, start from the last weights, and momentum of 'sgd'.
    early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in MLPClassifier
        Validation part, decay rates and epsilon of 'adam', patience, and evaluations by 'lbfgs'.
    backend, dtype, dropout, batch_norm, optimizer, schedule, callbacks, categorical_features : as in MLPClassifier
        Where, precision, shares dropped, BatchNorm, what replaces `solver` and `learning_rate`, hooks and categories.
    standardize_target : bool, default=False
        Learn targets with mean 0 and standard deviation 1; predictions are on their own scale.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_ : as in MLPClassifier
        The loss and the score of the epochs.
    coefs_, intercepts_ : list of arrays
        Weights (inputs, outputs) and biases of each layer, where the samples of the fit were.
    embeddings_, categories_, is_categorical_, n_features_in_, feature_names_in_ : as in MLPClassifier
        What is known of the features.
    t_, n_iter_, n_layers_, n_outputs_, out_activation_ : as in MLPClassifier
        Samples seen, iterations, layers, outputs, and the activation of these.

    See Also
    --------
    MLPClassifier : The same for labels.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from portanet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor("huber", (20,), solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (442,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**CONSTRAINTS, **TABLES, "standardize_target": ["boolean"]}

    loss: Any = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    categorical_features: Any = None
    standardize_target: Any = False

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination, R², of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            At most 1; 0 for a model that always predicts the mean of `y`, and less for a worse one.
        """
        return self._score(X, y, sample_weight)

    def _decoded(self, outputs: Array) -> Array:
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def _read_targets(self, x: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any]:
        y = inputs.targets(x, y, numeric=True)
        outputs = 1 if y.ndim == 1 else int(y.shape[1])
        if not first and outputs != self.n_outputs_:
            message = f"expected targets for {self.n_outputs_} outputs, got some for {outputs}; fit again"
            raise ValueError(message)
        self.n_outputs_ = outputs
        if first:
            self._targets = y
        return y, y

    def _make_loss(self) -> tuple[Loss, Layer | None]:
        loss: Loss
        if self.loss == "squared_error":
            # A line search needs a gradient that is the loss's own; see HalfSquaredError.
            loss = HalfSquaredError() if by_epochs(self) else SumSquaredError()
        else:
            loss = HalfPoissonDeviance() if self.loss == "poisson" else losses.get(self.loss)
        y, self._targets = self._targets.reshape(len(self._targets), -1), None
        last: Layer | None = None
        if self.standardize_target:
            last = Standardize.back_to(y)
            if not hasattr(loss, "unit"):
                message = f"standardize_target: {type(loss).__name__} has a scale of its own; leave it out"
                raise ConfigError(message)
            units = tuple(float(std) or 1.0 for std in y.std(axis=0))
            loss = replace(loss, unit=units if len(units) > 1 else units[0])  # type: ignore[type-var]
        elif hasattr(loss, "unit") and by_epochs(self) and (largest := float(np.abs(y).mean())) > HOPELESS:
            message = (
                f"the targets' mean size is {largest:.3g}, which {self.solver!r} cannot reach in a sensible number of "
                "steps; use standardize_target=True, or scale them"
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=5)
        names: dict[Any, str] = {Softmax: "softmax", Sigmoid: "logistic"}
        identity = "exp" if isinstance(loss, Poisson) else "identity"
        self.out_activation_ = names.get(loss.output, identity)
        return loss, last

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        return float(r2_score(y, self._decoded(outputs), sample_weight=weight))
