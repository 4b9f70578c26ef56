"""What training does with weights, and that it is the same wherever the data lie and in whatever form they come."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.backends import Memory
from portanet.training.fit_inputs import in_batches
from tests.small import blobs, mlp, near, same, trainer


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
def test_weight_two_is_twice_the_sample(loss):
    x, y = blobs()
    y = y if loss.startswith("softmax") else x[:, :3] ** 2
    times = np.random.default_rng(0).integers(0, 4, 120)
    weighted, repeated = trainer(loss=loss), trainer(loss=loss)
    a = weighted.fit(x, y, epochs=5, batch_size=None, sample_weight=times, verbose=False)
    b = repeated.fit(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0), epochs=5, batch_size=None, verbose=False)
    near(weighted, repeated)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-12)


@pytest.mark.parametrize(
    ("class_weight", "each"),
    [([1, 3, 0.5], [1, 3, 0.5]), ({1: 3.0, 2: 0.5}, [1, 3, 0.5]), ("balanced", [120 / 60 / 3, 120 / 40 / 3, 2])],
)
def test_class_weights_are_sample_weights(class_weight, each):
    x, _ = blobs()
    y = np.repeat([0, 1, 2], [60, 40, 20])
    own = np.random.default_rng(0).random(120)
    by_class, by_sample = trainer(class_weight=class_weight), trainer()
    by_class.fit(x, y, epochs=2, sample_weight=own, verbose=False)
    by_sample.fit(x, y, epochs=2, sample_weight=own * np.asarray(each)[y], verbose=False)
    near(by_class, by_sample)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"], indirect=True)
def test_a_batch_that_weighs_nothing_moves_nothing(backend):
    x, y = blobs(n=60)
    weight = np.repeat([0.0, 1.0], 30)
    model = trainer(optimizer="sgd", metrics=["accuracy"], backend=backend)
    first = []

    class First(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            first.append((trainer.snapshot()["params"]["0.weight"], trainer.meter.result()))

    model.init((5,))
    before = model.snapshot()["params"]["0.weight"]
    model.fit(x, y, epochs=1, batch_size=30, sample_weight=weight, shuffle=False, callbacks=[First()], verbose=False)
    np.testing.assert_array_equal(first[0][0], before)
    assert first[0][1] == {"loss": 0.0, "accuracy": 0.0}
    assert not np.array_equal(first[1][0], before)


# Where the data lie.


@pytest.mark.parametrize("backend", ["numpy", "strict:device1", "torch", "jax"], indirect=True)
def test_bytes_stay_bytes_until_the_batch(backend):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 4, 4), dtype="uint8"), rng.integers(0, 3, 50)
    net = [pn.Rescale(1 / 255), pn.Flatten(), *mlp()]
    models = [trainer(net, backend=backend) for _ in range(2)]
    train, _ = in_batches(models[0], x, y, None, None, 0.0, 20)
    with backend.activate("float64"):
        assert backend.to_numpy(next(train.epoch(0, 0)).x).dtype == np.uint8
    for model, data in zip(models, (x, x.astype("float64")), strict=True):
        model.fit(data, y, epochs=2, batch_size=20, verbose=False)
    same(*models)
    np.testing.assert_array_equal(models[0].predict(x), models[1].predict(x.astype("float64")))


@pytest.mark.parametrize("backend", ["strict", "strict:device1", "torch", "jax", "cupy"], indirect=True)
def test_data_on_the_device(backend):
    x, y = blobs()
    host, there = (trainer(backend=backend, metrics=["accuracy"]) for _ in range(2))
    with backend.activate("float64"):
        data = backend.asarray(x, "float64"), backend.asarray(y, "int32")
    for model, (a, b) in ((host, (x, y)), (there, data)):
        model.fit(a, b, epochs=2, batch_size=50, validation_fraction=0.25, verbose=False)
    same(host, there)
    assert host.history["val_loss"] == there.history["val_loss"]
    np.testing.assert_array_equal(there.predict(data[0]), host.predict(x))
    assert there.evaluate(*data) == host.evaluate(x, y)
    kept = there.predict(data[0], to_numpy=False)
    assert type(kept) is type(data[0])
    np.testing.assert_array_equal(backend.to_numpy(kept), host.predict(x))


@pytest.mark.parametrize("backend", ["numpy", "strict:device1", "torch", "jax", "cupy"], indirect=True)
def test_streamed_is_the_same_bit_for_bit(backend, monkeypatch):
    x, y = blobs()
    weight = np.random.default_rng(0).random(120)
    models = []
    monkeypatch.setattr("portanet.data.batching.batches.SMALL", 0)
    for memory in (Memory(2**40, 2**40), Memory(0, 0)):
        monkeypatch.setattr(type(backend), "memory", lambda self, memory=memory: memory)
        model = trainer(mlp(dropout=0.3), backend=backend)
        model.fit(x, y, epochs=2, batch_size=50, sample_weight=weight, validation_data=(x, y), verbose=False)
        models.append(model)
    same(*models)
    assert models[0].history["val_loss"] == models[1].history["val_loss"]


def test_a_data_set():
    x, y = blobs()
    data = pn.data.Dataset("blobs", x, y, classes=("a", "b", "c"))
    models = [trainer(), trainer()]
    models[0].fit(data, epochs=1, verbose=False)
    models[1].fit(x, y, epochs=1, verbose=False)
    same(*models)
    assert models[0].evaluate(data) == models[1].evaluate(x, y)


def test_rows_beyond_a_chunk():
    # Evaluation and prediction go by chunks; what comes out must not depend on where they end.
    x, y = blobs(n=2048 + 700)
    model = trainer(metrics=["accuracy", "mae", "f1_score"])
    model.fit(x, y, epochs=1, verbose=False)
    assert model.predict(x).shape == (2748, 3)
    np.testing.assert_allclose(model.predict(x)[2000:2100], model.predict(x[2000:2100]), rtol=1e-12)
    probability = model.predict(x)
    found = model.evaluate(x, y)
    assert found["loss"] == pytest.approx(-np.log(probability[np.arange(2748), y]).mean())
    assert found["accuracy"] == pytest.approx((probability.argmax(1) == y).mean())
    assert found["mae"] == pytest.approx(np.abs(probability - np.eye(3)[y]).mean())
