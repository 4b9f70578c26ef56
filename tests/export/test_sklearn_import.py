"""scikit-learn's fitted perceptrons, and portanet.sklearn's, as networks that are saved, exported and trained on."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.export import from_sklearn, to_npz, to_numpy_script
from tests.small import blobs

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install scikit-learn")
from sklearn import neural_network as theirs  # noqa: E402
from sklearn.preprocessing import LabelBinarizer  # noqa: E402

from portanet import sklearn as ours  # noqa: E402

FEW = {"max_iter": 3, "random_state": 0}


def fitted(kind, x, y, **options):
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        return kind(hidden_layer_sizes=(7, 5), **FEW, **options).fit(x, y)


@pytest.mark.parametrize("family", [theirs, ours], ids=["scikit-learn", "portanet.sklearn"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", ["two", "three", "several"])
def test_classifiers(family, activation, task):
    x, y = blobs(classes=2 if task == "two" else 3)
    labels = np.asarray(["ash", "elm", "oak"])[y]
    target = np.eye(3, dtype=int)[y] if task == "several" else labels
    model = fitted(family.MLPClassifier, x, target, activation=activation)
    found = from_sklearn(model, backend="numpy")
    expected = model.predict_proba(x)
    assert found.dtype == "float64"
    np.testing.assert_allclose(found.predict(x), expected[:, 1:] if task == "two" else expected, atol=1e-12)
    assert found.classes == tuple(str(c) for c in model.classes_)
    if task != "several":
        np.testing.assert_array_equal(np.asarray(found.classes)[found.predict_classes(x)], model.predict(x))


@pytest.mark.parametrize("family", [theirs, ours], ids=["scikit-learn", "portanet.sklearn"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(family, loss, outputs):
    x, y = blobs()
    target = y + 0.5 if outputs == 1 else np.column_stack([y, y**2]) + 0.5
    model = fitted(family.MLPRegressor, x, target, loss=loss)
    found = from_sklearn(model, backend="numpy")
    np.testing.assert_allclose(found.predict(x).reshape(target.shape), model.predict(x), rtol=1e-12, atol=1e-12)


def test_what_was_fitted_in_float32_stays_so():
    x, y = blobs()
    found = from_sklearn(fitted(theirs.MLPClassifier, x.astype("float32"), y), backend="numpy")
    assert found.dtype == "float32"


def test_an_estimators_network_is_saved_exported_and_trained_on(tmp_path):
    x, y = blobs()
    target = y * 2.0
    model = fitted(ours.MLPRegressor, x, target, batch_norm=True, dropout=0.1)
    found = from_sklearn(model, backend="numpy", optimizer=pn.SGD(lr=0.01))
    found.save(tmp_path / "net.safetensors")  # the estimator's own loss has no name in a file
    np.testing.assert_array_equal(pn.load(tmp_path / "net.safetensors").predict(x)[:, 0], model.predict(x))
    to_npz(model, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as arrays:
        np.testing.assert_array_equal(arrays["0.weight"], model.coefs_[0])
    before = found.evaluate(x, target)["loss"]
    found.fit(x, target, epochs=30, verbose=False)
    assert found.evaluate(x, target)["loss"] < before
    assert found.l2 == model.alpha


def test_estimators_are_exported_as_they_are(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime: pip install onnxruntime")
    pytest.importorskip("onnx", reason="ONNX files are written by the package onnx: pip install onnx")
    from portanet.export import onnx_model

    x, y = blobs()
    for family in (theirs, ours):
        model = fitted(family.MLPClassifier, x, y)
        session = runtime.InferenceSession(onnx_model(model).SerializeToString())
        (found,) = session.run(None, {"input": x.astype("float32")})
        np.testing.assert_allclose(found, model.predict_proba(x), atol=1e-5)
        to_numpy_script(model, tmp_path / "net.py")


def test_what_is_no_fitted_perceptron():
    with pytest.raises(ConfigError, match="has no weights yet; call fit"):
        from_sklearn(theirs.MLPClassifier())
    with pytest.raises(ConfigError, match=r"expected a Trainer.*got LabelBinarizer"):
        from_sklearn(LabelBinarizer())
    x, y = blobs()
    model = fitted(theirs.MLPClassifier, x, y)
    model.activation = "relo"
    with pytest.raises(ConfigError, match="unknown activation 'relo'; did you mean 'relu'"):
        from_sklearn(model)
