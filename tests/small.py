"""Small data and small networks that the tests of training share."""

from __future__ import annotations

import numpy as np

import portanet as pn


def blobs(n=120, features=5, classes=3, seed=0):
    """Return samples in float64 and class indices, a blob a class that overlaps the others a little."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return rng.normal(size=(n, features)) + 1.5 * np.eye(classes, features)[y], y


def mlp(classes=3, dropout=0.0):
    """Return the layers of a small network."""
    drop = [pn.Dropout(dropout)] if dropout else []
    return [pn.Dense(8), pn.Tanh(), *drop, pn.Dense(classes)]


def trainer(net=None, **options):
    """Return a trainer in float64 on NumPy, unless told otherwise."""
    options = {"optimizer": pn.SGD(lr=0.1, momentum=0.9), "backend": "numpy", "dtype": "float64", **options}
    return pn.Trainer(mlp() if net is None else net, **options)


def same(a, b):
    """Assert that two trainers hold the same weights and buffers, bit for bit."""
    for part, own in a.snapshot().items():
        other = b.snapshot()[part]
        assert own.keys() == other.keys()
        for name, array in own.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


def near(a, b, rtol=1e-9, atol=1e-12):
    """Assert that two trainers hold the same weights but for rounding."""
    for name, array in a.snapshot()["params"].items():
        np.testing.assert_allclose(array, b.snapshot()["params"][name], rtol=rtol, atol=atol, err_msg=name)


class Recorder(pn.Callback):
    """Keeps every call, and the weights behind each epoch."""

    def __init__(self):
        self.calls, self.weights = [], []

    def on_fit_begin(self, trainer, end):
        self.calls.append(("begin", trainer.epoch, end))

    def on_batch_end(self, trainer, batch, batches):
        self.calls.append(("batch", batch, batches))

    def on_epoch_end(self, trainer, row):
        self.calls.append(("epoch", trainer.epoch, row["epoch"]))
        self.weights.append(trainer.snapshot())

    def on_fit_end(self, trainer):
        self.calls.append(("end", trainer.epoch))


class Scripted(pn.Schedule):
    """Says through the learning rate how good an epoch was: the column "lr" is what callbacks can then monitor."""

    def __init__(self, values):
        self.values = values

    def factor(self, epoch, epochs):
        return self.values[int(epoch)]
