"""scikit-learn's digits, and searches over them that every way of running them must agree on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from portanet.sklearn import MLPClassifier, MLPRegressor

X, Y = load_digits(return_X_y=True)
X = X / 16

CLASSIFIER = MLPClassifier((24,), batch_size=50, max_iter=5, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(24,), batch_size=50, max_iter=5, random_state=0)
GRID = {"learning_rate_init": [0.001, 0.02], "alpha": [1e-4, 1.0]}


def assert_same(search: GridSearchCV, expected: GridSearchCV, atol: float = 0.0) -> None:
    """Scores, ranks, what was best and its weights: bit for bit, unless `atol` says otherwise."""
    assert search.best_params_ == expected.best_params_
    assert search.best_index_ == expected.best_index_
    names = [name for name in expected.cv_results_ if name.endswith("_test_score")]
    assert len(names) == expected.n_splits_ + 3
    for name in names:
        np.testing.assert_allclose(search.cv_results_[name], expected.cv_results_[name], rtol=0, atol=atol)
    refitted: Any = zip(search.best_estimator_.coefs_, expected.best_estimator_.coefs_, strict=True)
    for a, b in refitted:
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)
