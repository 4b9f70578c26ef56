"""Networks with weights that nobody trained, for the tests of what is exported."""

from __future__ import annotations

import numpy as np

import portanet as pn
from tests.small import trainer


def shaken(model, seed=0):
    """Return the trainer with every array moved at random: no bias is 0, no variance 1."""
    rng = np.random.default_rng(seed)
    parts = model.snapshot()
    model.restore(
        {part: {n: a + rng.uniform(0.05, 0.4, a.shape) for n, a in own.items()} for part, own in parts.items()}
    )
    return model


def around(case, **options):
    """Return a trainer whose network ends in the layer of a case, brought to one axis, and samples for it."""
    ends = [pn.Flatten()] if len(case.layer.init(np.random.default_rng(0), case.shape)[1]) > 1 else []
    model = trainer([case.layer, *ends], loss="mean_squared_error", dtype="float32", **options)
    model.init(case.shape)
    return shaken(model), case.samples(np.random.default_rng(1), 6).astype("float32")


def cnn(loss="softmax_cross_entropy", **options):
    """Return a trainer with a small convolutional network, and images (5, 9, 8, 3) for it."""
    net = [
        pn.Rescale(0.02, -1.0),
        pn.Conv2D(6, 3, padding="same", stride=2, groups=3),
        pn.BatchNorm(),
        pn.ReLU(),
        pn.MaxPool2D(2, 1, 1),
        pn.Sequential([pn.Conv2D(4, (2, 3), dilation=(2, 1), bias=False), pn.GELU()]),
        pn.Dropout(0.3),
        pn.Flatten(),
        pn.LayerNorm(),
        pn.Dense(7),
        pn.Residual([pn.Dense(7), pn.Swish(), pn.Dropout(0.1), pn.Dense(7, bias=False)]),
        pn.Dense(4),
    ]
    options = {"classes": ["oak", "elm", "ash", "yew"], "dtype": "float32", **options}
    model = trainer(net, loss=loss, **options)
    model.init((9, 8, 3))
    return shaken(model), np.random.default_rng(2).integers(0, 100, (5, 9, 8, 3)).astype("uint8")


LOSSES = [
    ("softmax_cross_entropy", 4, "probabilities"),
    ("binary_cross_entropy", 1, "probabilities"),
    ("binary_cross_entropy", 3, "probabilities"),
    ("poisson", 2, "rates"),
    ("huber", 2, "values"),
]
"""Losses, numbers of outputs, and what comes out."""


def rows(loss, outputs, **options):
    """Return a trainer on rows of 5 features, and some of them."""
    model = trainer([pn.Dense(6), pn.Tanh(), pn.Dense(outputs)], loss=loss, **options)
    model.init((5,))
    return shaken(model), np.random.default_rng(3).normal(size=(7, 5))
