"""Recipes: the networks that they describe, their initial weights, and that they train alone and in fleets."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import portanet as pn
from portanet.errors import DataError
from portanet.layers.rates import learning_rates
from portanet.recipes import RECIPES, plain, realmlp
from portanet.recipes.recipe import usual_epochs
from tests.small import near

CATEGORIES = (3, 12, 2)
every_recipe = pytest.mark.parametrize("make", RECIPES.values(), ids=RECIPES)


def table(n=300, seed=0):
    """Return rows of three numbers and three categories, and numbers and classes that depend on both."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_t(2, size=(n, 3)) * [1, 100, 0.01] + [0, 5, 1]
    codes = np.stack([rng.integers(0, k, n) for k in CATEGORIES], axis=1)
    value = np.tanh(numbers[:, 0]) * (codes[:, 0] - 1) + 0.1 * codes[:, 1]
    return np.concatenate([codes, numbers], axis=1), (value - value.mean()) / value.std(), (value > 0.5).astype("int32")


def trained(recipe, x, y, *, epochs=None, **options):
    trainer = pn.Trainer(
        recipe.net, recipe.loss, recipe.optimizer, schedule=recipe.schedule, backend="numpy", **options
    )
    recipe.start(trainer)
    epochs = recipe.epochs if epochs is None else epochs
    trainer.fit(x, y, epochs=epochs, batch_size=recipe.batch_size, verbose=False)
    return trainer


def test_the_network_of_realmlp():
    x, _, _ = table()
    recipe = realmlp(x, categories=CATEGORIES, hidden=(8, 4), classes=3)
    front, scale, *hidden, last = recipe.net.layers
    assert isinstance(front, pn.Parallel)
    few, many, flag, numbers = front.layers
    assert list(front.sizes) == [1, 1, 1, 3]
    assert isinstance(numbers, pn.Sequential)
    assert isinstance(few, pn.Sequential)
    assert isinstance(flag, pn.Sequential)
    assert numbers.layers[1:] == (pn.SmoothClip(3.0), pn.PeriodicEmbedding(3, 16, sigma=0.1, rate=0.1))
    assert (few.layers[0], flag.layers[0]) == (pn.OneHot((3,)), pn.OneHot((2,)))
    assert many == pn.Sequential([pn.OneHot((12,)), pn.Dense(8, bias=False, weight_init="normal")])
    block = [pn.Parametric(pn.SELU(), rate=0.1), pn.Dropout(0.15)]
    assert [scale, *hidden, last] == [
        pn.Scale(rate=6.0),
        pn.NTKDense(8),
        *block,
        pn.NTKDense(4),
        *block,
        pn.NTKDense(3),
    ]
    assert (recipe.loss, recipe.schedule) == (pn.SoftmaxCrossEntropy(label_smoothing=0.1), pn.CosLog(4))
    assert recipe.optimizer == pn.AdamW(lr=0.04, beta2=0.95, weight_decay=0.02)
    params, out_shape = recipe.net.init(np.random.default_rng(0), (6,))
    assert out_shape == (3,)
    rates = learning_rates(recipe.net, params)
    assert {name.rpartition(".")[2] for name, rate in rates.items() if rate == 0.1} >= {
        "frequency",
        "strength",
        "phase",
    }
    assert rates["1.scale"] == 6
    of_numbers = realmlp(x, categories=CATEGORIES)
    assert of_numbers.net.layers[3] == pn.Parametric(pn.Mish(), rate=0.1)
    assert (of_numbers.loss, of_numbers.optimizer.lr) == (pn.MeanSquaredError(), 0.2)


def test_initial_weights_fit_the_rows():
    x, _, _ = table()
    recipe = realmlp(x, categories=CATEGORIES, hidden=(50, 20))
    trainer = pn.Trainer(recipe.net, recipe.loss, backend="numpy", dtype="float64", seed=3)
    recipe.start(trainer)
    params = {**trainer.params, **trainer.buffers}
    for place, layer in enumerate(recipe.net.layers):
        if isinstance(layer, pn.NTKDense):
            own = {name.partition(".")[2]: a for name, a in params.items() if name.startswith(f"{place}.")}
            before, _ = pn.Sequential(recipe.net.layers[:place]).forward(_up_to(params, place), x)
            out, _ = layer.forward({**own, "bias": 0 * own["bias"]}, before)
            np.testing.assert_allclose(out.std(axis=0), 1, rtol=1e-9)
            shift = -layer.bias_factor * own["bias"]
            assert (out.min(axis=0) <= shift).all()
            assert (shift <= out.max(axis=0)).all()
            assert len(np.unique(shift)) == layer.units
    again = pn.Trainer(recipe.net, recipe.loss, backend="numpy", dtype="float64", seed=3)
    recipe.start(again)
    near(again, trainer, rtol=0)


def _up_to(params, place):
    return {name: a for name, a in params.items() if int(name.partition(".")[0]) < place}


@pytest.mark.parametrize(("make", "error"), [(realmlp, 0.15), (plain, 0.25)])
def test_a_recipe_learns(make, error):
    x, y, labels = table(600)
    x_test, y_test, labels_test = table(600, seed=1)
    options = {"categories": CATEGORIES, "hidden": (32, 32), "batch_size": 64, "epochs": 60}
    found = trained(make(x, **options), x, y).predict(x_test)[:, 0]
    assert np.mean((found - y_test) ** 2) < error
    found = trained(make(x, classes=2, **options), x, labels).predict_classes(x_test)
    assert np.mean(found == labels_test) > 0.85


@every_recipe
def test_members_of_a_fleet_are_as_they_would_be_alone(make):
    x, y, _ = table(100)
    recipe = make(x, categories=CATEGORIES, hidden=(8, 8), epochs=3, batch_size=32)
    fleet = pn.Fleet(
        recipe.net, 3, recipe.loss, recipe.optimizer, schedule=recipe.schedule, backend="numpy", dtype="float64"
    )
    for member in fleet:
        recipe.start(member)
    fleet.fit(x, y, epochs=recipe.epochs, batch_size=recipe.batch_size)
    for i in range(3):
        near(fleet[i], trained(recipe, x, y, seed=i, dtype="float64"), rtol=1e-9)


def test_the_best_epoch_is_kept(monkeypatch):
    x, y, _ = table(200)
    recipe = realmlp(x, categories=CATEGORIES, hidden=(16,), epochs=12)
    trainer = pn.Trainer(recipe.net, recipe.loss, recipe.optimizer, schedule=recipe.schedule, backend="numpy")
    recipe.start(trainer)
    held = table(100, seed=2)[:2]
    trainer.fit(*(x, y), epochs=12, batch_size=50, validation_data=held, callbacks=[recipe.keep_best()], verbose=False)
    assert len(trainer.history) == 12
    assert trainer.evaluate(*held)["loss"] == pytest.approx(min(trainer.history["val_loss"]), rel=1e-6)


def test_is_saved_and_exported_whole(tmp_path):
    x, y, _ = table()
    recipe = realmlp(x, categories=CATEGORIES, hidden=(8,), epochs=2)
    trainer = trained(recipe, x, y)
    rows = x[:20].copy()
    rows[3, :3] = -1  # unknown categories
    expected = trainer.predict(rows)
    trainer.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(pn.load(tmp_path / "net.safetensors").predict(rows), expected)
    pn.export.to_numpy_script(trainer, tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    np.testing.assert_allclose(module.predict(rows), expected, atol=1e-5)
    pytest.importorskip("onnx", reason="onnx is not installed: pip install onnx")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install onnxruntime")
    pn.export.to_onnx(trainer, tmp_path / "net.onnx")
    (found,) = runtime.InferenceSession(str(tmp_path / "net.onnx")).run(["output"], {"input": rows.astype("float32")})
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("rows", "epochs"), [(100, 128), (3001, 256), (10_000, 100), (43_000, 24), (400_000, 16)])
def test_usual_epochs(rows, epochs):
    assert usual_epochs(rows, 256) == epochs
    assert plain(np.ones((rows, 1))).epochs == epochs


@every_recipe
def test_rows_that_are_none(make):
    for x in (np.ones(3), np.ones((0, 2)), np.ones((4, 1))):
        with pytest.raises(DataError, match=r"expected rows of 2 categories and numbers, got an array of shape \("):
            make(x, categories=(2, 2))
