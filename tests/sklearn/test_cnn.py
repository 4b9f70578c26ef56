"""The classifier of images: forms of images, its blocks, and digits that it learns to read."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import portanet as pn
from portanet.sklearn import CNNClassifier
from tests.backends.at_hand import require
from tests.data.real import MNIST, data_folder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = load_digits()
X, Y = DIGITS.images / 16, DIGITS.target
FAST = {"filters": (4, 6), "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
FEW, LABELS = X[:60], Y[:60]


def classifier(**options):
    return CNNClassifier(**{**FAST, **options})


def same_weights(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


def test_it_reads_digits():
    x, x_test, y, y_test = train_test_split(X, Y, test_size=600, random_state=0, stratify=Y)
    found = CNNClassifier((8, 16), (32,), learning_rate_init=0.005, batch_size=50, max_iter=20, random_state=0)
    assert found.fit(x, y).score(x_test, y_test) > 0.96


def test_it_reads_a_part_of_mnist():
    data = pn.data.load(data_folder(*MNIST))
    x, x_test = (part.astype("float32") / 255 for part in (data.x[:2000], data.x_test[:1000]))
    found = CNNClassifier((6, 12), (32,), learning_rate_init=0.005, batch_size=50, max_iter=5, random_state=0)
    found.fit(x, data.y[:2000])
    assert found.image_shape_ == (28, 28, 1)
    assert found.score(x_test, data.y_test[:1000]) > 0.92


def test_images_in_every_form_are_the_same():
    expected = classifier().fit(FEW, LABELS)
    flat = FEW.reshape(60, -1)
    for form in (FEW[..., None], FEW.tolist()):
        assert same_weights(classifier().fit(form, LABELS), expected)
    for shape in ((8, 8), [8, 8, 1], np.array([8, 8])):
        assert same_weights(classifier(image_shape=shape).fit(flat, LABELS), expected)
    for form in (FEW, FEW[..., None], flat):
        np.testing.assert_array_equal(expected.predict_proba(form), expected.predict_proba(FEW))
    assert expected.image_shape_ == (8, 8, 1)
    assert expected.n_features_in_ == 64


def test_flat_rows_without_a_shape_are_signals():
    found = classifier().fit(FEW.reshape(60, -1), LABELS)
    assert found.image_shape_ == (1, 64, 1)
    assert [c.shape for c in found.coefs_] == [(1, 3, 1, 4), (1, 3, 4, 6), (16 * 6, 8), (8, 10)]


def test_the_blocks_are_what_the_arguments_say():
    colour = np.random.default_rng(0).normal(size=(30, 9, 7, 3))
    found = classifier(kernel_size=(5, 3), pool_size=(3, 2), batch_norm=True, activation=["tanh", "relu", "gelu"])
    found.fit(colour, LABELS[:30])
    assert found.image_shape_ == (9, 7, 3)
    kinds = [type(layer).__name__ for layer in found._network.net.layers]
    block = ["Conv2D", "BatchNorm", "{}", "MaxPool2D"]
    first, second = ([name.format(a) for name in block] for a in ("Tanh", "ReLU"))
    assert kinds == ["Reshape", *first, *second, "Flatten", "Dense", "BatchNorm", "GELU", "Dense"]
    # 9 x 7 pooled by 3 x 2 is 3 x 3, then 1 x 1
    assert [c.shape for c in found.coefs_] == [(5, 3, 3, 4), (5, 3, 4, 6), (6, 8), (8, 10)]
    assert found.n_layers_ == 5
    assert found.transform(colour).shape == (30, 8)
    assert found.transform(colour, 0).shape == (30, 6)


def test_windows_and_pools_fit_small_images():
    found = classifier(filters=3, kernel_size=5, pool_size=4).fit(FEW[:, :2, :], LABELS)
    assert found.coefs_[0].shape == (3, 5, 1, 3)  # a kernel of 3 reaches all of 2 pixels
    assert found.coefs_[1].shape == (1 * 2 * 3, 8)
    assert classifier(pool_size=1).fit(FEW, LABELS).coefs_[2].shape == (8 * 8 * 6, 8)
    assert classifier(filters=()).fit(FEW, LABELS).coefs_[0].shape == (64, 8)


def test_the_answer_is_that_of_the_layers():
    found = classifier(dtype="float64").fit(FEW, LABELS)
    net, params = found._network.net, dict[str, object]()
    for i, weight, bias in zip(found._network.weighted, found.coefs_, found.intercepts_, strict=True):
        params |= {f"{i}.weight": weight, f"{i}.bias": bias}
    logits, _ = net.forward(params, FEW.reshape(60, -1))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.predict_proba(FEW), shares, rtol=1e-9)


@pytest.mark.parametrize("options", [{"shift": 1}, {"rotate": 15.0}, {"flip": True}], ids=str)
def test_images_are_moved_while_it_trains_and_not_when_it_answers(options):
    found = classifier(**options).fit(FEW, LABELS)
    assert not same_weights(found, classifier().fit(FEW, LABELS))
    np.testing.assert_array_equal(found.predict_proba(FEW), found.predict_proba(FEW))
    assert same_weights(found, clone(found).fit(FEW, LABELS))
    assert [type(layer).__name__ for layer in found._network.net.layers[:3]] == ["Reshape", "Augment", "Conv2D"]


@pytest.mark.parametrize("options", [{"solver": "lbfgs"}, {"solver": "sgd"}, {"early_stopping": True}], ids=str)
def test_the_arguments_of_training_are_the_mlps(options):
    found = classifier(max_iter=8, class_weight="balanced", **options).fit(FEW, LABELS)
    assert np.isfinite(found.loss_)
    assert found.predict_proba(FEW).shape == (60, 10)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(FEW), found.predict_proba(FEW))


def test_in_a_search():
    search = GridSearchCV(classifier(max_iter=2), {"filters": [(2,), (4, 4)], "shift": [0, 1]}, cv=2)
    assert search.fit(FEW, LABELS % 2).best_estimator_.image_shape_ == (8, 8, 1)


@pytest.mark.parametrize("name", ["torch", "jax", "strict"])
def test_on_other_backends(name):
    backend = require(name)
    host = classifier().fit(FEW, LABELS)
    there = classifier(backend=name, dtype="float64").fit(FEW, LABELS)
    np.testing.assert_allclose(there.predict_proba(FEW), host.predict_proba(FEW), rtol=1e-7)
    if name == "torch":
        found = classifier().fit(backend.asarray(FEW), LABELS)
        answer = found.predict_proba(backend.asarray(FEW[..., None]))
        np.testing.assert_allclose(backend.to_numpy(answer), host.predict_proba(FEW), rtol=1e-7)


BAD = [
    ({"image_shape": (4, 4)}, FEW, r"expected images of shape \(4, 4, 1\) .* as image_shape had them, got \(8, 8, 1\)"),
    ({"image_shape": (4, 4)}, FEW.reshape(60, -1), r"\(4, 4, 1\) is 16 numbers an image, the samples have 64"),
    ({"image_shape": (64,)}, FEW.reshape(60, -1), r"image_shape: expected \(height, width\) or"),
    ({"image_shape": (8, 0)}, FEW, r"image_shape: expected \(height, width\) or"),
    ({"filters": (4, 0)}, FEW, "filters must be a whole number of 1 or more, got 0"),
    ({"filters": 2.5}, FEW, "'filters' parameter of CNNClassifier"),
    ({"kernel_size": (3, 3, 3)}, FEW, "kernel_size must be a whole number of 1 or more, or 2 of them, got"),
    ({"pool_size": (2.5, 2)}, FEW, "pool_size must be a whole number of 1 or more, or 2 of them, got"),
    ({"activation": ["relu"]}, FEW, "activation: expected one for each of the 3 hidden layers, got 1"),
    ({"rotate": 200}, FEW, "'rotate' parameter of CNNClassifier"),
    ({}, FEW[..., None, None], "Found array with dim 5"),
    ({}, FEW[:, 0, 0], "Expected 2D array, got 1D array"),
    ({}, np.where(FEW > 0.5, np.nan, FEW), "contains NaN"),
]


@pytest.mark.parametrize(("options", "x", "message"), BAD, ids=[str(case[0]) + str(case[1].shape) for case in BAD])
def test_what_cannot_be_is_told(options, x, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options).fit(x, LABELS)


def test_images_with_their_channels_first_are_warned_of():
    x = np.repeat(FEW[:, None], 3, axis=1)
    with pytest.warns(UserWarning, match=r"3 rows and 8 channels: are the channels first\? .*moveaxis\(X, 1, -1\)"):
        classifier(max_iter=1).fit(x, LABELS)


def test_one_image_without_the_axis_of_samples():
    for x in (FEW, np.repeat(FEW[..., None], 3, axis=3)):
        found = classifier().fit(x, LABELS)
        with pytest.raises(ValueError, match=r"got one image; add the axis: X\[None\]"):
            found.predict(x[0])
        assert found.predict(x[0][None]).shape == (1,)


def test_other_images_than_the_fits_are_refused():
    found = classifier().fit(FEW, LABELS)
    with pytest.raises(ValueError, match=r"expected images of shape \(8, 8, 1\) .* as fit had them, got \(4, 16, 1\)"):
        found.predict(FEW.reshape(60, 4, 16))
    with pytest.raises(ValueError, match="X has 63 features"):
        found.predict(FEW.reshape(60, -1)[:, 1:])


def test_images_of_several_shapes_are_named():
    images = [np.zeros((4, 4)), np.zeros((4, 5)), np.zeros((4, 4))]
    with pytest.raises(ValueError, match=r"one shape, got \(4, 4\) and \(4, 5\); resize them first"):
        CNNClassifier((2,), (), max_iter=1).fit(images, [0, 1, 0])


def test_pixels_of_another_range_than_in_fit_are_warned_of():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (20, 6, 6)).astype(np.uint8), np.arange(20) % 2
    with warnings.catch_warnings(action="ignore"):
        model = CNNClassifier((2,), (), max_iter=1, random_state=0).fit(X, y)
        other = CNNClassifier((2,), (), max_iter=1, random_state=0).fit(X / 255, y)
    with pytest.warns(UserWarning, match="pixels up to 1, where fit had them up to 255: scale them alike"):
        model.predict(X / X.max())
    with pytest.warns(UserWarning, match="where fit had them up to 1: scale them alike"):
        other.predict(X)
    with warnings.catch_warnings(action="error"):
        model.predict(X)
        other.predict(X / 255)
