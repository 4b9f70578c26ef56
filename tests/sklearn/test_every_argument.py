"""Each argument and each fitted attribute has its test: the tables below are compared with what there is.

scikit-learn's own arguments must change what is learned, and to what scikit-learn learns by them; tests/sklearn/
test_parity.py tries more values of them on more tasks. Ours must change it too, or do what their row says.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9", reason='scikit-learn 1.9 is not installed: pip install "scikit-learn"')

from sklearn import neural_network as scikit
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import portanet as pn
from portanet.sklearn import CNNClassifier, MLPClassifier, MLPRegressor
from tests.sklearn.test_parity import assert_same
from tests.small import Recorder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, SPECIES = load_iris(return_X_y=True)
FAST: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 12, "random_state": 3, "batch_size": 50}
KINDS: dict[str, Any] = {
    "classifier": (MLPClassifier, scikit.MLPClassifier),
    "regressor": (MLPRegressor, scikit.MLPRegressor),
}
TARGETS = {"classifier": SPECIES, "regressor": np.exp(X[:, 3])}
SGD = {"solver": "sgd", "learning_rate_init": 0.01}
STOPPED = {"max_iter": 60, "tol": 0.001, "n_iter_no_change": 3}
EARLY = {"early_stopping": True, "max_iter": 30}

# An argument, the value that is tried, and what else is set with and without it.
SCIKIT: dict[str, tuple[Any, dict[str, Any]]] = {
    "hidden_layer_sizes": ((4, 3), {}),
    "activation": ("tanh", {}),
    "solver": ("sgd", {}),
    "alpha": (5.0, {}),
    "batch_size": (17, {}),
    "learning_rate": ("invscaling", SGD),
    "learning_rate_init": (0.05, {}),
    "power_t": (0.1, {**SGD, "learning_rate": "invscaling"}),
    "max_iter": (4, {}),
    "shuffle": (False, {}),
    "random_state": (8, {}),
    "tol": (0.3, STOPPED),
    "momentum": (0.3, SGD),
    "nesterovs_momentum": (False, SGD),
    "early_stopping": (True, {"max_iter": 30, "n_iter_no_change": 2}),
    "validation_fraction": (0.4, EARLY),
    "beta_1": (0.5, {}),
    "beta_2": (0.9, {}),
    "epsilon": (0.01, {}),
    "n_iter_no_change": (1, {"max_iter": 60, "tol": 0.05}),
    "verbose": (True, {}),
    "warm_start": (True, {}),
    "max_fun": (4, {"solver": "lbfgs"}),
    "loss": ("poisson", {}),
}


def learned(estimator):
    return np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)])


def differs(a, b):
    a, b = learned(a), learned(b)
    return a.shape != b.shape or not np.array_equal(a, b)


@pytest.mark.parametrize("task", KINDS)
@pytest.mark.parametrize("name", SCIKIT)
def test_scikit_learns(name, task, capsys):
    if name == "loss" and task == "classifier":
        pytest.skip("scikit-learn's classifier has no loss to choose")
    value, around = SCIKIT[name]
    y = TARGETS[task]
    fits = 2 if name == "warm_start" else 1
    found, said = [], []
    for kind in KINDS[task]:
        estimator = kind(**{**FAST, **around, name: value})
        for _ in range(fits):
            estimator.fit(X, y)
        found.append(estimator)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    if around.get("solver") == "lbfgs":  # SciPy's own steps let rounding grow: not more of them than asked for
        assert found[0].n_iter_ == found[1].n_iter_
        assert found[0].loss_ == pytest.approx(found[1].loss_, rel=1e-6)
    else:
        assert_same(found[0], found[1], X)
    without = KINDS[task][0](**{**FAST, **around}).fit(X, y)
    if name == "verbose":
        assert said[0]
    else:
        assert differs(found[0], without)


def _backend(task, kind):
    there = kind(backend=pn.backends.get("numpy"), **FAST).fit(X, TARGETS[task])
    assert not differs(there, kind(**FAST).fit(X, TARGETS[task]))
    with pytest.raises(ValueError, match="unknown backend 'nunpy'"):
        kind(backend="nunpy", **FAST).fit(X, TARGETS[task])


def _dtype(task, kind):
    assert learned(kind(dtype="float32", **FAST).fit(X, TARGETS[task])).dtype == np.float32


def _callbacks(task, kind):
    recorder = Recorder()
    kind(callbacks=[recorder], **FAST).fit(X, TARGETS[task])
    assert [call[0] for call in recorder.calls].count("epoch") == FAST["max_iter"]


def _categorical_features(task, kind):
    x = np.c_[X, SPECIES]
    found = kind(categorical_features=[4], **FAST).fit(x, TARGETS[task])
    assert [e.shape for e in found.embeddings_] == [(3, 3)]


def _standardize_target(task, kind):
    y = 3e5 + 1e5 * X[:, 0]
    with pytest.warns(ConvergenceWarning, match=r"the targets' mean size is 8.84e.05"):
        hopeless = kind(**FAST).fit(X, y)
    found = kind(standardize_target=True, **{**FAST, "max_iter": 200, "learning_rate_init": 0.02}).fit(X, y)
    assert hopeless.score(X, y) < 0 < 0.5 < found.score(X, y)
    assert found.loss_ < 1


def _changes(**options):
    def check(task, kind):
        with_it, without = (kind(**{**FAST, **given}).fit(X, TARGETS[task]) for given in (options, {}))
        assert differs(with_it, without)

    return check


OURS = {
    "backend": _backend,
    "dtype": _dtype,
    "callbacks": _callbacks,
    "categorical_features": _categorical_features,
    "class_weight": _changes(class_weight={0: 3.0}),
    "dropout": _changes(dropout=0.3),
    "batch_norm": _changes(batch_norm=True),
    "optimizer": _changes(optimizer="lion"),
    "schedule": _changes(schedule="cosine"),
    "standardize_target": _standardize_target,
}


@pytest.mark.parametrize("task", KINDS)
@pytest.mark.parametrize("name", OURS)
def test_ours(name, task):
    kind = KINDS[task][0]
    if name not in kind().get_params():
        pytest.skip(f"the {task} has no {name}")
    OURS[name](task, kind)


def _images(**options):
    def check():
        rows = np.random.default_rng(0).normal(size=(40, 36))
        y = np.arange(40) % 2
        with_it, without = (
            CNNClassifier(**{"filters": (3,), "image_shape": (6, 6), **FAST, "batch_size": 20, **given}).fit(rows, y)
            for given in (options, {})
        )
        assert differs(with_it, without)

    return check


IMAGES = {
    "filters": _images(filters=(2, 2)),
    "kernel_size": _images(kernel_size=(1, 3)),
    "pool_size": _images(pool_size=3),
    "image_shape": _images(image_shape=(4, 9)),
    "shift": _images(shift=1.0),
    "rotate": _images(rotate=20.0),
    "flip": _images(flip=True),
}


@pytest.mark.parametrize("name", IMAGES)
def test_of_images(name):
    IMAGES[name]()


def test_no_argument_is_without_a_test():
    assert set(MLPClassifier().get_params()) == {*SCIKIT, *OURS} - {"standardize_target"}
    assert set(MLPRegressor().get_params()) == {*SCIKIT, *OURS} - {"class_weight"}
    assert set(CNNClassifier().get_params()) == {*SCIKIT, *OURS, *IMAGES} - {
        "categorical_features",
        "standardize_target",
    }


# What each fitted attribute is to be, for the three fits below; scikit-learn's own are compared with scikit-learn's.
SAME = {
    *("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "t_", "n_iter_"),
    *("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "classes_", "coefs_", "intercepts_"),
    "feature_names_in_",
}
NEW = {"embeddings_", "is_categorical_", "categories_", "image_shape_"}


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}], ids=str)
@pytest.mark.parametrize("task", KINDS)
def test_attributes_are_scikit_learns(task, options):
    frames = pytest.importorskip("pandas", reason="pandas is not installed: pip install pandas")
    table = frames.DataFrame(X, columns=list("abcd"))
    ours, theirs = (kind(**FAST, **options).fit(table, TARGETS[task]) for kind in KINDS[task])
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert public - {"classes_"} <= SAME
    for name in public:
        expected, got = getattr(theirs, name), getattr(ours, name)
        assert (expected is None) == (got is None), name
        lists = name in ("coefs_", "intercepts_")
        pairs: Iterable[Any] = zip(got, expected, strict=True) if lists else [(got, expected)]
        for a, b in pairs:
            if np.asarray(b).dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(a, b, err_msg=name)


def listed(kind, section):
    """Return the names in a section of a docstring; `kind` is read in the source, which python -OO leaves alone."""
    tree = ast.parse(inspect.getsource(kind))
    text = inspect.cleandoc(ast.get_docstring(tree.body[0]))
    entries = re.split(r"(?m)^.*\n-{3,}\n", text.partition(f"{section}\n{'-' * len(section)}\n")[2])[0]
    return [name for names in re.findall(r"(?m)^(\S.*?) : ", entries) for name in names.split(", ")]


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor, CNNClassifier])
def test_no_attribute_is_without_a_test_or_a_word(kind):
    told = set(listed(kind, "Attributes"))
    assert told <= SAME | NEW
    options = {} if kind is CNNClassifier else {"categorical_features": [4]}
    found = kind(**FAST, **options).fit(np.c_[X, SPECIES], SPECIES)
    there = {name for name in dir(found) if name.endswith("_") and not name.startswith("_") and hasattr(found, name)}
    without = {"feature_names_in_"} | ({"is_categorical_"} if kind is CNNClassifier else set())
    assert there - without == told - {"feature_names_in_"}


@pytest.mark.parametrize("name", pn.sklearn.__all__)
def test_each_argument_is_described_in_its_place(name):
    kind = getattr(pn.sklearn, name)
    if issubclass(kind, BaseEstimator):
        assert listed(kind, "Parameters") == list(inspect.signature(kind).parameters)
