"""Each argument beside scikit-learn's: the same seed gives the same losses, weights and answers, to rounding."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9", reason='scikit-learn 1.9 is not installed: pip install "scikit-learn"')

from sklearn import neural_network as scikit
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from portanet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS, SPECIES = load_iris(return_X_y=True)
BODIES, PROGRESS = load_diabetes(return_X_y=True)
BODIES, PROGRESS = scale(BODIES), scale(PROGRESS)

ARGUMENTS = [
    {},
    {"hidden_layer_sizes": (7, 5)},
    {"hidden_layer_sizes": 6},
    {"hidden_layer_sizes": ()},
    {"activation": "identity"},
    {"activation": "logistic"},
    {"activation": "tanh"},
    {"alpha": 3.0, "batch_size": 40},  # the last batch is smaller, and its penalty larger
    {"batch_size": 16},
    {"learning_rate_init": 0.05},
    {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    {"shuffle": False, "batch_size": 50},
    {"tol": 0.1, "n_iter_no_change": 3, "max_iter": 60},
    {"max_iter": 3},
    {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3, "max_iter": 60},
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0.5},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.02, "tol": 0.05, "n_iter_no_change": 2},
]


def multilabel():
    return make_multilabel_classification(150, n_features=6, n_classes=4, random_state=3)


TASKS = {
    "multiclass": (MLPClassifier, scikit.MLPClassifier, IRIS, SPECIES),
    "binary": (MLPClassifier, scikit.MLPClassifier, IRIS, np.array(["no", "yes"])[(SPECIES == 1).astype(int)]),
    "multilabel": (MLPClassifier, scikit.MLPClassifier, *multilabel()),
    "number": (MLPRegressor, scikit.MLPRegressor, BODIES[:150], PROGRESS[:150]),
    "numbers": (MLPRegressor, scikit.MLPRegressor, BODIES[:150], np.c_[PROGRESS, PROGRESS**2][:150]),
}


def pair(task, **options):
    ours, theirs, X, y = TASKS[task]
    options = {"random_state": 4, "max_iter": 20, **options}
    return ours(**options), theirs(**options), X, y


def assert_same(ours, theirs, X, rtol=1e-7):
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None, name
        else:
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=rtol, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(theirs, name):
            a, b = getattr(ours, name)(X), getattr(theirs, name)(X)
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            if a.dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=10 * rtol, atol=10 * rtol, err_msg=name)
            else:
                np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("options", ARGUMENTS, ids=str)
def test_an_argument_means_the_same(options, task):
    ours, theirs, X, y = pair(task, **options)
    assert_same(ours.fit(X, y), theirs.fit(X, y), X)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-7)


@pytest.mark.parametrize("task", TASKS)
def test_weights_of_samples(task):
    ours, theirs, X, y = pair(task)
    weight = np.random.default_rng(0).uniform(0, 3, len(X))
    assert_same(ours.fit(X, y, weight), theirs.fit(X, y, weight), X)
    assert ours.score(X, y, weight) == pytest.approx(theirs.score(X, y, weight), rel=1e-7)


@pytest.mark.parametrize("options", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_partial_fit(task, options):
    ours, theirs, X, y = pair(task, batch_size=20, **options)
    first = {"classes": np.unique(y)} if task in ("multiclass", "binary") else {}
    first = {"classes": np.arange(4)} if task == "multilabel" else first
    for i in range(4):
        part = slice(30 * i, 30 * i + 40)
        for estimator in (ours, theirs):
            estimator.partial_fit(X[part], y[part], **first)
        first = {}
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("task", TASKS)
def test_partial_fit_goes_on_from_a_fit(task):
    ours, theirs, X, y = pair(task)
    for estimator in (ours, theirs):
        estimator.fit(X, y).partial_fit(X, y)
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("options", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
@pytest.mark.parametrize("task", ["multiclass", "number"])
def test_warm_start(task, options):
    ours, theirs, X, y = pair(task, warm_start=True, **options)
    for estimator in (ours, theirs):
        estimator.fit(X, y).fit(X, y)
    assert_same(ours, theirs, X)


def test_float32_stays_float32():
    ours, theirs, X, y = pair("multiclass")
    X = X.astype("float32")
    assert_same(ours.fit(X, y), theirs.fit(X, y), X, rtol=2e-4)


def test_poisson():
    options = {"loss": "poisson", "random_state": 1, "max_iter": 30}
    y = np.random.default_rng(0).poisson(np.exp(0.5 * BODIES[:, :2])).astype(float)
    for target in (y[:, 0], y):
        ours, theirs = (kind(**options).fit(BODIES, target) for kind in (MLPRegressor, scikit.MLPRegressor))
        assert_same(ours, theirs, BODIES)
        assert ours.out_activation_ == "exp"


def test_a_random_state_is_drawn_from_alike():
    states = [np.random.RandomState(5) for _ in range(2)]
    _, _, X, y = pair("multiclass")
    kinds = (MLPClassifier, scikit.MLPClassifier)
    ours, theirs = (k(random_state=s, max_iter=5, batch_size=50).fit(X, y) for k, s in zip(kinds, states, strict=True))
    assert_same(ours, theirs, X)
    assert states[0].randint(1 << 30) == states[1].randint(1 << 30)


def test_verbose_prints_the_same(capsys):
    said = []
    for estimator in pair("multiclass", verbose=True, tol=0.5, n_iter_no_change=2)[:2]:
        estimator.fit(IRIS, SPECIES)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "Stopping" in said[0]


@pytest.mark.parametrize("task", TASKS)
def test_lbfgs_finds_as_good_a_minimum(task):
    ours, theirs, X, y = pair(task, solver="lbfgs", max_iter=3000, alpha=1.0, hidden_layer_sizes=(5,), tol=1e-6)
    ours.fit(X, y)
    theirs.fit(X, y)
    assert not hasattr(ours, "loss_curve_")
    if task == "numbers":  # there scikit-learn's loss is not what its gradient is of
        assert ours.score(X, y) > theirs.score(X, y) - 0.02
    else:
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.15)


def test_lbfgs_tells_where_it_stopped_too_early():
    for limit in ({"max_iter": 2}, {"max_fun": 3}):
        with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
            MLPClassifier(solver="lbfgs", random_state=0, **limit).fit(IRIS, SPECIES)


def test_too_few_iterations_are_told():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        MLPClassifier(max_iter=2).fit(IRIS, SPECIES)


def test_the_arguments_and_their_defaults_are_scikit_learns():
    for ours, theirs in ((MLPClassifier, scikit.MLPClassifier), (MLPRegressor, scikit.MLPRegressor)):
        own, known = ours().get_params(), theirs().get_params()
        assert {name: own[name] for name in known} == known
