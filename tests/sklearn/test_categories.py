"""Categorical features: named in every way, encoded, learned as vectors, missing, unknown."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import scale

import portanet as pn
from portanet.sklearn import MLPClassifier, MLPRegressor
from portanet.sklearn.categories import width
from tests.backends.at_hand import require

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
CITIES = np.array(["Bern", "Oslo", "Rome", "Wien", "Zug"])[RNG.integers(0, 5, 200)]
NUMBER = RNG.normal(size=200)
CODES = np.unique(CITIES, return_inverse=True)[1]
Y = np.where(np.isin(CITIES, ["Rome", "Zug"]), NUMBER > 0, NUMBER < 0.5).astype(int)
TABLE = np.array(list(zip(NUMBER, CITIES, strict=True)), dtype=object)
FAST = {"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 0, "learning_rate_init": 0.02}


def classifier(categorical_features=(1,), **options):
    return MLPClassifier(categorical_features=list(categorical_features), **{**FAST, **options})


def frame(library, **columns):
    frames = pytest.importorskip(library, reason=f"{library} is not installed: pip install {library}")
    return frames, frames.DataFrame(columns)


def test_a_category_is_a_vector_and_the_answer_is_that_of_the_network_by_hand():
    found = classifier().fit(TABLE, Y)
    assert found.score(TABLE, Y) > 0.9
    assert [list(known) for known in found.categories_] == [sorted(set(CITIES))]
    assert [e.shape for e in found.embeddings_] == [(5, width(5))] == [(5, 4)]
    assert list(found.is_categorical_) == [False, True]
    assert found.coefs_[0].shape == (4 + 1, 8)
    x = np.concatenate([found.embeddings_[0][CODES], NUMBER[:, None]], axis=1)
    for weight, bias in zip(found.coefs_[:-1], found.intercepts_[:-1], strict=True):
        x = np.maximum(x @ weight + bias, 0)
    by_hand = 1 / (1 + np.exp(-(x @ found.coefs_[-1] + found.intercepts_[-1])))
    np.testing.assert_allclose(found.predict_proba(TABLE)[:, 1:], by_hand, rtol=1e-9)


def test_the_vectors_are_learned():
    before = classifier(max_iter=1, learning_rate_init=1e-9).fit(TABLE, Y).embeddings_[0]
    after = classifier().fit(TABLE, Y).embeddings_[0]
    assert np.abs(after - before).max() > 0.1
    other = classifier(max_iter=1, learning_rate_init=1e-9, random_state=1).fit(TABLE, Y).embeddings_[0]
    assert not np.allclose(before, other)  # they are drawn from random_state


@pytest.mark.parametrize("named", [[1], [-1], [False, True], np.array([1]), (1,)], ids=str)
def test_every_way_to_name_them(named):
    numbers = np.c_[NUMBER, CODES]
    expected = classifier().fit(numbers, Y).predict_proba(numbers)
    found = classifier(named).fit(numbers, Y)
    np.testing.assert_array_equal(found.predict_proba(numbers), expected)
    np.testing.assert_array_equal(classifier().fit(TABLE, Y).predict_proba(TABLE), expected)  # text or numbers: alike
    np.testing.assert_array_equal(classifier().fit(TABLE.tolist(), Y).predict_proba(TABLE.tolist()), expected)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_name_them_by_column_and_by_type(library):
    frames, table = frame(library, n=NUMBER, city=CITIES)
    expected = classifier().fit(TABLE, Y).predict_proba(TABLE)
    np.testing.assert_array_equal(classifier(["city"]).fit(table, Y).predict_proba(table), expected)
    kind = "category" if library == "pandas" else frames.Categorical
    typed = frames.DataFrame({"n": NUMBER, "city": frames.Series(CITIES, dtype=kind)})
    found = MLPClassifier(categorical_features="from_dtype", **FAST).fit(typed, Y)
    np.testing.assert_array_equal(found.predict_proba(typed), expected)
    assert list(found.feature_names_in_) == ["n", "city"]
    theirs = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=2).fit(typed, Y)
    np.testing.assert_array_equal(found.is_categorical_, theirs.is_categorical_)  # means what it means there
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(typed[["city", "n"]])
    plain = frames.DataFrame({"n": NUMBER, "m": NUMBER})
    assert MLPClassifier(categorical_features="from_dtype", **FAST).fit(plain, Y).is_categorical_ is None


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_missing_values_are_a_category(library):
    text = [None if i % 4 == 0 else city for i, city in enumerate(CITIES)]
    y = np.arange(200) % 4 == 0
    _, table = frame(library, n=NUMBER, city=text)
    found = classifier(["city"]).fit(table, y)
    assert found.score(table, y) == 1.0  # that it is missing tells all
    assert len(found.categories_[0]) == 6
    assert np.isnan(found.categories_[0][-1])
    array = np.array(list(zip(NUMBER, text, strict=True)), dtype=object)
    again = classifier().fit(array, y)
    np.testing.assert_array_equal(again.predict_proba(array), found.predict_proba(table))
    array[array[:, 1] == None, 1] = np.nan  # noqa: E711  # however it is written
    np.testing.assert_array_equal(again.predict_proba(array), found.predict_proba(table))
    numbers = np.c_[NUMBER, np.where(y, np.nan, CODES)]
    np.testing.assert_array_equal(classifier().fit(numbers, y).predict_proba(numbers), found.predict_proba(table))


def test_an_unknown_category_has_the_vector_zero():
    found = classifier().fit(TABLE, Y)
    strange = [[0.3, "Atlantis"], [0.3, None], [0.3, "Bern"]]
    got = found.predict_proba(strange)
    np.testing.assert_array_equal(got[0], got[1])  # no value was missing in the fit
    assert not np.allclose(got[0], got[2])
    found._rest = {name: np.zeros_like(a) for name, a in found._rest.items()}
    found._models = {}
    np.testing.assert_allclose(found.predict_proba([[0.3, "Bern"]])[0], got[0], rtol=1e-12)


def test_numbers_are_still_checked():
    for bad in (np.nan, np.inf, "ten"):
        table = TABLE.copy()
        table[3, 0] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity|could not convert"):
            classifier().fit(table, Y)
    found = classifier().fit(TABLE, Y)
    with pytest.raises(ValueError, match="X has 1 features, but MLPClassifier is expecting 2"):
        found.predict(TABLE[:, :1])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        found.predict(TABLE[:, 0])
    with pytest.raises(ValueError, match="sparse samples have no categories"):
        classifier().fit(sparse.csr_array(np.c_[NUMBER, CODES]), Y)


@pytest.mark.parametrize("named", [[2], [-3], [True], ["city"], [0.5]], ids=str)
def test_what_is_no_feature_is_told(named):
    with pytest.raises(ValueError, match="expected numbers from 0 to 1, or 2 times True or False"):
        classifier(named).fit(TABLE, Y)
    with pytest.raises(ValueError, match="'categorical_features' parameter"):
        MLPClassifier(categorical_features="all").fit(TABLE, Y)


@pytest.mark.parametrize("options", [{"solver": "lbfgs"}, {"solver": "sgd"}, {"dropout": 0.2, "batch_norm": True}])
def test_with_every_solver_and_all_categorical(options):
    only = np.c_[CODES, RNG.integers(0, 3, 200)]
    found = classifier([0, 1], **options).fit(only, np.isin(CODES, [1, 3]))
    assert found.score(only, np.isin(CODES, [1, 3])) > 0.95
    number = MLPRegressor(categorical_features=[0], **{**FAST, "max_iter": 300}).fit(only, CODES % 3)
    assert number.score(only, CODES % 3) > 0.9


def test_partial_fit_and_warm_start_keep_the_categories():
    found = classifier().partial_fit(TABLE[:100], Y[:100], classes=[0, 1])
    known = found.categories_
    found.partial_fit(np.array([[0.1, "Paris"], [0.2, "Bern"]], dtype=object), [0, 1])
    assert found.categories_ is known
    halves = classifier(warm_start="exact", max_iter=10, tol=0.0)
    halves.fit(TABLE, Y)
    halves = pickle.loads(pickle.dumps(halves)).fit(TABLE, Y)
    np.testing.assert_array_equal(halves.embeddings_[0], classifier(max_iter=20, tol=0.0).fit(TABLE, Y).embeddings_[0])


@pytest.mark.parametrize("name", ["torch", "jax", "strict"])
def test_on_other_backends(name):
    backend = require(name)
    numbers = np.c_[NUMBER, CODES]
    host = classifier().fit(numbers, Y)
    there = classifier(backend=name, dtype="float64").fit(TABLE, Y)
    np.testing.assert_allclose(there.predict_proba(TABLE), host.predict_proba(numbers), rtol=1e-8)
    if name != "jax":
        x = backend.asarray(numbers)
        found = classifier().fit(x, Y)
        assert pn.backends.of(found.predict_proba(x)).spec == backend.spec
        np.testing.assert_allclose(backend.to_numpy(found.predict_proba(x)), host.predict_proba(numbers), rtol=1e-8)


def test_without_categories_there_are_no_attributes_of_theirs():
    found = MLPClassifier(**FAST).fit(np.c_[NUMBER, CODES], Y)
    assert found.is_categorical_ is None
    for name in ("categories_", "embeddings_"):
        assert not hasattr(found, name)


def test_real_data_with_a_category_is_fitted_no_worse_than_by_one_hot():
    x, y = load_diabetes(return_X_y=True, scaled=False)
    y = scale(y)
    kept = np.c_[scale(x[:, [0, 2, 3]]), x[:, 1]]
    onehot = np.c_[scale(x[:, [0, 2, 3]]), x[:, 1:2] == [1, 2]]
    options = {"hidden_layer_sizes": (10,), "solver": "lbfgs", "alpha": 10.0, "max_iter": 300, "random_state": 0}
    by_vector = cross_val_score(MLPRegressor(categorical_features=[3], **options), kept, y)
    assert by_vector.mean() > cross_val_score(MLPRegressor(**options), onehot, y).mean() - 0.02
