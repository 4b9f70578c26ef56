"""Activations and gradients of a trained network, beside torch's autograd."""

from __future__ import annotations

import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.layers import tree
from tests.small import blobs, trainer


def fitted(net, x, y, **options):
    model = trainer(net, **options)
    model.fit(x, y, epochs=2, batch_size=16, verbose=False)
    return model


def images(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 7, 6, 2)), rng.integers(0, 3, n)


MLP = [pn.Dense(8), pn.Tanh(), pn.Dropout(0.3), pn.Residual([pn.Dense(8), pn.ReLU()]), pn.Dense(3)]
CNN = [pn.Conv2D(4), pn.BatchNorm(), pn.ReLU(), pn.MaxPool2D(), pn.Flatten(), pn.Dense(3)]


def mlp_of_torch(F, p, b, x):
    h = (x @ p["0.weight"] + p["0.bias"]).tanh()
    h = h + F.relu(h @ p["3.0.weight"] + p["3.0.bias"])
    return h @ p["4.weight"] + p["4.bias"]


def cnn_of_torch(F, p, b, x):
    h = F.conv2d(x.permute(0, 3, 1, 2), p["0.weight"].permute(3, 2, 0, 1), p["0.bias"])
    h = F.relu(F.batch_norm(h, b["1.mean"], b["1.variance"], p["1.gamma"], p["1.beta"], eps=1e-5))
    return F.max_pool2d(h, 2).permute(0, 2, 3, 1).flatten(1) @ p["5.weight"] + p["5.bias"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("layers", "oracle"), [(MLP, mlp_of_torch), (CNN, cnn_of_torch)])
def test_gradients_are_those_of_autograd(layers, oracle, weighted):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    x, y = blobs() if layers is MLP else images()
    model = fitted(layers, x, y, l2=0.03)
    weight = np.random.default_rng(1).random(len(x)) if weighted else np.ones(len(x))
    snapshot = model.snapshot()
    p = {name: torch.tensor(a, requires_grad=True) for name, a in snapshot["params"].items()}
    b = {name: torch.tensor(a) for name, a in snapshot["buffers"].items()}
    inputs = torch.tensor(x, requires_grad=True)
    losses = F.cross_entropy(oracle(F, p, b, inputs), torch.tensor(y), reduction="none")
    w = torch.tensor(weight)
    penalty = 0.5 * 0.03 * sum((a**2).sum() for name, a in p.items() if name.endswith("weight"))
    ((w * losses).sum() / w.sum() + penalty).backward()
    found = model.gradients(x, y, sample_weight=weight if weighted else None)
    assert list(found) == list(model.params)
    for name, g in found.items():
        np.testing.assert_allclose(g, p[name].grad.numpy(), rtol=1e-12, atol=1e-12, err_msg=name)
    of_inputs = torch.autograd.grad(F.cross_entropy(oracle(F, p, b, inputs), torch.tensor(y), reduction="sum"), inputs)[
        0
    ]
    np.testing.assert_allclose(model.input_gradients(x, y), of_inputs.numpy(), rtol=1e-12, atol=1e-12)


def test_the_largest_difference_from_autograd_is_not_trivial():
    # The bound above is absolute: gradients of 1e-12 would pass whatever they are.
    x, y = images()
    assert all(abs(g).max() > 1e-4 for g in fitted(CNN, x, y).gradients(x, y).values())


def test_the_gradient_of_a_step_moves_the_weights(backend):
    x, y = blobs()
    model = trainer(
        [pn.Dense(6), pn.Dropout(0.5), pn.BatchNorm(), pn.Dense(3)], optimizer=pn.SGD(lr=0.1), backend=backend
    )
    model.init((5,))
    before, grads = model.snapshot()["params"], model.gradients(x, y, train=True)
    still = model.gradients(x, y)
    model.fit(x, y, epochs=1, batch_size=None, shuffle=False, verbose=False)
    for name, after in model.snapshot()["params"].items():
        np.testing.assert_allclose(after, before[name] - 0.1 * grads[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert abs(grads["0.weight"] - still["0.weight"]).max() > 1e-3


def test_gradients_by_batches_are_those_of_all_samples(monkeypatch):
    x, y = blobs()
    model = fitted(MLP, x, y)
    whole = model.gradients(x, y)
    monkeypatch.setattr("portanet.training.fit_inputs.CHUNK", 7)
    for name, g in model.gradients(x, y).items():
        np.testing.assert_allclose(g, whole[name], rtol=1e-12, atol=1e-15)


def test_activations_are_what_the_layers_give(backend, monkeypatch):
    x, y = blobs()
    model = fitted(MLP, x, y, backend=backend)
    found = model.activations(x)
    assert list(found) == [path for path, _ in tree.walk(model.net) if path]
    p = model.snapshot()["params"]
    np.testing.assert_allclose(found["1"], np.tanh(x @ p["0.weight"] + p["0.bias"]), rtol=1e-9)
    np.testing.assert_array_equal(found["2"], found["1"])  # dropout is off
    np.testing.assert_allclose(found["3"], found["2"] + found["3.1"], rtol=1e-12)
    np.testing.assert_allclose(found["4"], model.predict(x, raw=True), rtol=1e-9)
    monkeypatch.setattr("portanet.inspection.gradients.CHUNK", 7)
    by_parts = model.activations(x, ["3.0", "4"])
    assert list(by_parts) == ["3.0", "4"]
    np.testing.assert_allclose(by_parts["3.0"], found["3.0"], rtol=1e-9, atol=1e-12)


def test_nothing_changes():
    x, y = blobs()
    model = fitted(MLP, x, y)
    before, kept = model.copy_state(), x.copy()
    model.activations(x)["0"][:] = 0
    model.gradients(x, y, train=True)
    model.input_gradients(x, y)
    after = model.copy_state()
    for part in ("params", "buffers"):
        for name, a in getattr(after, part).items():
            np.testing.assert_array_equal(a, getattr(before, part)[name])
    np.testing.assert_array_equal(x, kept)
    assert (after.epoch, after.opt_state["t"]) == (before.epoch, before.opt_state["t"])


def test_a_frame_is_taken_as_predict_takes_it():
    frame = pandas.DataFrame({"a": [1.0, 2.0, None, 4.0] * 10, "kind": ["x", "y", "y", "z"] * 10})
    y = np.array([0, 1, 1, 0] * 10)
    model = trainer([pn.Dense(4), pn.ReLU(), pn.Dense(2)])
    model.fit(frame, y, epochs=2, verbose=False)
    np.testing.assert_allclose(model.activations(frame[:3])["3"], model.predict(frame[:3], raw=True))
    assert set(model.gradients(frame, y)) == set(model.params)


def test_what_cannot_be_is_refused():
    model = trainer()
    with pytest.raises(ConfigError, match=r"activations: this network has no weights yet; call fit\(\)"):
        model.activations(np.ones((2, 5)))
    model.init((5,))
    with pytest.raises(
        ConfigError, match=r"activations: unknown layer '7'.* \(known: 0, 1, 2\); summary\(\) lists them"
    ):
        model.activations(np.ones((2, 5)), ["7"])


def test_activations_of_a_shortcut():
    net = [pn.Residual([pn.Dense(3), pn.Tanh()], shortcut=[pn.Dense(3), pn.ReLU()]), pn.Dense(2)]
    trainer = pn.Trainer(net, "mean_squared_error", backend="numpy", dtype="float64")
    x = np.linspace(-1, 1, 20).reshape(5, 4)
    trainer.fit(x, x[:, :2], epochs=1, verbose=False)
    found = trainer.activations(x)
    np.testing.assert_array_equal(found["0.shortcut"], found["0.shortcut.1"])
    np.testing.assert_array_equal(found["0"], found["0.shortcut"] + found["0.1"])
    assert list(trainer.activations(x, ["0.shortcut"])) == ["0.shortcut"]


@pytest.mark.parametrize("data", [None, 3, np.zeros((4, 4)), (np.zeros((4, 4)),)])
def test_what_is_no_data_to_plot(data):
    trainer = pn.Trainer([pn.Dense(2)], backend="numpy")
    with pytest.raises(pn.ConfigError, match=r"plot: expected a Dataset, or samples and targets as \(x, y\), got "):
        trainer.plot(data)
