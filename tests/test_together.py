"""Several steps in one call of the backend: the same training as step by step, whatever is left over."""

from __future__ import annotations

import subprocess
import sys

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
    for shuffle in (True, False):
        parts = list(batches.epoch(0, 0, shuffle=shuffle, together=5))
        assert [(type(part), part.index.shape) for part in parts] == [
            (IndexBlock, shape) for shape in ((5, 4), (5, 4), (2, 4), (1, 2))
        ]
        assert [part.sizes for part in parts] == [[4.0] * 5, [4.0] * 5, [4.0] * 2, [2.0]]
        order = [i for part in parts for i in part.index.ravel()]
        assert order == [i for batch in batches.epoch(0, 0, shuffle=shuffle) for i in batch.y]
    assert order == list(range(50))


@pytest.mark.parametrize(
    ("skip", "shapes"), [(5, [(5, 4), (2, 4), (1, 2)]), (7, [(3, 4), (2, 4), (1, 2)]), (12, [(1, 2)])]
)
def test_blocks_of_an_epoch_that_is_entered_later(skip, shapes):
    """They end where they would: what was compiled for the first epochs is used again."""
    batches = Batches(require("numpy"), np.arange(50.0)[:, None], np.arange(50), None, 4)
    parts = list(batches.epoch(0, 0, together=5, skip=skip))
    assert [part.index.shape for part in parts] == shapes
    assert [i for part in parts for i in part.index.ravel()] == [i for b in batches.epoch(0, 0, skip=skip) for i in b.y]


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


PROGRAMS = """
import logging, sys
import jax
jax.config.update("jax_log_compiles", True)
found = []
noted = logging.Handler()
noted.emit = lambda record: found.append(record.getMessage())
logging.getLogger("jax").addHandler(noted)
logging.getLogger("jax").propagate = False
from portanet.cli.main import run
epochs, place, *options = sys.argv[1:]
sys.argv = ["portanet", "train", "digits", "--backend", "jax", "--layers", "20", "--epochs", epochs, "--out", place]
sys.argv += options
try:
    run()
finally:
    print(sum(line.startswith("Compiling ") for line in found))
"""


@pytest.mark.parametrize(
    ("epochs", "options", "most"),
    [(1, ["--quiet"], 5), (3, ["--optimizer", "adam", "--l2", "0.01", "--val-fraction", "0.1"], 7)],
)
def test_a_training_compiles_few_programs(epochs, options, most, tmp_path):
    """The probe's product, a block of whole batches, the last batch, the check for NaN, and an evaluation."""
    require("jax")
    words = [sys.executable, "-c", PROGRAMS, str(epochs), str(tmp_path / "run"), *options]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 1 <= int(done.stdout.splitlines()[-1]) <= most
