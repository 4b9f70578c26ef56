"""Several steps in one call of the backend: the same training as step by step, whatever is left over."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.data.batching.batches import Batches, IndexBlock
from portanet.random import generator
from portanet.training.loop import TOGETHER
from tests.backends.at_hand import require


class Watching(pn.Callback):
    """Wants to be called behind every batch, so that none are joined."""

    def __init__(self):
        self.batches = []

    def on_batch_end(self, trainer, batch, batches):
        self.batches.append(batch)


def train(*, watched, samples=10 * TOGETHER + 7, batch_size=3, weighted=False, shuffle=True, **options):
    rng = generator(0, "together")
    x = rng.normal(size=(samples, 5))
    y = (x[:, 0] * x[:, 1] > 0).astype("int64")
    net = [pn.Dense(8, bias=False), pn.BatchNorm(), pn.Tanh(), pn.Dropout(0.2), pn.Dense(2)]
    optimizer = pn.AdamW(lr=0.01)
    settings = {"metrics": ["accuracy"], "schedule": "cosine", "dtype": "float64", "seed": 3, **options}
    trainer = pn.Trainer(net, "softmax_cross_entropy", optimizer, backend=require("jax"), **settings)
    watch = Watching()
    weight = rng.random(samples) if weighted else None
    trainer.fit(
        *(x, y),
        epochs=3,
        batch_size=batch_size,
        sample_weight=weight,
        shuffle=shuffle,
        callbacks=[watch] if watched else [],
        verbose=False,
    )
    return trainer, watch


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("samples", "batch_size", "shuffle"), [(167, 3, True), (167, 3, False), (20, 16, True)])
def test_the_same_training(samples, batch_size, weighted, shuffle):
    options = {"samples": samples, "batch_size": batch_size, "weighted": weighted, "shuffle": shuffle}
    one, watch = train(watched=True, **options)
    many, _ = train(watched=False, **options)
    steps = -(-samples // batch_size)
    assert watch.batches == 3 * list(range(1, steps + 1))
    for part in ("params", "buffers"):
        for name, expected in one.snapshot()[part].items():
            np.testing.assert_allclose(many.snapshot()[part][name], expected, rtol=1e-9, atol=1e-11)
    for column in ("loss", "accuracy", "lr"):
        np.testing.assert_allclose(many.history[column], one.history[column], rtol=1e-9)


def test_numpy_is_the_reference():
    many, _ = train(watched=False)
    rng = generator(0, "together")
    x = rng.normal(size=(10 * TOGETHER + 7, 5))
    host = pn.Trainer(
        many.net, many.loss, many.optimizer, ["accuracy"], backend="numpy", schedule="cosine", dtype="float64", seed=3
    )
    host.fit(x, (x[:, 0] * x[:, 1] > 0).astype("int64"), epochs=3, batch_size=3, verbose=False)
    for name, expected in host.snapshot()["params"].items():
        np.testing.assert_allclose(many.snapshot()["params"][name], expected, rtol=1e-8, atol=1e-10)


def test_rows_that_are_joined():
    backend = require("numpy")
    x = np.arange(50.0)[:, None]
    batches = Batches(backend, x, np.arange(50), None, 4)
    parts = list(batches.epoch(0, 0, together=5))
    assert [isinstance(part, IndexBlock) for part in parts] == [True, True, False, False, False]
    assert parts[0].index.shape == (5, 4)
    assert parts[0].sizes == [4.0] * 5
    assert [part.size for part in parts[2:]] == [4, 4, 2]
    order = [i for part in parts for i in (part.index.ravel() if isinstance(part, IndexBlock) else part.y)]
    assert order == [i for batch in batches.epoch(0, 0) for i in batch.y]
    ordered = list(batches.epoch(0, 0, shuffle=False, together=5))
    assert [isinstance(part, IndexBlock) for part in ordered] == [True, True, False, False, False]
    assert [i for part in ordered for i in (part.index.ravel() if isinstance(part, IndexBlock) else part.y)] == list(
        range(50)
    )


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_full_batch_is_not_gathered(shuffle):
    x = np.arange(50.0)[:, None]
    batches = Batches(require("numpy"), x, np.arange(50), None, 50)
    (batch,) = batches.epoch(0, 0, shuffle=shuffle, together=5)
    assert batch.x is batches.x
    assert batch.y is batches.y


def test_a_stop_is_heard_between_the_calls():
    class Stop(pn.Callback):
        every_batch = False

        def on_batch_end(self, trainer, batch, batches):
            self.last = batch
            trainer.stop("enough")

    stop = Stop()
    trainer = pn.Trainer([pn.Dense(2)], backend=require("jax"))
    x = generator(0, "stop").normal(size=(100, 3))
    trainer.fit(x, np.arange(100) % 2, epochs=5, batch_size=2, callbacks=[stop], verbose=False)
    assert stop.last == TOGETHER
    assert trainer.history.stopped == "enough"
