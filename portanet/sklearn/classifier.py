"""The classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from portanet import losses
from portanet.errors import ConfigError
from portanet.layers import Layer, Sigmoid, Softmax
from portanet.losses import Loss
from portanet.sklearn import inputs
from portanet.sklearn.base import BaseMLP, can_partial_fit
from portanet.sklearn.labels import Labels
from portanet.sklearn.parameters import CONSTRAINTS, OUR_LOSSES
from portanet.sklearn.protocol import with_callbacks
from portanet.typing import Array


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron that classifies: scikit-learn's, with what it leaves out, on any device.

    Parameters
    ----------
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
    class_weight : dict, 'balanced', list of dict or None, default=None
        Weights of the classes in the loss, {label: weight}; 'balanced' gives each class the same total weight.
    loss : str or Loss, default='log_loss'
        'log_loss' is the cross-entropy that the labels ask for; else a loss of portanet's, such as
        ``portanet.SoftmaxCrossEntropy(label_smoothing=0.1)``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the probabilities.
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
    MLPRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portanet.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), solver="lbfgs", class_weight="balanced", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "class_weight": [dict, "array-like", str, None],
        "loss": [*OUR_LOSSES, str],
    }

    class_weight: Any

    def __init__(
        self,
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
        class_weight: Any = None,
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        batch_norm: bool = False,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
    ) -> None:
        self._keep(locals())

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPClassifier:
        """Fit the network to samples and labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples: on the host, or an array of CuPy, torch or JAX, which is then trained on where it lives.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or a row of 0 and 1 a sample where it can have several.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        X_val, y_val : array-like, default=None
            Samples and labels that are scored behind each epoch; with `early_stopping` they decide, and nothing is
            split off.

        Returns
        -------
        self : MLPClassifier
            The fitted estimator.
        """
        self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val)
        return self

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one epoch more on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self : MLPClassifier
            The estimator.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(inputs.host(y)).startswith("multilabel")
            self._know(inputs.host(y) if several else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Return the label of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The labels; where X lives, if they are numbers.
        """
        outputs = self._outputs(X, "predict")
        return self._in_place(self._labels.decode(inputs.host(outputs)), outputs)

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
        with inputs.place_of(p).activate(self._dtype):
            return array_namespace(p).log(p)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; several labels a sample must all be right.

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
            Share of the samples whose label is right.
        """
        found = self._labels.decode(inputs.host(self._outputs(X, "score")))
        return float(accuracy_score(inputs.host(y), found, sample_weight=inputs.host(sample_weight)))

    def _proba(self, X: Any, method: str) -> Array:
        p = self._outputs(X, method)
        return array_namespace(p).concat([1.0 - p, p], axis=1) if self.n_outputs_ == 1 else p

    def _in_place(self, labels: Any, like: Array) -> Array:
        """Return labels where the outputs are, if they are numbers."""
        if issparse(labels) or labels.dtype.kind not in "biuf":
            return labels
        return inputs.returned(inputs.place_of(like), labels)

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
            message = (
                "class_weight 'balanced' is not supported for partial_fit, which does not see all labels; give the "
                "weights as a dict"
            )
            raise ValueError(message)
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

    def _strata(self, y: Any) -> Any:
        return y if self.n_outputs_ == 1 else None  # what scikit-learn does, so that its split is ours

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(accuracy_score(y, self._labels.decode(outputs), sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
