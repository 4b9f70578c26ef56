"""The estimators for tables: gaps, categories, scales, ensembles, and what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from sklearn.base import clone

from portanet.sklearn import TabularClassifier, TabularRegressor
from tests.recipes.test_recipes import table

SMALL = {"hidden_layer_sizes": (24, 24), "epochs": 40, "batch_size": 64, "random_state": 0}


def data(seed=0):
    """Return a table with gaps, categories in its first and last column by any whole numbers, and its targets."""
    x, y, labels = table(500, seed)
    x = x[:, [0, 3, 4, 5, 2, 1]].copy()
    x[:, 0] = 10 - 3 * x[:, 0]
    x[::7, 2] = np.nan
    x[::11, 0] = np.nan
    return x, y, labels


def test_a_classifier():
    x, _, labels = data()
    y = np.array(["no", "yes"])[labels]
    model = TabularClassifier(categorical_features=[0, -1], **SMALL).fit(x, y)
    x_test, _, labels_test = data(1)
    p = model.predict_proba(x_test)
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert (model.predict(x_test) == model.classes_[p.argmax(axis=1)]).all()
    assert model.score(x_test, np.array(["no", "yes"])[labels_test]) > 0.88
    assert (model.n_features_in_, model.n_epochs_) == (6, 40)
    assert [len(one) for one in model.validation_losses_] == [40]


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
def test_a_regressor_on_any_scale(scale):
    x, y, _ = data()
    y = scale * (y + 7)
    x_test, y_test, _ = data(1)
    model = TabularRegressor(categorical_features=[0, 5], **SMALL).fit(x, y)
    assert model.score(x_test, scale * (y_test + 7)) > 0.75
    found = model.predict(1e3 * x_test)
    assert y.min() <= found.min()
    assert found.max() <= y.max()


def test_several_targets():
    x, y, _ = data()
    both = np.column_stack([y, 100 - 10 * y])
    model = TabularRegressor(categorical_features=[0, 5], **SMALL).fit(x, both)
    assert model.predict(x).shape == both.shape
    assert model.score(x, both) > 0.75


def test_gaps_and_unknown_categories():
    x, y, _ = data()
    model = TabularRegressor(categorical_features=[0, 5], **SMALL).fit(x, y)
    rows = x[:4].copy()
    rows[:, 0] = [99, np.nan, 10.5, -1]
    expected = model.predict(np.where(np.arange(6) == 0, 12345, rows))
    np.testing.assert_array_equal(model.predict(rows), expected)  # all unknown alike
    rows[:, 1] = np.nan  # a gap where training had none
    assert np.isfinite(model.predict(rows)).all()
    # A gap counts, not only the median in its place.
    filled = np.where(np.isnan(x[:, 2:3]) & (np.arange(6) == 2), np.nanmedian(x[:400, 2]), x)
    assert not np.array_equal(model.predict(x[::7]), model.predict(filled[::7]))


def test_where_the_column_of_a_category_stands_does_not_matter_to_what_it_is():
    x, y, _ = data()
    model = TabularRegressor(categorical_features=[True, *[False] * 4, True], **SMALL).fit(x, y)
    same = TabularRegressor(categorical_features=[5, 0], **SMALL).fit(x, y)
    np.testing.assert_array_equal(model.predict(x), same.predict(x))
    other = TabularRegressor(**SMALL).fit(x, y)
    assert not np.array_equal(model.predict(x), other.predict(x))


def test_an_ensemble_is_the_mean_of_its_members():
    x, y, _ = data()
    settings = {**SMALL, "epochs": 4, "categorical_features": [0, 5]}
    three = TabularRegressor(n_ens=3, **settings).fit(x, y)
    assert len(three.validation_losses_) == 3
    assert len({tuple(losses) for losses in three.validation_losses_}) == 3
    again = clone(three).fit(x, y)
    np.testing.assert_array_equal(again.predict(x), three.predict(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(three)).predict(x), three.predict(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recipe", "plain"),
        ("n_ens", 2),
        ("categorical_features", [0]),
        ("hidden_layer_sizes", 7),
        ("epochs", 3),
        ("batch_size", 50),
        ("learning_rate", 0.01),
        ("validation_fraction", 0.5),
        ("random_state", 1),
    ],
)
@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_every_argument_changes_what_is_learned(kind, name, value):
    x, y, labels = data()
    y = labels if kind is TabularClassifier else y
    settings = {**SMALL, "hidden_layer_sizes": (8,), "epochs": 2}
    answers = [kind(**{**settings, **extra}).fit(x, y) for extra in ({}, {name: value})]
    a, b = (one.predict_proba(x) if kind is TabularClassifier else one.predict(x) for one in answers)
    assert not np.array_equal(a, b)


def test_the_rest_of_the_arguments(capfd):
    x, y, _ = data()
    settings = {**SMALL, "hidden_layer_sizes": (8,), "epochs": 2}
    plain = TabularRegressor(**settings).fit(x, y)
    assert capfd.readouterr().err == ""
    said = TabularRegressor(verbose=True, backend="numpy", **settings).fit(x, y)
    assert "2/2" in capfd.readouterr().err
    np.testing.assert_array_equal(said.predict(x), plain.predict(x))
    held = TabularRegressor(**{**settings, "validation_fraction": 0.0}).fit(x, y)
    assert np.isnan(held.validation_losses_).all()
    assert set(TabularRegressor().get_params()) == {
        *("recipe", "n_ens", "categorical_features", "hidden_layer_sizes", "epochs", "batch_size", "learning_rate"),
        *("validation_fraction", "random_state", "backend", "verbose"),
    }


def test_what_is_refused():
    x, y, labels = data()
    with pytest.raises(ValueError, match="expected labels of two classes or more, got one class"):
        TabularClassifier(epochs=1).fit(x, 0 * labels)
    with pytest.raises(ValueError, match="categorical_features: expected numbers from 0 to 5"):
        TabularRegressor(categorical_features=[6], epochs=1).fit(x, y)
    with pytest.raises(ValueError, match="The 'recipe' parameter of TabularRegressor must be a str among"):
        TabularRegressor(recipe="tabnet").fit(x, y)
