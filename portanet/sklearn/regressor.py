"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from portanet import losses
from portanet.layers import Layer, Sigmoid, Softmax
from portanet.losses import Loss, Poisson, SumSquaredError
from portanet.sklearn import inputs
from portanet.sklearn.base import BaseMLP, can_partial_fit
from portanet.sklearn.losses import _HalfPoissonDeviance, _HalfSquaredError
from portanet.sklearn.parameters import CONSTRAINTS, OUR_LOSSES
from portanet.sklearn.protocol import with_callbacks
from portanet.typing import Array


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron that predicts numbers: scikit-learn's, with what it leaves out, on any device.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, a name of portanet's, or Loss, default='squared_error'
        'squared_error' is half the squared error, 'poisson' half the Poisson deviance, by the logarithm of the rate;
        else a loss of portanet's, such as 'huber' or 'mean_absolute_error'.
    hidden_layer_sizes : array-like of shape (n_layers - 2,) or int, default=(100,)
        Units of each hidden layer.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, any of portanet's, Layer, or a list of these, default='relu'
        Activation of the hidden layers; a list has one for each. One's own comes from
        :func:`portanet.custom_activation`.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        What minimises the loss. 'lbfgs' is SciPy's L-BFGS-B over all samples at once.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, alpha/2 Σ W², divided by the number of samples of the batch.
    batch_size : int or 'auto', default='auto'
        Samples a step; 'auto' is min(200, n_samples). 'lbfgs' always takes all.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        How the rate of 'sgd' goes: not at all; as learning_rate_init / t^power_t; or divided by 5 whenever nothing
        improves, until it is 1e-6.
    learning_rate_init : float, default=0.001
        The learning rate at the start, of 'sgd', 'adam' and an `optimizer` that is named.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch has an order of its own.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, the validation split and the epochs' orders, the same as scikit-learn does.
    tol : float, default=1e-4
        Improvements smaller than this count as none; of 'lbfgs' the largest gradient at which it ends.
    verbose : bool, default=False
        Whether to print the loss of each iteration.
    warm_start : bool or 'exact', default=False
        Whether `fit` goes on from the weights of the last one. 'exact' also keeps the optimizer's state, its learning
        rate and the random numbers: two fits of 10 epochs are then one of 20.
    momentum : float, default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to split a validation part off, end when its score no longer improves, and return to the best weights.
    validation_fraction : float, default=0.1
        Share of that part.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the first and the second moment in 'adam'.
    epsilon : float, default=1e-8
        Number that 'adam' adds to the denominator.
    n_iter_no_change : int, default=10
        Number of epochs without an improvement after which training ends.
    max_fun : int, default=15000
        Largest number of evaluations of the loss by 'lbfgs'.
    backend : str, Backend or None, default=None
        Where to train and predict: 'numpy', 'cupy', 'torch:cuda:0', 'jax', 'auto' … None is where the samples live.
        Answers come back to where the samples live, whichever it is.
    dtype : {'float32', 'float64'} or None, default=None
        Of the arithmetic; None is that of the samples, float64 where these are no floats.
    dropout : float or list of float, default=0.0
        Share of each hidden layer's outputs that is dropped while training; a list has one for each.
    batch_norm : bool, default=False
        Whether a BatchNorm stands between each hidden layer's product and its activation.
    optimizer : str, Optimizer or None, default=None
        Takes the place of `solver`: 'adamw', 'lion', ``portanet.SGD(lr=0.1, clip_norm=1)`` …
    schedule : str, Schedule or None, default=None
        Multiplies the learning rate, in the place of `learning_rate`: 'cosine', ``portanet.OneCycle()`` …
    callbacks : list of portanet.Callback or None, default=None
        Called while it trains by epochs.

    Attributes
    ----------
    loss_ : float
        The loss at the end of training, penalty included.
    best_loss_ : float or None
        The smallest loss of an epoch; None with `early_stopping`. Not there for 'lbfgs', nor are the next three.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        The score of each epoch on the validation part, where there is one.
    best_validation_score_ : float or None
        The best of these.
    t_ : int
        Number of samples seen so far.
    coefs_, intercepts_ : list of arrays
        Weights (inputs, outputs) and biases of each layer, where the samples of the fit lived.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where the samples had names that are strings.
    n_iter_ : int
        Number of iterations of the last fit.
    n_layers_ : int
        Number of layers, the input and the output counted.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        Name of the output activation.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {**CONSTRAINTS, "loss": [*OUR_LOSSES, str]}

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool | str = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        backend: Any = None,
        dtype: str | None = None,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
    ) -> None:
        self._keep(locals())

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPRegressor:
        """Fit the network to samples and their targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples: on the host, or an array of CuPy, torch or JAX, which is then trained on where it lives.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        X_val, y_val : array-like, default=None
            Samples and targets that are scored behind each epoch; with `early_stopping` they decide, and nothing is
            split off.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator.
        """
        self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val)
        return self

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch more on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : MLPRegressor
            The estimator.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Return the predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Where X lives.
        """
        return self._numbers(self._outputs(X, "predict"))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            1 for a perfect prediction, 0 for that of the mean.
        """
        return float(
            r2_score(
                inputs.host(y),
                self._numbers(inputs.host(self._outputs(X, "score"))),
                sample_weight=inputs.host(sample_weight),
            )
        )

    def _numbers(self, outputs: Array) -> Array:
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def _read_targets(self, x: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any]:
        y = inputs.targets(x, y, numeric=True)
        outputs = 1 if y.ndim == 1 else int(y.shape[1])
        if not first and outputs != self.n_outputs_:
            message = f"expected targets for {self.n_outputs_} outputs, got some for {outputs}; fit anew"
            raise ValueError(message)
        self.n_outputs_ = outputs
        return y, y

    def _validation_targets(self, x: Any, y: Any) -> Any:
        return inputs.targets(x, y, numeric=True)

    def _make_loss(self) -> tuple[Loss, Layer | None]:
        loss: Loss
        if self.loss == "squared_error":
            # A line search needs a gradient that is the loss's own; see _HalfSquaredError.
            loss = _HalfSquaredError() if self._iterative else SumSquaredError()
        else:
            loss = _HalfPoissonDeviance() if self.loss == "poisson" else losses.get(self.loss)
        names: dict[Any, str] = {Softmax: "softmax", Sigmoid: "logistic"}
        identity = "exp" if isinstance(loss, Poisson) else "identity"
        self.out_activation_ = names.get(loss.output, identity)
        return loss, None

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(y, self._numbers(outputs), sample_weight=weight))
