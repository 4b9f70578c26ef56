"""In scikit-learn's own tools: searches, ensembles, pipelines, processes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from joblib import Parallel, delayed, dump, load
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
from portanet.sklearn import CNNClassifier, MLPClassifier, MLPRegressor

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


@pytest.mark.usefixtures("loky")
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


def test_pipelines_hand_tables_on():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: pip install pandas")
    table = pandas.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), classifier(), LogisticRegression(max_iter=500))
    pipeline.set_output(transform="pandas").fit(table, Y)
    assert list(pipeline[-1].feature_names_in_) == [f"mlpclassifier{i}" for i in range(8)]
    assert pipeline.score(table, Y) > 0.8


@pytest.mark.usefixtures("loky")
@pytest.mark.filterwarnings("ignore")  # the workers' own warnings
@pytest.mark.parametrize("make", [lambda: CNNClassifier((3,), image_shape=(2, 2), max_iter=5, random_state=0), number])
def test_estimators_travel_to_processes_and_back(make):
    # Fitted there and sent back; fitted here and sent there: loky pickles both.
    here = [make().fit(X, target) for target in (Y, Y == 1)]
    there = Parallel(n_jobs=2, backend="loky")(delayed(make().fit)(X, target) for target in (Y, Y == 1))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a.predict(X), b.predict(X))
    asked = Parallel(n_jobs=2, backend="loky")(delayed(found.predict)(X) for found in here)
    np.testing.assert_array_equal(asked, [found.predict(X) for found in here])


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a)), "joblib"])
def test_copies_answer_alike(again, tmp_path):
    found = classifier(solver="adam", max_iter=10).fit(X, Y)
    if again == "joblib":
        dump(found, tmp_path / "fitted.joblib")
        other = load(tmp_path / "fitted.joblib")
    else:
        other = again(found)
    assert other is not found
    assert other.get_params() == found.get_params()
    np.testing.assert_array_equal(other.predict_proba(X), found.predict_proba(X))
    np.testing.assert_array_equal(other.transform(X), found.transform(X))


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
