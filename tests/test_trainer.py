"""Training: steps worked out by hand, order and seeds, and validation."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.data.batching.batches import Batches
from portanet.training.fit_inputs import in_batches
from tests.small import Recorder, blobs, mlp, same, trainer


def by_hand(weights, x, y, order, batch_size, lr):
    """Train tanh(x V + c) w + b on ½ Σ (ŷ - t)², number by number; return the weights and the batches' losses."""
    v, c, w, b = (np.asarray(a).tolist() for a in weights)
    units = range(len(c))
    losses = []
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        dv, dc, dw, db, loss = [[0.0] * len(c) for _ in v], [0.0] * len(c), [0.0] * len(c), 0.0, 0.0
        for i in rows:
            h = [math.tanh(sum(x[i][k] * v[k][j] for k in range(len(v))) + c[j]) for j in units]
            error = sum(h[j] * w[j][0] for j in units) + b[0] - y[i]
            loss += error**2 / 2
            db += error
            for j in units:
                dw[j] += error * h[j]
                inner = error * w[j][0] * (1 - h[j] ** 2)
                dc[j] += inner
                for k in range(len(v)):
                    dv[k][j] += inner * x[i][k]
        losses.append(loss / len(rows))
        rate = lr / len(rows)
        v = [[v[k][j] - rate * dv[k][j] for j in units] for k in range(len(v))]
        c = [c[j] - rate * dc[j] for j in units]
        w = [[w[j][0] - rate * dw[j]] for j in units]
        b = [b[0] - rate * db]
    return [v, c, w, b], losses


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, None, 50])
def test_steps_by_hand(batch_size, shuffle):
    x, _ = blobs(n=7, features=2)
    y = x[:, 0] * x[:, 1]
    model = trainer([pn.Dense(3), pn.Tanh(), pn.Dense(1)], loss="sum_squared_error", optimizer=pn.SGD(lr=0.3), seed=4)
    model.init((2,))
    weights = list(model.snapshot()["params"].values())
    history = model.fit(x, y, epochs=2, batch_size=batch_size, shuffle=shuffle, verbose=False)
    size = batch_size or 7
    sizes = [min(size, 7 - start) for start in range(0, 7, size)]
    for epoch in range(2):
        rows = Batches(model.backend, x, np.arange(7), None, 1 if size < 7 else 7)
        order = [int(i) for batch in rows.epoch(4, epoch, shuffle=shuffle) for i in batch.y]
        weights, losses = by_hand(weights, x, y, order, size, 0.3)
        assert history[epoch]["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)
    for got, expected in zip(model.snapshot()["params"].values(), weights, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11)


def run(**options):
    x, y = blobs()
    fit = {key: options.pop(key) for key in ("shuffle", "batch_size", "validation_fraction") if key in options}
    model = trainer(mlp(dropout=0.3), **options)
    model.fit(x, y, epochs=2, verbose=False, **{"batch_size": 32, **fit})
    return model


def differ(a, b):
    first, second = (m.snapshot()["params"] for m in (a, b))
    return not any(np.array_equal(first[name], second[name]) for name in first if name.endswith("weight"))


def test_the_seed_names_all_random_numbers():
    same(run(seed=3), run(seed=3))
    assert differ(run(seed=3), run(seed=4))
    same(run(shuffle=False), run(shuffle=False))
    assert differ(run(shuffle=False), run(shuffle=True))
    init = [trainer(seed=seed) for seed in (0, 1)]
    for model in init:
        model.init((5,))
    assert differ(*init)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "cupy"], indirect=True)
def test_two_fits_are_one(backend):
    x, y = blobs()
    models = [trainer(mlp(dropout=0.3), optimizer="adam", backend=backend, dtype="float32") for _ in range(2)]
    models[0].fit(x, y, epochs=4, batch_size=50, verbose=False)
    for _ in range(2):
        models[1].fit(x, y, epochs=2, batch_size=50, verbose=False)
    same(*models)
    assert models[0].history["loss"] == models[1].history["loss"]
    assert models[1].history["epoch"] == [1, 2, 3, 4]


def test_each_epoch_and_step_has_its_own_masks():
    # Nothing moves and the order is kept: what still differs between two losses are the masks.
    x, y = blobs()
    model = trainer(mlp(dropout=0.3), optimizer=pn.SGD(lr=0.0))
    twice = np.concatenate([x, x]), np.concatenate([y, y])
    seen: list[float] = []

    class Seen(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            seen.append(trainer.meter.result()["loss"] * batch - sum(seen[len(seen) - batch + 1 :]))

    model.fit(*twice, epochs=2, batch_size=120, shuffle=False, callbacks=[Seen()], verbose=False)
    assert len({round(loss, 9) for loss in seen}) == 4


def test_evaluating_in_between_changes_nothing():
    x, y = blobs()
    plain, watched = trainer(mlp(dropout=0.3)), trainer(mlp(dropout=0.3))
    plain.fit(x, y, epochs=2, verbose=False)
    for _ in range(2):
        watched.fit(x, y, epochs=1, validation_data=(x, y), verbose=False)
        watched.predict(x)
        watched.evaluate(x, y)
    same(plain, watched)


def test_init_begins_anew():
    x, y = blobs()
    model, other = trainer(), trainer()
    model.fit(x, y, epochs=2, verbose=False)
    model.init((5,))
    assert (model.epoch, len(model.history)) == (0, 0)
    for each in (model, other):
        each.fit(x, y, epochs=2, verbose=False)
    same(model, other)


def test_no_epochs():
    x, y = blobs()
    model = trainer()
    recorder = Recorder()
    history = model.fit(x, y, epochs=0, callbacks=[recorder], verbose=False)
    assert (len(history), history.stopped, recorder.calls) == (0, "epochs", [("begin", 0, 0), ("end", 0)])
    assert model.predict(x).shape == (120, 3)


def test_the_loss_of_an_epoch_is_that_of_its_samples():
    # With a rate of 0 nothing moves, so the mean over batches of unequal sizes must be that over all samples.
    x, y = blobs(n=100)
    weight = np.random.default_rng(0).random(100)
    model = trainer(optimizer=pn.SGD(lr=0.0), metrics=["accuracy", "top_2"], l2=0.1)
    row = model.fit(x, y, epochs=1, batch_size=33, sample_weight=weight, verbose=False)[-1]
    found = model.evaluate(x, y, sample_weight=weight)
    assert found == pytest.approx({name: row[name] for name in found}, rel=1e-12)


# Validation.


def test_validation_fraction_is_taken_off_by_class():
    x, _ = blobs(n=200)
    y = np.repeat([0, 1, 2], [150, 40, 10])
    model = trainer(metrics=["accuracy"])
    train, validation = in_batches(model, x, y, None, None, 0.2, 10)
    assert np.bincount(validation.y).tolist() == [30, 8, 2]
    assert np.bincount(train.y).tolist() == [120, 32, 8]
    taken = np.concatenate([train.x, validation.x])
    assert sorted(taken[:, 0]) == sorted(x[:, 0])  # each sample on one side
    row = model.fit(x, y, epochs=1, validation_fraction=0.2, verbose=False)[-1]
    found = model.evaluate(validation.x, validation.y)
    assert (row["val_loss"], row["val_accuracy"]) == pytest.approx((found["loss"], found["accuracy"]))


def test_validation_fraction_takes_the_weights_along():
    x, y = blobs()
    weight = np.arange(120.0)
    train, validation = in_batches(trainer(), x, y, weight, None, 0.25, 10)
    for part in (train, validation):
        row = {tuple(sample): w for sample, w in zip(x, weight, strict=True)}
        assert part.host_weight.tolist() == [row[tuple(sample)] for sample in part.x]


@pytest.mark.parametrize("weight", [None, np.linspace(0, 1, 120)])
def test_validation_data(weight):
    x, y = blobs()
    xv, yv = blobs(seed=1)
    model = trainer(metrics=["accuracy"], class_weight=[1, 2, 3], l1=0.01)
    data = (xv, yv) if weight is None else (xv, yv, weight)
    row = model.fit(x, y, epochs=2, validation_data=data, verbose=False)[-1]
    found = model.evaluate(xv, yv, sample_weight=weight)  # without the classes' weights, which are for training
    assert {name: row[f"val_{name}"] for name in found} == found
