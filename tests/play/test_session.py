"""A session gives the library's numbers as plain values, and refuses what is out of range in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError, DataError, DivergedError
from portanet.play import shipped
from portanet.play.drawing import centred
from portanet.play.messages import Page, answer
from portanet.play.session import Session
from portanet.play.settings import FIELDS, PRESETS, checked


def by_hand(params, x, y):
    """A 2-8-8-1 network of tanh with binary cross-entropy, written out in NumPy: loss and gradients."""
    w = [params[f"{i}.weight"] for i in (0, 2, 4)]
    b = [params[f"{i}.bias"] for i in (0, 2, 4)]
    a1 = np.tanh(x @ w[0] + b[0])
    a2 = np.tanh(a1 @ w[1] + b[1])
    z = (a2 @ w[2] + b[2])[:, 0]
    loss = np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - z * y)
    d3 = ((1 / (1 + np.exp(-z)) - y) / len(x))[:, None]
    d2 = d3 @ w[2].T * (1 - a2**2)
    d1 = d2 @ w[1].T * (1 - a1**2)
    grads = [(x.T @ d1, d1.sum(0)), (a1.T @ d2, d2.sum(0)), (a2.T @ d3, d3.sum(0))]
    return loss, grads


def test_gradients_are_those_written_out_by_hand():
    session = Session("points")
    session.step(30)
    x, y = session.data.x[:256], session.data.y[:256]
    loss, grads = by_hand(session.trainer.params, x, y)
    found = session.gradients()
    assert found["loss"] == pytest.approx(loss, rel=1e-12)
    dense = [layer for layer in found["layers"] if layer["title"] == "Dense"]
    for layer, (dw, db) in zip(dense, grads, strict=True):
        np.testing.assert_allclose(layer["gradients"]["weight"], dw, atol=1e-14)
        np.testing.assert_allclose(layer["gradients"]["bias"], db, atol=1e-14)
        norm = np.sqrt((dw**2).sum() + (db**2).sum())
        assert layer["norm"] == pytest.approx(norm, rel=1e-10)
        assert layer["difference"] == pytest.approx(norm, rel=1e-6)  # by differences of the loss alone


def test_the_way_back_changes_nothing():
    session = Session("points", {"decay": 0.01})
    session.step(3)
    before = {name: p.copy() for name, p in session.trainer.params.items()}
    session.gradients()
    session.maps()
    session.trace(0)
    session.boundary()
    assert all(np.array_equal(p, before[name]) for name, p in session.trainer.params.items())


def test_sigmoids_vanish_and_relus_do_not():
    ratios = {}
    for name in ("vanishing", "not_vanishing"):
        session = Session("points", PRESETS[name])
        session.step(5)
        norms = [layer["norm"] for layer in session.gradients()["layers"] if layer["norm"] is not None]
        ratios[name] = norms[0] / norms[-1]
    assert ratios["vanishing"] < 1e-4 < 0.01 < ratios["not_vanishing"]


def test_steps_are_those_of_the_trainer():
    session = Session("points", {"batch": 0, "optimizer": "sgd", "lr": 0.1})
    twin = Session("points", session.settings)
    for _ in range(4):
        twin.trainer.train_batch(session.data.x, session.data.y)
    found = session.step(4)
    assert (found["steps"], found["epoch"]) == (4, 4)
    assert found["loss"] == pytest.approx(twin.trainer.evaluate(session.data.x, session.data.y)["loss"], rel=1e-9)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_run_and_their_loss_falls(name):
    session = Session("points", PRESETS[name])
    first = session.score()
    last = session.step(200 if name != "two_moons" else 20)
    assert last["loss"] < first["loss"] + 1e-3
    json.dumps([session.about(), session.boundary(8), session.gradients(), session.maps()], allow_nan=False)


@pytest.mark.parametrize("data", FIELDS["data"].names)
def test_boundaries_are_shares(data):
    points = [[0, 0, 0], [1, 1, 2], [0, 1, 2], [1, 0, 0]]
    session = Session("points", {"data": data, "points": points if data == "custom" else [], "n": 40})
    session.step(2)
    shares = np.array(session.boundary(10)["classes"])
    assert shares.shape == (len(session.data.classes), 100)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=2e-3)


def test_maps_are_of_each_unit():
    session = Session("points", {"layers": [3, 5], "activation": "relu"})
    maps = {name: np.array(own) for name, own in session.maps()["layers"].items()}
    assert {name: own.shape for name, own in maps.items()} == {"0": (3, 400), "2": (5, 400), "4": (1, 400)}
    assert maps["0"].min() >= 0  # after the activation


def test_all_mistakes_are_listed():
    with pytest.raises(ConfigError) as caught:
        checked({"lr": -1, "activation": "tanhh", "layers": [0], "wrong": 1, "noise": "x", "bias": 1})
    for word in ("lr: expected", "tanh", "layers: expected", "wrong", "noise: expected", "bias: expected"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"layers": [8] * 11},
        {"layers": 3},
        {"n": 10**9},
        {"n": 40.5},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"seed": 10**400},
        {"points": [[0, 0]]},
        {"points": [[0, 0, 7]]},
        {"points": [[0, 0, 0]] * 1001},
        {"data": "custom"},
        {"data": ["moons"]},
        {"seed": True},
        [],
    ],
)
def test_refused(settings):
    with pytest.raises(ConfigError):
        Session("points", settings)


def test_a_diverging_session_says_so():
    session = Session("points", {"lr": 10, "optimizer": "sgd", "activation": "linear", "loss": "mean_squared_error"})
    session.trainer.params["0.bias"][:] = np.nan
    with pytest.raises(DivergedError, match="learning rate"):
        session.step(1)


def test_source_is_that_of_the_layer():
    session = Session("points")
    found = session.source("0")
    assert found["title"] == "Dense"
    assert found["module"] == "portanet.layers.dense"
    assert "def backward" in found["source"]


def test_trace_holds_formulas_and_numbers():
    found = Session("points").trace(2)
    forward = found["parts"]["forward"]
    assert forward[0]["formula"] == ["y = x W + b"]
    assert [array["name"] for array in forward[0]["arrays"]] == ["x", "weight", "bias", "y"]
    assert [one["title"] for one in found["parts"]["backward"]] == ["Dense 4", "Tanh 3", "Dense 2", "Tanh 1", "Dense 0"]


def test_messages():
    page = Page()
    assert "fields" in json.loads(answer(page, "described", {}))["result"]
    assert "open one" in json.loads(answer(page, "step", {"kind": "points"}))["error"]
    assert json.loads(answer(page, "open", {"kind": "points", "settings": {"n": 40}}))["result"]["kind"] == "points"
    frame = json.loads(answer(page, "frame", {"kind": "points", "steps": 2, "side": 5}))["result"]
    assert frame["steps"] == 2
    assert len(frame["boundary"]["classes"][0]) == 25
    for method, arguments in [
        ("__init__", {"kind": "points"}),
        (["step"], {"kind": "points"}),
        ("step", {"kind": "points", "n": 10**9}),
        ("step", {"kind": "points", "n": True}),
        ("step", {"kind": "points", "self": 1}),
        ("predict", {"kind": "points", "image": [[0]]}),
        ("source", {"kind": "points", "layer": {}}),
        ("source", {"kind": "points"}),
        ("open", {"kind": ["points"]}),
        ("step", []),
        ("boundary", {"kind": "points", "side": 10**6}),
        ("activations", {"kind": "points", "x": "abc"}),
    ]:
        assert "error" in json.loads(answer(page, method, arguments)), method


def digit_seven():
    """A seven as strokes on a drawing of 112×112, off its middle."""
    drawn = np.zeros((112, 112))
    drawn[15:23, 10:60] = 1
    for i in range(70):
        left = 55 - i // 2
        drawn[18 + i, left : left + 8] = 1
    return drawn


def test_a_drawing_is_centred_as_mnist_is():
    found = centred(digit_seven())
    rows, columns = np.nonzero(found > 0.02)
    assert max(rows.max() - rows.min(), columns.max() - columns.min()) + 1 in (20, 21)
    down, across = (found.sum(axis=axis) @ (np.arange(28) + 0.5) / found.sum() for axis in (1, 0))
    assert (down, across) == pytest.approx((14, 14), abs=0.05)
    assert not centred(np.zeros((50, 50))).any()


def test_a_drawn_seven_is_a_seven():
    session = Session("digit")
    found = session.predict(digit_seven().tolist())
    assert found["label"] == 7
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert np.shape(found["pixels"]) == np.shape(found["image"]) == (28, 28)
    assert [layer["shape"] for layer in found["layers"]][-1] == [10]
    trace = session.trace(image=digit_seven().tolist())
    assert trace["label"] == 7


def test_the_shipped_network_says_its_accuracy():
    network, accuracy = shipped.load()
    assert shipped.DIGITS.stat().st_size < 100_000
    assert accuracy > 0.98
    assert Session("digit").about()["accuracy"] == accuracy
    assert sum(p.size for p in network.params.values()) == 14_410


@pytest.mark.parametrize("image", [[], [[2]], [[0, 1], [0]], "x", [[float("nan")]], [[0] * 600], None])
def test_drawings_refused(image):
    with pytest.raises(DataError, match="image: expected"):
        Session("digit").predict(image)


def test_networks_of_other_images(tmp_path):
    data = pn.data.load("digits")
    net = [pn.Rescale.of(data.x), pn.Flatten(), pn.Dense(16), pn.ReLU(), pn.Dense(10)]
    trainer = pn.Trainer(net, backend="numpy", seed=0)
    trainer.fit(data.x, data.y, epochs=8, verbose=False)
    session = Session("digit", network=trainer)
    assert (session.side, session.white) == (8, 16.0)
    found = [session.predict((x / 16).tolist(), centre=False)["label"] for x in data.x_test[:50]]
    assert found == trainer.predict_classes(data.x_test[:50]).tolist()


def test_networks_that_are_refused():
    trainer = pn.Trainer([pn.Dense(3)], backend="numpy")
    trainer.init((5,))
    with pytest.raises(ConfigError, match="square images"):
        Session("digit", network=trainer)
