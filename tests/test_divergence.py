"""Trainings that diverge: what is told, where the trainer stands then, and going on with a lower rate."""

from __future__ import annotations

import re

import numpy as np
import pytest

import portanet as pn
from tests.small import Recorder, same, trainer

X = np.random.default_rng(0).normal(size=(40, 2))
Y = np.full(40, 5.0)


def regression(lr, **options):
    options = {"loss": "mean_squared_error", "optimizer": pn.SGD(lr=lr, momentum=0.5), **options}
    return trainer([pn.Dense(3), pn.ReLU(), pn.Dense(1)], **options)


def fit(model, epochs=4, **options):
    return model.fit(X, Y, epochs=epochs, batch_size=5, verbose=False, **options)


def test_weights_that_overflow_in_the_last_step_are_told():
    model = trainer([pn.Dense(1)], loss="mean_squared_error", optimizer=pn.SGD(lr=1e300))
    words = r"training diverged in epoch 1 .*: there are weights that are not finite; the first .*: weight of Dense 0;"
    with pytest.raises(pn.DivergedError, match=words):
        model.fit(np.full((4, 2), 1e10), np.zeros(4), epochs=1, batch_size=None, verbose=False)
    assert model.history.stopped == "diverged"


def test_a_divergence_tells_step_and_layer(backend):
    x = np.ones((40, 2))
    model = trainer([pn.Dense(3), pn.Dense(1)], loss="mean_squared_error", optimizer=pn.SGD(lr=1e4), backend=backend)
    losses = []

    class Losses(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            losses.append(trainer.meter.state()["columns"][0][-1])

    with pytest.raises(pn.DivergedError) as caught:
        model.fit(x, 5 * np.ones(40), epochs=1, batch_size=1, callbacks=[Losses()], verbose=False)
    first = next(i for i, loss in enumerate(losses) if not np.isfinite(loss))
    assert f"first in step {first + 1} of the epoch, after {losses[first - 1]:.4g}" in str(caught.value)
    assert re.search("the first weights that are not finite: (weight|bias) of Dense 0;", str(caught.value))


def test_a_long_epoch_is_looked_into(monkeypatch):
    monkeypatch.setattr("portanet.training.fit.LOOK", 0.0)
    model = trainer([pn.Dense(3), pn.Dense(1)], loss="mean_squared_error", optimizer=pn.SGD(lr=1e4))
    with pytest.raises(pn.DivergedError, match="first in step"):
        model.fit(np.ones((4000, 2)), 5 * np.ones(4000), epochs=1, batch_size=1, verbose=False)
    assert model.position < 20


@pytest.mark.parametrize("looks", [0.0, 10.0])
def test_the_trainer_is_back_at_the_last_good_weights(backend, looks, monkeypatch):
    monkeypatch.setattr("portanet.training.fit.KEEP", looks)
    rises = pn.schedules.StepDecay(every=3, gamma=1e9)  # three quiet epochs, then far too fast
    model = regression(0.001, schedule=rises, backend=backend)
    seen = Recorder()
    with pytest.raises(pn.DivergedError, match="diverged in epoch 4"):
        fit(model, epochs=6, callbacks=[seen])
    assert (model.epoch, model.position, model.history.stopped) == (3, 0, "diverged")
    for name, p in model.snapshot()["params"].items():
        np.testing.assert_array_equal(p, seen.weights[2]["params"][name])
    model.schedule = pn.schedules.Constant()
    assert np.isfinite(fit(model)["loss"][-1])  # and goes on from there


def test_an_order_of_ones_own_is_not_drawn_again():
    drawn = []

    def order(n):
        drawn.append(n)
        return np.arange(n)

    model = regression(1e4)
    with pytest.raises(pn.DivergedError):
        fit(model, shuffle=order)
    assert drawn == [40]
    assert model.finite()


def test_it_goes_on_with_a_lower_rate(backend, caplog):
    model = regression(3.0, backend=backend)
    history = fit(model, on_divergence="lower_lr")
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["lr"][-1] == 3.0 * model.rate_factor < 3.0
    assert history["loss"][-1] < 1.0
    assert model.rate_factor == 0.5 ** len(caplog.records)
    assert "continuing with the learning rate scaled by 0.5 (attempt 1 of 10)" in caplog.records[0].getMessage()
    assert caplog.records[0].getMessage().startswith("training diverged in epoch 1 (learning rate 3)")


def test_it_ends_after_so_many_times():
    lower = pn.LowerRate(factor=0.9, times=3)
    model = regression(1e6)
    with pytest.raises(pn.DivergedError, match="first in step"):
        fit(model, callbacks=[lower])
    assert lower.lowered == 3
    assert model.rate_factor == pytest.approx(0.9**3)
    assert model.finite()


class Stops(pn.Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch, batch) == self.at:
            trainer.stop("here")


@pytest.mark.parametrize("at", [(0, 2), (0, 8), (1, 1), (1, 3), (3, 4)])
def test_what_is_resumed_lowers_the_rate_as_what_was_not_stopped(backend, at, tmp_path):
    whole = regression(3.0, backend=backend)
    fit(whole, on_divergence="lower_lr")
    assert whole.rate_factor < 1.0
    saved = tmp_path / "training"
    stopped = regression(3.0, backend=backend)
    fit(stopped, on_divergence="lower_lr", callbacks=[Stops(*at), pn.TrainingCheckpoint(saved)])
    resumed = regression(3.0, backend=backend)
    left = resumed.resume(saved)
    fit(resumed, left, on_divergence="lower_lr", callbacks=[pn.TrainingCheckpoint(saved)])
    same(whole, resumed)
    assert resumed.rate_factor == whole.rate_factor
    assert resumed.history["loss"] == whole.history["loss"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit(regression(0.1), on_divergence="skip"), "unknown on_divergence 'skip'"),
        (lambda: pn.LowerRate(factor=1.0), "LowerRate: factor must be above 0 and below 1, got 1.0"),
        (lambda: pn.LowerRate(factor=float("nan")), "LowerRate: factor must be a finite number"),
        (lambda: pn.LowerRate(times=0), "LowerRate: times must be a whole number of 1 or more, got 0"),
    ],
)
def test_what_cannot_be(call, says):
    with pytest.raises(pn.ConfigError, match=re.escape(says)):
        call()
