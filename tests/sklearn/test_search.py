"""Searches whose candidates and folds are trained as fleets: what is held, what is left alone, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from joblib import parallel_config
from scipy.sparse import csr_array
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portanet as pn
from portanet.sklearn import CNNClassifier, FleetBackend, FleetGridSearchCV, FleetRandomizedSearchCV
from tests.backends.at_hand import require
from tests.sklearn.digits import CLASSIFIER, GRID, REGRESSOR, X, Y, assert_same

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:Got `batch_size`:UserWarning",
    "ignore::sklearn.exceptions.FitFailedWarning",
    "ignore:One or more of the test scores:UserWarning",
)

FEW, FEW_Y = X[:400], Y[:400]
TINY = clone(CLASSIFIER).set_params(max_iter=3, hidden_layer_sizes=(8,))

CASES = {
    "rates, penalties and seeds": (TINY, {**GRID, "random_state": [0, 1]}, [24], {}),
    "float32": (clone(TINY).set_params(dtype="float32"), GRID, [12], {}),
    "shapes and sizes": (TINY, {"hidden_layer_sizes": [(8,), (8, 4)], "batch_size": [50, 100]}, [3, 3, 3, 3], {}),
    "how a training is paced and ends": (
        clone(TINY).set_params(solver="sgd", max_iter=20, tol=0.1, n_iter_no_change=1),
        {"learning_rate": ["constant", "adaptive", "invscaling"], "learning_rate_init": [0.1, 0.5], "max_iter": [3, 9]},
        [36],
        {},
    ),
    "early stopping and dropout": (clone(TINY).set_params(early_stopping=True, dropout=0.2), GRID, [12], {}),
    "one that diverges": (clone(TINY).set_params(solver="sgd"), {"learning_rate_init": [0.01, 1e30]}, [6], {}),
    "an order that stays": (TINY, {"shuffle": [True, False], "alpha": [0, 0.1]}, [6, 6], {}),
    "two classes' weights": (TINY, {"class_weight": [None, "balanced"], "alpha": [0, 0.1]}, [6, 6], {}),
    "the regressor's losses": (
        clone(REGRESSOR).set_params(max_iter=3),
        {"loss": ["squared_error", "poisson", "huber"], "alpha": [0, 0.1]},
        [6, 6, 6],
        {},
    ),
    "lbfgs": (
        clone(TINY).set_params(max_iter=20),
        {"solver": ["adam", "lbfgs"]},
        [3],
        {"solver='lbfgs' minimises over all samples at once": 3},
    ),
    "batch_norm": (TINY, {"batch_norm": [False, True]}, [3], {"BatchNorm 1 takes no leading axes": 3}),
    "images": (
        CNNClassifier((2,), (8,), image_shape=(8, 8), max_iter=1, random_state=0),
        {"alpha": [0, 0.1]},
        [],
        {"Reshape 0 takes no leading axes": 6},
    ),
    "a callback behind each batch": (
        clone(TINY).set_params(callbacks=[pn.TimeLimit(1000)]),
        {"alpha": [0, 0.1]},
        [],
        {"a callback is called after each batch": 6},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_fleet_holds_and_what_is_trained_alone(case, caplog):
    model, grid, fleets, alone = case
    search = FleetGridSearchCV(model, grid, cv=3).fit(FEW, FEW_Y)
    assert_same(search, GridSearchCV(model, grid, cv=3).fit(FEW, FEW_Y))
    assert (search.fleets_, search.alone_) == (fleets, alone)
    for reason, count in alone.items():
        assert f"FleetGridSearchCV: {count} fits were trained alone: {reason}" in caplog.text


@pytest.mark.parametrize("backend", ["strict", "torch", "jax", "cupy"])
def test_on_every_backend(backend):
    model, grid = clone(TINY).set_params(backend=require(backend).spec), {"alpha": [0.1, 1], **GRID}
    weight = np.linspace(0.5, 2, len(FEW))
    search = FleetGridSearchCV(model, grid, cv=2).fit(FEW, FEW_Y, sample_weight=weight)
    assert search.fleets_ == [8]
    assert search.best_estimator_.backend == model.backend
    assert_same(search, GridSearchCV(TINY, grid, cv=2).fit(FEW, FEW_Y, sample_weight=weight), 1e-9)


def test_a_pipeline_and_candidates_that_are_drawn():
    model = make_pipeline(StandardScaler(), TINY)
    drawn = {"mlpclassifier__alpha": loguniform(1e-5, 1), "mlpclassifier__learning_rate_init": loguniform(1e-3, 0.1)}
    options = {"n_iter": 5, "cv": 3, "random_state": 0, "scoring": "neg_log_loss", "return_train_score": True}
    search = FleetRandomizedSearchCV(model, drawn, **options).fit(FEW, FEW_Y)
    expected = RandomizedSearchCV(model, drawn, **options).fit(FEW, FEW_Y)
    assert search.fleets_ == [15]
    assert search.best_params_ == expected.best_params_
    for name in ("mean_test_score", "mean_train_score", "split2_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])
    np.testing.assert_array_equal(search.predict_proba(FEW), expected.predict_proba(FEW))


def test_another_tool_by_the_backend():
    with parallel_config(backend := FleetBackend()):
        found = cross_validate(TINY, FEW, FEW_Y, cv=4)
    np.testing.assert_array_equal(found["test_score"], cross_validate(TINY, FEW, FEW_Y, cv=4)["test_score"])
    assert backend.fleets == [4]


@pytest.mark.parametrize(("n_jobs", "fleets"), [(1, []), (5, [12])])
def test_fewer_at_a_time(n_jobs, fleets):
    search = FleetGridSearchCV(TINY, GRID, cv=3, n_jobs=n_jobs).fit(FEW, FEW_Y)
    assert_same(search, GridSearchCV(TINY, GRID, cv=3).fit(FEW, FEW_Y))
    assert search.fleets_ == fleets


def test_sparse_samples_are_trained_alone():
    rows = csr_array(FEW)
    search = FleetGridSearchCV(TINY, GRID, cv=2).fit(rows, FEW_Y)
    assert_same(search, GridSearchCV(TINY, GRID, cv=2).fit(rows, FEW_Y))
    assert search.alone_ == {"the samples are sparse, or do not fit into the device's memory": 8}


def test_an_error_comes_out_and_no_thread_stays():
    before, filters = threading.active_count(), list(warnings.filters)
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier must be"):
        FleetGridSearchCV(TINY, {"alpha": [0, 0.1, -1]}, cv=3, error_score="raise").fit(FEW, FEW_Y)
    assert threading.active_count() == before
    assert warnings.filters == filters


LONG = """
from sklearn.datasets import load_digits
from portanet.sklearn import FleetGridSearchCV, MLPClassifier
X, y = load_digits(return_X_y=True)
model = MLPClassifier((8,), max_iter=10**6, tol=0, n_iter_no_change=10**6, verbose=True)
FleetGridSearchCV(model, {"alpha": [0, 0.1]}, cv=2).fit(X, y)
"""


@pytest.mark.skipif(os.name == "nt", reason="no signal of that kind there")
def test_an_interrupt_ends_the_search():
    command = [sys.executable, "-u", "-c", LONG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "Iteration 3" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=60)
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert time.monotonic() - began < 30
