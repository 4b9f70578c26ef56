"""Estimators for tables, by a recipe: numbers with gaps, categories, and several networks as one fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from portanet.sklearn.tabular_base import BaseTabular


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
        Number of epochs; None is about 4000 steps, from 16 to 256 epochs (128 up to 3000 samples).
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
        X, y = self._checked(X, y=y)
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
        found = self._mean(X)  # refused before `classes_` is there
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
        X, y = self._checked(X, y=y, multi_output=True, y_numeric=True)
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
