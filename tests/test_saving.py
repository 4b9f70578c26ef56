"""Networks in files: the way there and back on every backend, and what travels along."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet import layers
from portanet.errors import ConfigError
from tests.small import blobs, mlp, same, trainer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def trained(net=None, epochs=1, **options):
    x, y = blobs()
    model = trainer(mlp(dropout=0.2) if net is None else net, **options)
    model.fit(x, y, epochs=epochs, verbose=False)
    return model


def test_trained_anywhere_loaded_on_numpy(backend, dtype, path):
    x, _ = blobs()
    model = trained(backend=backend, dtype=dtype)
    model.save(path)
    found = pn.load(path)
    assert (found.backend.name, found.dtype) == ("numpy", dtype)
    same(found, model)
    np.testing.assert_allclose(found.predict(x), model.predict(x), rtol=1e-5 if dtype == "float32" else 1e-12)
    again = pn.load(path, backend=backend)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_all_that_is_described(path):
    net = [pn.Rescale(2.0, -0.5), pn.Dense(6, weight_init="normal:0.1", bias=False), pn.LeakyReLU(0.2), pn.Dense(3)]
    metrics = ["accuracy", "top_2", "f1_score", "mae", "r2"]
    model = trainer(
        net,
        loss=pn.SoftmaxCrossEntropy(label_smoothing=0.1),
        optimizer=pn.AdamW(lr=np.float32(0.125), weight_decay=0.02, clip_norm=1.0),
        metrics=metrics,
        seed=5,
        l1=0.01,
        l2=np.float64(0.02),
        classes=["cat", "dog", "é"],
    )
    x, y = blobs()
    model.fit(x, y, epochs=2, verbose=False)
    model.save(path)
    found = pn.load(path)
    assert found.net == model.net
    assert (found.loss, found.optimizer, found.metrics) == (model.loss, model.optimizer, model.metrics)
    assert (found.seed, found.l1, found.l2, found.epoch) == (5, 0.01, 0.02, 2)
    assert found.classes == ("cat", "dog", "é")
    assert (found.input_shape, found.outputs) == ((5,), 3)
    assert found.evaluate(x, y) == pytest.approx(model.evaluate(x, y))


@pytest.mark.parametrize("net", [pn.Dense(3), pn.Residual([pn.Dense(5)]), [pn.Flatten(), pn.Residual([pn.Dense(5)])]])
def test_a_network_of_any_form(path, net):
    model = trained(net)
    model.save(path)
    same(pn.load(path), model)
    assert pn.load(path).net == model.net


def test_training_goes_on(path):
    x, y = blobs()
    model = trained(epochs=2, optimizer=pn.SGD(lr=0.1))  # without a state of its own, so that nothing is missing
    model.save(path)
    found = pn.load(path)
    for each in (model, found):
        each.fit(x, y, epochs=2, verbose=False)
    same(found, model)  # epochs, shuffles and dropout go on where they were
    assert found.history["epoch"] == [3, 4]


def test_the_preprocessing_travels_along(path):
    x, y = blobs()
    x = 100 + 9 * x
    model = trainer([pn.Standardize.of(x), *mlp()])
    model.fit(x, y, epochs=2, verbose=False)
    model.save(path)
    found = pn.load(path)
    same(found, model)
    assert sorted(found.buffers) == ["0.inverse_std", "0.mean"]
    np.testing.assert_array_equal(found.predict(x), model.predict(x))
    found.fit(x, y, epochs=1, verbose=False)
    found.save(path)
    np.testing.assert_array_equal(pn.load(path).predict(x), found.predict(x))


@pytest.fixture
def cube():
    own = pn.custom_activation("cube", lambda x: x**3, lambda x: 3.0 * x**2)
    yield own
    layers.custom.ACTIVATIONS.pop("cube", None)


def test_an_activation_of_ones_own_is_given_again(path, cube):
    x, _ = blobs()
    model = trained([pn.Dense(4), cube, pn.Dense(3)])
    model.save(path)
    np.testing.assert_array_equal(pn.load(path).predict(x), model.predict(x))
    del layers.custom.ACTIVATIONS["cube"]
    with pytest.raises(ConfigError, match=r"net\.safetensors: layer 1: the activation 'cube' was defined by the user"):
        pn.load(path)
    np.testing.assert_array_equal(pn.load(path, custom={"cube": cube}).predict(x), model.predict(x))


class Bias(pn.Metric):
    """A metric of the user's own."""

    name = "bias"

    def batch(self, prediction, target, weight, loss):
        return prediction[0, 0]


def test_a_metric_of_ones_own_is_given_again(path):
    model = trained(metrics=[Bias()])
    model.save(path)
    with pytest.raises(ConfigError, match=r"net\.safetensors: unknown metric 'Bias'"):
        pn.load(path)
    assert isinstance(pn.load(path, custom={"bias": Bias()}).metrics[0], Bias)


class OwnLoss(pn.MeanSquaredError):
    """A loss that does not keep its argument, so that no file can describe it."""

    def __init__(self, power):
        super().__init__()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: trainer(), "save: this network has no weights yet"),
        (lambda: trained([pn.Dense(3, weight_init=lambda rng, s: np.zeros(s))]), "name initializers by strings"),
        (lambda: trained(loss=OwnLoss(2)), "save: OwnLoss does not keep its arguments (power)"),
    ],
)
def test_what_cannot_be_saved(path, make, said):
    with pytest.raises(ConfigError) as caught:
        make().save(path)
    assert said in str(caught.value)
    assert not path.exists()
