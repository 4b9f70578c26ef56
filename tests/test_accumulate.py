"""Gradient accumulation: steps of several batches, a batch at a time."""

from __future__ import annotations

import pytest

import portanet as pn
from tests.small import blobs, mlp, near, trainer

X, Y = blobs(110)


class Watched(pn.Layer):
    """Notes how many samples come."""

    by_sample = True
    seen: list[int] = []  # noqa: RUF012  # of all, which a test empties

    def forward(self, params, x, *, train=False, key=None):
        if train:
            self.seen.append(x.shape[0])
        return x, None

    def backward(self, params, dy, cache, *, need_dx=True):
        return dy, {}


@pytest.mark.parametrize("weight", [None, X[:, 0] ** 2])
def test_the_steps_are_those_of_larger_batches(weight):
    Watched.seen.clear()
    ours, other = trainer([Watched(), *mlp(dropout=0.3)]), trainer([Watched(), *mlp(dropout=0.3)])
    options = {"epochs": 3, "sample_weight": weight, "verbose": False}
    ours.fit(X, Y, batch_size=8, accumulate=4, **options)
    assert set(Watched.seen) == {8, 6}  # 110 = 3 · 32 + 8 + 6
    assert len(Watched.seen) == 3 * 14
    other.fit(X, Y, batch_size=32, **options)
    near(ours, other)
    assert int(ours.opt_state["t"]) == 3 * 4
    assert ours.history["loss"] == pytest.approx(other.history["loss"], rel=1e-12)
    Watched.seen.clear()
    ours.fit(X, Y, batch_size=32, epochs=1, verbose=False)  # what was asked of one fit is not kept for the next
    assert set(Watched.seen) == {32, 14}


def test_a_first_fit_to_a_table():
    """The layer that the table puts in front of the network stays there after the fit."""
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = {"number": X[:, 0], "kind": ["a" if x > 0 else "b" for x in X[:, 1]]}
    ours, other = trainer([pn.Dense(3)]), trainer([pn.Dense(3)])
    ours.fit(pandas.DataFrame(frame), Y, epochs=2, batch_size=8, accumulate=4, verbose=False)
    other.fit(pandas.DataFrame(frame), Y, epochs=2, batch_size=32, verbose=False)
    assert ours.net == other.net
    near(ours, other)
    assert ours.predict(pandas.DataFrame(frame)).shape == (110, 3)


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (mlp(), {"accumulate": 0}, "fit: accumulate must be a whole number of 1 or more, got 0"),
        (mlp(), {"accumulate": 2.0}, "fit: accumulate must be a whole number of 1 or more, got 2.0"),
        (mlp(), {"accumulate": 2, "batch_size": None}, "fit: accumulate=2 needs a whole number as batch_size"),
        ([pn.BatchNorm(), *mlp()], {"accumulate": 2}, "fit: accumulate=2 needs a network without BatchNorm; GroupNorm"),
    ],
)
def test_what_cannot_be_accumulated(net, options, message):
    model = trainer(net)
    with pytest.raises(pn.ConfigError, match=message):
        model.fit(X, Y, epochs=1, verbose=False, **options)


def test_a_fleet_says_why_it_does_not_accumulate():
    with pytest.raises(pn.ConfigError, match=r"is for a single network.*take Fleet\(group=...\)"):
        pn.Fleet(mlp(), 2, backend="numpy").fit(X, Y, epochs=1, accumulate=2)
