"""What each input contributes: saliency, and integrated gradients that add up."""

from __future__ import annotations

import logging

import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest

import portanet as pn
from portanet.data.frames import table as as_table
from portanet.errors import ConfigError, ShapeError
from tests.small import blobs, trainer

NETS = {
    "relu": [pn.Dense(40), pn.ReLU(), pn.Dense(30), pn.ReLU(), pn.Dense(3)],
    "smooth": [pn.Dense(20), pn.GELU(), pn.Residual([pn.Dense(20), pn.Tanh()]), pn.Dense(3)],
    "images": [
        *(pn.Reshape((5, 5, 1)), pn.Conv2D(4, padding="same"), pn.BatchNorm(), pn.ReLU(), pn.MaxPool2D()),
        *(pn.Dropout(0.3), pn.Flatten(), pn.Dense(3)),
    ],
}


@pytest.mark.parametrize("name", NETS)
def test_integrated_gradients_add_up(name, backend):
    x, y = blobs(features=25)
    model = trainer(NETS[name], optimizer="adam", backend=backend)
    model.fit(x, y, epochs=3, batch_size=16, verbose=False)
    x, y = x[:2], y[:2]
    base = np.full(25, 0.3)
    parts = model.input_gradients(x, y, method="integrated", baseline=base)
    assert parts.shape == x.shape
    rise = model.predict(x, raw=True) - model.predict(base[None], raw=True)
    np.testing.assert_allclose(parts.sum(axis=1), rise[np.arange(2), y], rtol=1e-6, atol=1e-6)


def test_integrated_gradients_are_the_mean_along_the_line():
    x, y = blobs(features=6)
    model = trainer([pn.Dense(12), pn.ReLU(), pn.Dense(3)])
    model.fit(x, y, epochs=3, verbose=False)
    found = model.input_gradients(x[:3], y[:3], method="integrated")
    steps = (np.arange(20000) + 0.5) / 20000
    p = model.snapshot()["params"]
    for one, label, own in zip(x[:3], y[:3], found, strict=True):
        on = (steps[:, None] * one) @ p["0.weight"] + p["0.bias"] > 0
        slopes = (on * p["2.weight"][:, label]) @ p["0.weight"].T
        np.testing.assert_allclose(own, one * slopes.mean(axis=0), atol=1e-3)


def test_a_linear_network_is_explained_exactly():
    x, y = blobs()
    model = trainer([pn.Dense(3)])
    model.fit(x, y, epochs=1, verbose=False)
    weight = model.snapshot()["params"]["0.weight"]
    np.testing.assert_allclose(model.input_gradients(x, y, method="saliency"), abs(weight.T[y]))
    np.testing.assert_allclose(model.input_gradients(x[:2], y[:2], method="integrated"), x[:2] * weight.T[y[:2]])


def test_without_targets_the_predicted_class_is_explained():
    x, y = blobs()
    model = trainer()
    model.fit(x, y, epochs=2, verbose=False)
    guess = model.predict_classes(x)
    assert (guess != y).any()
    for method in ("saliency", "integrated"):
        found = model.input_gradients(x[:9], method=method)
        np.testing.assert_array_equal(found, model.input_gradients(x[:9], guess[:9], method=method))


def test_a_single_output_needs_no_target():
    x, _ = blobs()
    model = trainer([pn.Dense(8), pn.ReLU(), pn.Dense(1)], loss="mean_squared_error")
    model.fit(x, x[:, 0] ** 2, epochs=3, verbose=False)
    parts = model.input_gradients(x[:5], method="integrated")
    rise = model.predict(x[:5]) - model.predict(np.zeros((1, 5)))
    np.testing.assert_allclose(parts.sum(axis=1), rise[:, 0], rtol=1e-6, atol=1e-6)


def test_float32_networks_add_up_too():
    x, y = blobs(features=25)
    model = trainer(NETS["relu"], dtype="float32", optimizer="adam")
    model.fit(x, y, epochs=3, verbose=False)
    double = pn.Trainer(model.net, backend="numpy", dtype="float64")
    arrays = {name: a.astype("float64") for name, a in model.snapshot()["params"].items()}
    double.adopt(arrays, {}, (25,), (3,))
    single = x[:4].astype("float32")
    parts = model.input_gradients(single, y[:4], method="integrated")
    rise = double.predict(single, raw=True) - double.predict(0 * single, raw=True)
    np.testing.assert_allclose(parts.sum(axis=1), rise[np.arange(4), y[:4]], rtol=1e-6, atol=1e-6)


def test_categories_of_a_table_contribute_too():
    rng = np.random.default_rng(0)
    many = [f"c{i}" for i in rng.integers(0, 15, 80)]  # a learned vector
    kind, a = rng.choice(["x", "y", "z"], 80), rng.normal(3, 2, 80)
    frame = pandas.DataFrame({"a": a, "kind": kind, "many": many, "b": np.where(rng.random(80) < 0.2, np.nan, a)})
    y = ((kind == "x") ^ (a > 3)).astype(int)
    model = trainer([pn.Dense(16), pn.ReLU(), pn.Dense(2)], optimizer="adam")
    model.fit(frame, y, epochs=30, verbose=False)
    parts = model.input_gradients(frame[:6], y[:6], method="integrated")
    names = [name for name, _ in model.columns.names()]
    assert names == ["kind", "many", "a", "b", "b is missing"]
    encoded = model.columns.encode(as_table(frame[:6]), "x")
    mean = {c.name: c.mean for c in model.columns.columns}
    usual = np.array([[-1.0, -1.0, mean["a"], mean["b"], 0.0]])
    rise = model.predict(encoded, raw=True) - model.predict(usual, raw=True)
    np.testing.assert_allclose(parts.sum(axis=1), rise[np.arange(6), y[:6]], rtol=1e-6, atol=1e-6)
    assert (abs(parts[:, 0]) > 1e-3).all()
    # Where the network has forgotten a column, it contributes nothing.
    weights = model.snapshot()
    weights["params"]["1.weight"][:3] = 0.0
    model.restore(weights)
    parts = model.input_gradients(frame[:6], y[:6], method="integrated")
    assert not parts[:, 0].any()
    assert (abs(parts[:, 1]) > 1e-4).all()
    same = model.input_gradients(frame[:6], y[:6], method="integrated", baseline=encoded)
    assert not same.any()


def test_an_output_that_jumps_is_reported(caplog):
    model = trainer([pn.Embedding(5, 3), pn.Flatten(), pn.Dense(2)])
    model.init((2,))
    with caplog.at_level(logging.WARNING, "portanet"):
        model.input_gradients(np.array([[3.0, 1.0]]), np.array([1]), method="integrated")
    assert "sample 0: the attributions miss the difference of the outputs by " in caplog.text
    assert "let inputs that are whole numbers be equal in both" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "integral"}, ConfigError, "unknown method 'integral'; did you mean 'integrated'"),
        ({"baseline": 0.0}, ConfigError, "baseline belongs to method='integrated', got method='loss'; leave it out"),
        (
            {"method": "integrated", "baseline": np.ones(4)},
            ShapeError,
            r"samples \(120, 5\), got \(4,\); give one sample",
        ),
        ({"method": "saliency", "y": np.full(120, 3)}, ShapeError, "output for each of 120 samples, 0 to 2, got int64"),
    ],
)
def test_what_cannot_be_is_refused(options, error, said):
    x, y = blobs()
    model = trainer()
    model.init((5,))
    with pytest.raises(error, match=said):
        model.input_gradients(x, **{"y": y, **options})
