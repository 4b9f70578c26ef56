"""Kinds of problems, output layers that a loss contains, buffers, divergence, and mistakes told in words that help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from array_api_compat import array_namespace

import portanet as pn
from portanet.errors import ConfigError, DataError, DivergedError, ShapeError
from tests.small import blobs, mlp, near, same, trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
LATENT = np.sin(X[:, :3]) + X[:, 1:4] ** 2 / 2


@dataclass
class Task:
    y: np.ndarray
    outputs: int
    loss: str
    metric: str
    least: float


TASKS = {
    "binary": Task((LATENT[:, 0] > 0.5).astype(int), 1, "binary_cross_entropy", "accuracy", 0.9),
    "binary, a column": Task((LATENT[:, :1] > 0.5).astype(int), 1, "binary_cross_entropy", "accuracy", 0.9),
    "binary, two outputs": Task((LATENT[:, 0] > 0.5).astype(int), 2, "softmax_cross_entropy", "accuracy", 0.9),
    "classes": Task(LATENT.argmax(1), 3, "softmax_cross_entropy", "accuracy", 0.85),
    "classes as rows": Task(np.eye(3)[LATENT.argmax(1)], 3, "softmax_cross_entropy", "accuracy", 0.85),
    "several labels": Task((LATENT > 0.5).astype(int), 3, "binary_cross_entropy", "accuracy", 0.9),
    "one number": Task(LATENT[:, 0], 1, "mean_squared_error", "r2", 0.9),
    "a column": Task(LATENT[:, :1], 1, "huber", "r2", 0.9),
    "three numbers": Task(LATENT, 3, "mean_squared_error", "r2", 0.7),
    "counts": Task(RNG.poisson(np.exp(LATENT[:, 0])), 1, "poisson", "r2", 0.4),
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks(name):
    task = TASKS[name]
    model = trainer(mlp(task.outputs), loss=task.loss, optimizer=pn.Adam(lr=0.02), metrics=[task.metric])
    model.fit(X, task.y, epochs=60, batch_size=50, validation_fraction=0.2, verbose=False)
    assert model.evaluate(X, task.y)[task.metric] > task.least
    got = model.predict(X)
    assert got.shape == (300, task.outputs)
    if "entropy" in task.loss:
        assert 0 <= got.min() <= got.max() <= 1
    if task.loss == "poisson":
        np.testing.assert_allclose(got, np.exp(model.predict(X, raw=True)), rtol=1e-12)
        assert got.mean() == pytest.approx(task.y.mean(), rel=0.1)  # rates, on the targets' scale
    if task.outputs < 3 and task.metric == "accuracy":
        share = np.mean(model.predict_classes(X) == task.y.reshape(-1))
        assert share == pytest.approx(model.evaluate(X, task.y)["accuracy"])


def test_a_column_is_not_broadcast():
    # (n,) against (n, 1) would silently become (n, n).
    y = LATENT[:, 0]
    models = [trainer(mlp(1), loss="mean_squared_error", metrics=["r2", "mae"]) for _ in range(2)]
    models[0].fit(X, y[:, None], epochs=2, verbose=False)
    models[1].fit(X, y, epochs=2, verbose=False)
    same(*models)
    assert models[0].history["mae"] == models[1].history["mae"]


@pytest.mark.parametrize(
    ("output", "loss", "outputs", "y"),
    [
        (pn.Softmax(), "softmax_cross_entropy", 3, LATENT.argmax(1)),
        (pn.Sigmoid(), "binary_cross_entropy", 1, LATENT[:, 0] > 0.5),
        (pn.Sigmoid(), "binary_cross_entropy", 3, LATENT > 0.5),
    ],
)
def test_an_output_layer_that_the_loss_contains(output, loss, outputs, y, tmp_path):
    with_it, without = (trainer(net, loss=loss) for net in ([*mlp(outputs), output], mlp(outputs)))
    for model in (with_it, without):
        model.fit(X, y, epochs=3, verbose=False)
    same(with_it, without)
    np.testing.assert_array_equal(with_it.predict(X), without.predict(X))
    whole, _ = with_it.net.forward(with_it.params, X)
    np.testing.assert_allclose(with_it.predict(X), whole, rtol=1e-12)  # predict is what the network says
    with_it.save(tmp_path / "net")
    np.testing.assert_array_equal(pn.load(tmp_path / "net").predict(X), with_it.predict(X))


def test_an_output_layer_that_is_stable():
    # Trained through a softmax's output, a logit of 1000 would be a probability of 0, and its loss infinite.
    model = trainer([pn.Dense(2, weight_init="constant:1000"), pn.Softmax()], optimizer="sgd")
    row = model.fit(1e3 * X, np.zeros(300, dtype=int), epochs=1, verbose=False)[0]
    assert np.isfinite(row["loss"])


# Buffers.


@dataclass(frozen=True)
class RunningMean(pn.Layer):
    """Takes the running mean of its inputs off them; written as a user would."""

    keep: float = 0.75

    def init_buffers(self, in_shape):
        return {"mean": np.zeros(in_shape)}

    def forward(self, params, x, *, train=False, key=None):
        return x - params["mean"], x

    def backward(self, params, dy, cache, *, need_dx=True):
        return dy, {}

    def updated_buffers(self, params, cache):
        new = array_namespace(cache).mean(cache, axis=0)
        return {"mean": self.keep * params["mean"] + (1 - self.keep) * new}


def test_buffers_are_threaded_through_the_step(backend, tmp_path):
    x, y = blobs()
    net = [RunningMean(), pn.Dense(8), pn.Residual([RunningMean(0.5), pn.Tanh()]), pn.Dense(3)]
    model = trainer(net, backend=backend)
    model.fit(x, y, epochs=2, batch_size=30, shuffle=False, verbose=False)
    mean = np.zeros(5)
    for start in (0, 30, 60, 90) * 2:
        mean = 0.75 * mean + 0.25 * x[start : start + 30].mean(axis=0)
    before = model.snapshot()["buffers"]
    assert sorted(before) == ["0.mean", "2.0.mean"]
    np.testing.assert_allclose(before["0.mean"], mean, rtol=1e-12)
    assert np.all(before["2.0.mean"] != 0)
    model.evaluate(x, y)
    model.predict(x)
    for name, array in model.snapshot()["buffers"].items():
        np.testing.assert_array_equal(array, before[name])
    model.save(tmp_path / "net")
    found = pn.load(tmp_path / "net", custom={"RunningMean": RunningMean})
    same(found, model)
    np.testing.assert_allclose(found.predict(x), model.predict(x), rtol=1e-12)
    assert found.net == model.net


def test_buffers_come_back_with_the_best_weights():
    x, y = blobs()
    model = trainer([RunningMean(), *mlp()])
    model.fit(x, y, epochs=1, verbose=False)
    kept = model.snapshot()
    model.fit(x, y, epochs=1, verbose=False)
    assert not np.array_equal(model.snapshot()["buffers"]["0.mean"], kept["buffers"]["0.mean"])
    model.restore(kept)
    np.testing.assert_array_equal(model.snapshot()["buffers"]["0.mean"], kept["buffers"]["0.mean"])
    np.testing.assert_array_equal(model.snapshot()["params"]["3.weight"], kept["params"]["3.weight"])


# Divergence and mistakes.


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "cupy"], indirect=True)
def test_divergence(backend):
    model = trainer(mlp(1), loss="mean_squared_error", optimizer=pn.SGD(lr=1e3), backend=backend, dtype="float32")
    with pytest.raises(DivergedError) as caught:
        model.fit(X, 10 * X[:, 0], epochs=50, batch_size=30, verbose=False)
    epoch = len(model.history)
    assert f"diverged in epoch {epoch} (learning rate 1000): loss is " in str(caught.value)
    assert "; a smaller learning rate" in str(caught.value)
    assert epoch < 50


def test_divergence_of_the_validation_alone():
    x, _ = blobs()
    huge = np.full_like(x, 1e308)
    model = trainer([pn.Dense(3, weight_init="constant:1e10")], loss="mean_squared_error", optimizer=pn.SGD(lr=0.0))
    with pytest.raises(DivergedError, match=r"in epoch 1 .*: val_loss is (inf|nan); a smaller"):
        model.fit(x, x[:, :3], epochs=1, validation_data=(huge, x[:, :3]), verbose=False)


MISTAKES = [
    ({"x": None}, DataError, "x: expected real numbers, got None"),
    ({"y": None}, DataError, "y: expected targets, got None; give them as the second argument"),
    ({"y": np.full(300, 7)}, DataError, "y: expected class indices 0 … 2 for 3 outputs, got 7 at row 0"),
    (
        {"y": np.zeros(299, int)},
        ShapeError,
        "y: expected one target for each of the 300 samples, got an array of shape",
    ),
    (
        {"x": X.reshape(300, 2, 2)},
        ShapeError,
        "y: expected targets of shape (300, 2) or (300, 2, 3), as the network has outputs, got shape (300,); for one "
        "target a sample add Flatten() before the first Dense",
    ),
    ({"epochs": -1}, ConfigError, "fit: epochs must be a whole number of 0 or more, got -1"),
    ({"epochs": 1.5}, ConfigError, "fit: epochs must be a whole number of 0 or more, got 1.5"),
    ({"epochs": True}, ConfigError, "fit: epochs must be a whole number of 0 or more, got True"),
    ({"batch_size": 0}, ConfigError, "fit: batch_size must be a whole number of 1 or more, got 0"),
    (
        {"sample_weight": [1.0]},
        ShapeError,
        "sample_weight: expected a weight for each of the 300 samples, got an array",
    ),
    ({"validation_fraction": 1.5}, ConfigError, "validation_fraction: expected a number above 0 and below 1, got 1.5"),
    ({"validation_data": X}, ConfigError, "fit: validation_data must be (x, y) or (x, y, sample_weight)"),
    ({"validation_data": (X,)}, ConfigError, "fit: validation_data must be (x, y) or (x, y, sample_weight)"),
    ({"validation_data": (X[:, :3], LATENT)}, ShapeError, "validation x: expected samples of shape (4,), got (3,)"),
    ({"validation_data": (X, [0] * 299)}, ShapeError, "validation y: expected one target for each of the 300 samples"),
    ({"validation_data": (X, [0] * 300, [-1] * 300)}, DataError, "validation sample_weight: expected weights of 0 or"),
]


@pytest.mark.parametrize(("change", "kind", "said"), MISTAKES, ids=[m[2][-30:] for m in MISTAKES])
def test_mistakes_in_fit(change, kind, said):
    arguments = {"x": X, "y": LATENT.argmax(1), "epochs": 1, "verbose": False, **change}
    model = trainer()
    with pytest.raises(kind) as caught:
        model.fit(arguments.pop("x"), arguments.pop("y"), **arguments)
    assert str(caught.value).startswith(said)
    assert len(model.history) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float16"}, "Trainer: dtype must be 'float32' or 'float64', got 'float16'"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, got -1"),
        ({"loss": "cross_entropie"}, "unknown loss 'cross_entropie'; did you mean"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"metrics": ["acc"]}, "unknown metric 'acc'"),
        ({"schedule": "cos"}, "unknown schedule 'cos'"),
        ({"backend": "nump"}, "unknown backend 'nump'; did you mean 'numpy'?"),
        (
            {"net": [pn.Dense(3), pn.ReLU]},
            "Sequential: layers must be a list of at least one layer, as in [Dense(10)], got (Dense(units=3, "
            "bias=True, weight_init='glorot_uniform', bia; at position 1 is <class",
        ),
        ({"net": []}, "Sequential: layers must be a list of at least one layer, as in [Dense(10)], got ()"),
    ],
)
def test_mistakes_in_the_trainer(options, said):
    with pytest.raises(ConfigError) as caught:
        trainer(**options)
    assert str(caught.value).startswith(said)


def test_a_network_without_a_row_of_outputs():
    with pytest.raises(
        ShapeError,
        match=r"^y: expected targets of shape \(300, 2\) or \(300, 2, 2\), as the network has outputs, got shape "
        r"\(300,\); for one target a sample add Flatten\(\) before the first Dense",
    ):
        trainer([pn.ReLU()]).fit(X.reshape(300, 2, 2), X[:, 0], verbose=False)


@pytest.mark.parametrize("what", ["evaluate", "predict", "save"])
def test_before_there_are_weights(what, tmp_path):
    arguments = {"evaluate": (X, X), "predict": (X,), "save": (tmp_path / "net",)}[what]
    with pytest.raises(ConfigError, match=rf"^{what}: this network has no weights yet; call fit\(\), or init"):
        getattr(trainer(), what)(*arguments)


def test_other_data_than_it_was_trained_on():
    model = trainer(mlp(3))
    model.fit(X, LATENT.argmax(1), epochs=1, verbose=False)
    for call in (lambda: model.predict(X[:, :3]), lambda: model.evaluate(X[:, :3], X[:, 0])):
        with pytest.raises(ShapeError, match=r"x: expected samples of shape \(4,\), got \(3,\)"):
            call()


def test_penalties_are_in_the_loss_of_both():
    model = trainer(l1=0.1, l2=0.3, optimizer=pn.SGD(lr=0.0))
    plain = trainer(optimizer=pn.SGD(lr=0.0))
    y = LATENT.argmax(1)
    rows = [m.fit(X, y, epochs=1, validation_data=(X, y), verbose=False)[0] for m in (model, plain)]
    near(model, plain)
    weights = [a for name, a in model.params.items() if name.endswith("weight")]
    more = 0.1 * sum(np.abs(w).sum() for w in weights) + 0.15 * sum((w**2).sum() for w in weights)
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"] + more)
    assert rows[0]["val_loss"] == pytest.approx(rows[1]["val_loss"] + more)
