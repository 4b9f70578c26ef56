"""In scikit-learn's own tools: searches, ensembles, pipelines, processes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingRegressor, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portanet as pn
from portanet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)


def classifier(**options):
    options = {"solver": "lbfgs", "max_iter": 100, "random_state": 0, **options}
    return MLPClassifier(hidden_layer_sizes=(8,), **options)


def test_grid_search_over_an_argument_of_scikit_learns_and_one_of_ours():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier(solver="adam", max_iter=10)),
        {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__optimizer": [None, pn.AdamW(lr=0.02)]},
        cv=2,
    )
    assert search.fit(X, Y).score(X, Y) > 0.7
    assert search.best_params_["mlpclassifier__optimizer"] == pn.AdamW(lr=0.02)


@pytest.mark.filterwarnings("ignore")  # the workers' own warnings
def test_processes():
    alone = cross_val_score(classifier(), X, Y, cv=2)
    np.testing.assert_array_equal(cross_val_score(classifier(), X, Y, cv=2, n_jobs=2), alone)
    assert alone.mean() > 0.7


def test_ensembles():
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(X, Y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)
    voting = VotingClassifier([("mlp", classifier()), ("line", LogisticRegression())], voting="soft").fit(X, Y)
    assert voting.score(X, Y) > 0.8
    bagging = BaggingRegressor(number(), n_estimators=2, random_state=0)
    assert bagging.fit(X, X[:, 0]).score(X, X[:, 0]) > 0.5
    chain = ClassifierChain(classifier()).fit(X, np.c_[Y == 0, Y == 1].astype(int))
    assert chain.predict(X).shape == (150, 2)


def number():
    return MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=200, random_state=0)


def test_a_hidden_layer_feeds_the_next_step():
    features = make_pipeline(classifier(), LogisticRegression(max_iter=500)).fit(X, Y)
    assert features.score(X, Y) > 0.8


def test_clone_keeps_every_argument():
    given = classifier(
        activation=[pn.GELU()],
        optimizer=pn.Lion(),
        schedule=pn.Cosine(),
        loss=pn.SoftmaxCrossEntropy(0.1),
        backend="numpy",
    )
    again = clone(given)
    assert again.get_params() == given.get_params()
    again.fit(X, Y)
    assert "coefs_" not in vars(clone(again))
