"""Estimators for tables, by a recipe: numbers with gaps, categories, and several networks as one fleet."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from portanet import backends
from portanet.backends import Backend
from portanet.engine.engine import Program
from portanet.fleet import Fleet
from portanet.optimizers import SGD
from portanet.recipes import RECIPES
from portanet.sklearn.columns import Columns
from portanet.sklearn.private import Interval, StrOptions
from portanet.training.model import Model

_WHOLE = Interval(Integral, 1, None, closed="left")
_LEAST_ROWS = 10  # for a validation part of two
_MOST_HELD = 2000  # more rows decide no better which epoch is kept, and are missed in training


@dataclass(kw_only=True, eq=False, repr=False)
class BaseTabular(BaseEstimator):
    """What both estimators of tables share: columns to numbers, the recipe's fleet, predictions."""

    recipe: str = "realmlp"
    n_ens: int = 1
    categorical_features: Any = None
    hidden_layer_sizes: Any = None
    epochs: int | None = None
    batch_size: int = 256
    learning_rate: float | None = None
    validation_fraction: float | None = None
    random_state: Any = None
    backend: Any = None
    verbose: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "recipe": [StrOptions(set(RECIPES))],
        "n_ens": [_WHOLE],
        "categorical_features": [None, "array-like"],
        "hidden_layer_sizes": [None, "array-like", _WHOLE],
        "epochs": [None, _WHOLE],
        "batch_size": [_WHOLE],
        "learning_rate": [None, Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [None, Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "backend": [None, str, Backend],
        "verbose": ["boolean"],
    }

    def _trained(self, X: Any, target: Any, *, classes: int, outputs: int) -> Self:
        """Train the fleet on checked rows; `target` holds indices of classes, or numbers of deviation 1."""
        random_state = check_random_state(self.random_state)
        self._columns = Columns(X, self.categorical_features)
        x = self._columns.encode(X)
        train, held = self._split(target, random_state, stratified=bool(classes))
        sizes = self.hidden_layer_sizes
        options: dict[str, Any] = (
            {} if sizes is None else {"hidden": [sizes] if isinstance(sizes, Integral) else list(sizes)}
        )
        options |= {} if self.learning_rate is None else {"lr": float(self.learning_rate)}
        found = RECIPES[self.recipe](
            x[train],
            classes=classes,
            outputs=outputs,
            categories=self._columns.categories,
            epochs=self.epochs,
            batch_size=int(self.batch_size),
            **options,
        )
        fleet = Fleet(
            found.net,
            int(self.n_ens),
            found.loss,
            found.optimizer,
            seeds=[int(seed) for seed in random_state.randint(2**31 - 1, size=self.n_ens)],
            schedule=found.schedule,
            backend="numpy" if self.backend is None else self.backend,
        )
        for member in fleet:
            found.start(member)
        fleet.fit(
            x[train],
            target[train],
            epochs=found.epochs,
            batch_size=found.batch_size,
            validation_data=None if held is None else (x[held], target[held]),
            callbacks=[] if held is None else [found.keep_best()],
            verbose=bool(self.verbose),
        )
        self.n_epochs_ = found.epochs
        self.validation_losses_ = [[float(row.get("val_loss", np.nan)) for row in member.history] for member in fleet]
        self._net, self._loss, self._outputs = found.net, found.loss, fleet[0].outputs
        self._weights = [member.snapshot() for member in fleet]
        self._models: dict[str, list[Model]] = {}
        return self

    def _split(self, target: Any, random_state: Any, *, stratified: bool) -> tuple[Any, Any]:
        """Return the rows to train on and those whose loss decides which epoch is kept, None without such."""
        rows = np.arange(len(target))
        share = self.validation_fraction
        share = min(0.2, _MOST_HELD / len(rows)) if share is None else share
        if not share or len(rows) < _LEAST_ROWS:
            return rows, None
        by_class = target if stratified and np.bincount(target).min() > 1 else None
        options = {"test_size": share, "random_state": random_state}
        try:
            train, held = train_test_split(rows, stratify=by_class, **options)
        except ValueError:  # fewer validation rows than classes
            train, held = train_test_split(rows, **options)
        return train, held

    def _mean(self, X: Any) -> Any:
        """Return the mean of the networks' outputs for samples, (n, outputs)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        x = self._columns.encode(x)
        place = backends.get("numpy" if self.backend is None else self.backend)
        if place.spec not in self._models:
            self._models[place.spec] = [self._model(place, weights) for weights in self._weights]
        models = self._models[place.spec]
        return sum(model.predict(x).astype(np.float64) for model in models) / len(models)

    def _model(self, place: Backend, weights: Any) -> Model:
        # In float64, so that the rounding of products over other rows beside it does not show in a row's answer.
        model = Model(Program(self._net, self._loss, SGD(), dtype="float64"), place)
        shape = (self._columns.width,)
        model.adopt(weights["params"], weights["buffers"], shape, (self._outputs,))
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_models" in state:
            state["_models"] = {}
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classifier for tables: RealMLP by default, a network with settings tuned on many tables.

    Numbers may have gaps (NaN): these are filled by the median, and a column that had gaps in the training rows gets an
    indicator of them. Categories are whole numbers in the columns that `categorical_features` names. A share of the
    rows is held back, and each network keeps the weights of the epoch with the smallest loss on them.

    Parameters
    ----------
    recipe : {'realmlp', 'plain'}, default='realmlp'
        How the network is built and trained, see :func:`portanet.recipes.realmlp`.
    n_ens : int, default=1
        Number of networks, trained together as a fleet; their predictions are averaged.
    categorical_features : array-like of bool or int, or None, default=None
        Mask or positions of the columns of categories, which hold whole numbers; NaN, and what was not seen in
        training, is an unknown category.
    hidden_layer_sizes : array-like of int, or int, or None, default=None
        Units of each hidden layer; None takes the recipe's.
    epochs : int or None, default=None
        Number of epochs; None is about 4000 steps, from 16 to 256 epochs.
    batch_size : int, default=256
        Samples a step.
    learning_rate : float or None, default=None
        Largest learning rate; None takes the recipe's.
    validation_fraction : float or None, default=None
        Share of the samples that is held back; None is a fifth, at most 2000 samples; with 0 the last epoch is kept.
    random_state : int, RandomState instance or None, default=None
        Seed of the held-back rows, the initial weights and the orders.
    backend : str, Backend or None, default=None
        Where to train and predict, as 'numpy', 'cupy', 'torch:cuda:0', 'jax' or 'auto'; None is 'numpy'.
    verbose : bool, default=False
        Whether progress is shown.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the probabilities.
    n_epochs_ : int
        Number of epochs that were trained.
    validation_losses_ : list of list of float
        The loss on the rows held back, of each network after each epoch; NaN if none were held back.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they had names that are strings.

    See Also
    --------
    TabularRegressor : The same for numbers.
    MLPClassifier : The multi-layer perceptron of scikit-learn, with its arguments.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portanet.sklearn import TabularClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TabularClassifier(epochs=50, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the networks to samples and their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples, numbers or NaN.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, target = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            message = f"TabularClassifier: expected labels of two classes or more, got one class: {self.classes_[0]!r}"
            raise ValueError(message)
        return self._trained(X, target.astype(np.int32), classes=len(self.classes_), outputs=len(self.classes_))

    def predict(self, X: Any) -> Any:
        """Return the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The most probable labels.
        """
        found = self._mean(X)
        return self.classes_[found.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._mean(X)


@dataclass(kw_only=True, eq=False, repr=False)
class TabularRegressor(RegressorMixin, BaseTabular):
    """Regressor for tables: RealMLP by default, a network with settings tuned on many tables.

    Targets are standardised for the training; predictions are on their scale, and within the range of the training
    rows' targets.

    Parameters
    ----------
    recipe, n_ens, categorical_features, hidden_layer_sizes, epochs, batch_size : as in TabularClassifier
        How the networks are built, their number, columns of categories, hidden units, epochs, and samples a step.
    learning_rate, validation_fraction, random_state, backend, verbose : as in TabularClassifier
        Largest learning rate, share of the samples that is held back, seed, where to train, and progress.

    Attributes
    ----------
    n_epochs_, validation_losses_, n_features_in_, feature_names_in_ : as in TabularClassifier
        Epochs, the losses on the rows held back (of standardised targets), and what is known of the features.

    See Also
    --------
    TabularClassifier : The same for labels.
    MLPRegressor : The multi-layer perceptron of scikit-learn, with its arguments.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from portanet.sklearn import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TabularRegressor(epochs=50, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the networks to samples and their numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples, numbers or NaN.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._validate_params()
        checks = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, **checks)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        target = y.reshape(len(y), -1).astype(np.float64)
        self._single = y.ndim == 1
        self._middle, self._spread = target.mean(axis=0), target.std(axis=0)
        self._spread[self._spread == 0] = 1.0
        self._low, self._high = target.min(axis=0), target.max(axis=0)
        target = (target - self._middle) / self._spread
        return self._trained(X, target, classes=0, outputs=target.shape[1])

    def predict(self, X: Any) -> Any:
        """Return the predicted numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            On the targets' scale.
        """
        found = np.clip(self._mean(X) * self._spread + self._middle, self._low, self._high)
        return found[:, 0] if self._single else found
