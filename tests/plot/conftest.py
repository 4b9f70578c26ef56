"""Images, points and a network that makes mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet import data


def pictures_of(count=90, seed=0):
    """Return images (n, 8, 8) in uint8 of three classes, told apart by where they are bright, with much noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.uniform(0, 160, (count, 8, 8))
    for i, label in enumerate(y):
        x[i, :, 2 * label : 2 * label + 3] += 25
    return x.astype(np.uint8), y


@pytest.fixture(scope="module")
def digits():
    x, y = pictures_of()
    x_test, y_test = pictures_of(seed=1)
    return data.Dataset("blocks", x, y, x_test, y_test, classes=("left", "middle", "right"), scale=255.0)


@pytest.fixture(scope="module")
def reader(digits):
    """Return a network trained on rows of pixels: too little to be without mistakes."""
    trainer = pn.Trainer(
        [pn.Rescale(1 / 255), pn.Dense(3)],
        optimizer=pn.Adam(lr=0.01),
        metrics=["accuracy"],
        backend="numpy",
        classes=digits.classes,
    )
    trainer.fit(digits.x.reshape(-1, 64), digits.y, epochs=5, batch_size=10, verbose=False)
    return trainer


@pytest.fixture(scope="module")
def points():
    return data.moons(300, seed=3)
