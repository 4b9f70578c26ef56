"""Sample weights and class weights, the split of validation data, and each refusal in words that help."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.utils

from portanet import backends
from portanet.data.batching import prepare, weighting
from portanet.errors import ConfigError, DataError

X = np.arange(12.0).reshape(4, 3)
Y = [0, 2, 1, 2]


def weights(weight=None, class_weight=None, y=(0, 2, 1, 2), outputs=3, dtype="float64"):
    return weighting.weights(weight, class_weight, np.asarray(y), len(y), outputs, dtype)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"weight": [1, 0, 2, 3]}, [1, 0, 2, 3]),
        ({"class_weight": {0: 2.0, 2: 0.5}}, [2, 0.5, 1, 0.5]),
        ({"class_weight": [2, 3, 4]}, [2, 4, 3, 4]),
        ({"class_weight": np.asarray([2, 3, 4])}, [2, 4, 3, 4]),
        ({"class_weight": "balanced"}, [4 / 3, 2 / 3, 4 / 3, 2 / 3]),
        ({"class_weight": [2, 3, 4], "weight": [1, 1, 0, 2]}, [2, 4, 0, 8]),
        ({"class_weight": [2, 3, 4], "y": np.eye(3)[Y]}, [2, 4, 3, 4]),
        ({"class_weight": [2, 3], "y": [0.0, 1.0, 1.0], "outputs": 1}, [2, 3, 3]),
        ({"class_weight": [2, 3], "y": [[0.0], [1.0], [1.0]], "outputs": 1}, [2, 3, 3]),
        ({"class_weight": "balanced", "y": [0, 2, 2, 2], "outputs": 4}, [2, 2 / 3, 2 / 3, 2 / 3]),
    ],
)
def test_weights(options, expected):
    np.testing.assert_allclose(weights(**options), expected, rtol=1e-12)


def test_no_weights():
    assert weights() is None
    assert weights([1, 1, 1, 1], dtype="float32").dtype == np.float32


def test_balanced_as_scikit_learn():
    y = np.random.default_rng(0).choice(5, 200, p=[0.4, 0.3, 0.2, 0.1, 0.0])
    expected = sklearn.utils.class_weight.compute_sample_weight("balanced", y)
    np.testing.assert_allclose(weights(None, "balanced", y, 5), expected, rtol=1e-12)


REFUSED_WEIGHTS = [
    ({"weight": [1, 1]}, "for each of the 4 samples, got an array of shape (2,); give one number a sample"),
    ({"weight": []}, "got an array of shape (0,)"),
    ({"weight": np.ones((4, 1))}, "got an array of shape (4, 1)"),
    ({"weight": [1, -2, 1, 1]}, "sample_weight: expected weights of 0 or more, got -2 at row 1; give 0 to a sample"),
    ({"weight": [0, 0, 0, 0]}, "for at least one sample, got 0 for all 4; give the samples that are to count 1, or"),
    ({"weight": [1, 1, 0, 1], "class_weight": [0, 1, 0]}, "got 0 for all 4"),
    ({"weight": [1, np.nan, 1, 1]}, "sample_weight: expected finite numbers in float64, got nan at index (1,)"),
    ({"weight": "balanced"}, "sample_weight: expected real numbers, got text such as 'balanced'"),
    ({"weight": np.ma.masked_equal(Y, 1)}, "sample_weight: expected numbers only, got an array with masked entries"),
    ({"class_weight": "balance"}, "expected 'balanced', a dict or a list, got 'balance'; give one of these"),
    ({"class_weight": [1, 2]}, "class_weight: expected a weight for each of the 3 classes, got [1, 2]; or give a dict"),
    ({"class_weight": 2.0}, "class_weight: expected a weight for each of the 3 classes, got 2.0"),
    ({"class_weight": {3: 1.0}}, "class_weight: expected classes 0 … 2, got [3]; name each class by its index"),
    ({"class_weight": {"cat": 1.0}}, "class_weight: expected classes 0 … 2, got ['cat']"),
    ({"class_weight": {0: -1.0}}, "finite weights of 0 or more, got [-1.0, 1.0, 1.0]; give 0 to"),
    ({"class_weight": {0: "much"}}, "class_weight: expected finite weights of 0 or more, got ['much', 1.0, 1.0]"),
    ({"class_weight": {}, "y": [0.5, 1, 2, 2]}, "got float64 numbers from 0.5 to 2; number the classes from 0"),
    ({"class_weight": {}, "y": [-3, 1, 2, 2]}, "got int64 numbers from -3 to 2; number the classes from 0"),
    (
        {"class_weight": {}, "y": [[1, 1], [0, 1]], "outputs": 2},
        "class_weight: expected one class a sample, got rows of",
    ),
]


@pytest.mark.parametrize(("options", "said"), REFUSED_WEIGHTS, ids=[r[1][-30:] for r in REFUSED_WEIGHTS])
def test_weights_refused(options, said):
    with pytest.raises((DataError, ConfigError)) as caught:
        weights(**options)
    assert said in str(caught.value)


# The split.


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1 / 3, 0.9])
@pytest.mark.parametrize("stratify", [True, False])
def test_split(fraction, stratify):
    y = np.random.default_rng(1).choice(4, 1000, p=[0.6, 0.3, 0.08, 0.02])
    train, validation = prepare.split(y, fraction, 0, stratify=stratify)
    assert sorted([*train, *validation]) == list(range(1000))
    assert abs(len(validation) - 1000 * fraction) <= 1
    assert list(train) == sorted(train)
    assert list(validation) == sorted(validation)
    share = np.bincount(y[validation], minlength=4) / (fraction * np.bincount(y))
    excess = np.abs(np.bincount(y[validation], minlength=4) - fraction * np.bincount(y))
    assert np.all(excess <= 1) if stratify else np.all(share[:2] > 0.7)


def test_split_depends_on_the_seed():
    y = np.zeros(100, dtype="int64")
    parts = [prepare.split(y, 0.2, seed, stratify=True)[1].tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    # ... and on nothing else: rows are drawn, not taken off the end.
    assert parts[0] != list(range(80, 100))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_split_refused(fraction):
    with pytest.raises(ConfigError, match="validation_fraction: expected a number above 0 and below 1, got"):
        prepare.split(np.zeros(10), fraction, 0, stratify=False)


def test_split_of_too_few():
    with pytest.raises(DataError, match=r"validation_fraction: 0\.1 of 5 samples leaves a part empty; give"):
        prepare.split(np.zeros(5), 0.1, 0, stratify=False)


@pytest.mark.parametrize("form", [np.asarray, list])
def test_take_rows_of_the_host(form):
    np.testing.assert_array_equal(prepare.take_rows(form(X), np.asarray([2, 0])), X[[2, 0]])


def test_take_rows_of_a_device(backend):
    with backend.activate():
        got = prepare.take_rows(backend.asarray(X, "float32"), np.asarray([2, 0]))
        assert type(got) is type(backend.asarray(X, "float32"))
        np.testing.assert_array_equal(backends.get("numpy").asarray(got), X[[2, 0]])
