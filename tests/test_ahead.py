"""Epochs that run ahead of their rows: the same history, weights and words as where each row is read at once."""

from __future__ import annotations

import re

import numpy as np
import pytest

import portanet as pn
from portanet.engine.meter import Meter
from portanet.training import ahead
from tests.small import blobs, same, trainer

X, Y = blobs(40)


class Looks(pn.Callback):
    """Sees each row as it comes, so that none may wait."""

    def on_epoch_end(self, trainer, row):
        assert np.isfinite(row["loss"])


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch):
    """However slow the machine is, epochs count as short ones, and weights are kept at the begin alone."""
    monkeypatch.setattr(ahead, "SPAN", 1e9)
    monkeypatch.setattr("portanet.training.loop.KEEP", 1e9)


@pytest.fixture
def held(monkeypatch):
    """The number of rows that were read at a time."""
    counts, read = [], ahead.Ahead._read

    def counted(self):
        counts.append(len(self._held))
        return read(self)

    monkeypatch.setattr(ahead.Ahead, "_read", counted)
    return counts


def fit(model, epochs=12, batch_size=None, **options):
    return model.fit(X, Y, epochs=epochs, batch_size=batch_size, verbose=False, **options)


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.parametrize("batch_size", [None, 7])
def test_the_same_training_bit_for_bit(backend, batch_size, held, monkeypatch):
    monkeypatch.setattr(ahead, "MOST", 5)
    options = {"backend": backend, "metrics": ["accuracy"], "schedule": "cosine"}
    free, watched = trainer(**options), trainer(**options)
    fit(free, batch_size=batch_size)
    assert [count for count in held if count] == [5, 5, 1]  # the first row tells how long an epoch takes
    fit(watched, batch_size=batch_size, callbacks=[Looks()])
    same(free, watched)
    assert without_seconds(free.history) == without_seconds(watched.history)
    assert list(free.history[-1]) == list(watched.history[-1])
    assert all(row["seconds"] > 0 for row in free.history)


@pytest.mark.parametrize(
    "options",
    [
        {"callbacks": [Looks()]},
        {"validation_fraction": 0.25},
        {"schedule": pn.schedules.Plateau("loss")},
        {"shuffle": np.arange},
    ],
)
def test_no_row_waits_where_somebody_looks(options, held):
    model = trainer(schedule=options.pop("schedule", None))
    fit(model, batch_size=8, **options)
    assert not any(held)


def test_rows_of_long_epochs_do_not_wait(held, monkeypatch):
    monkeypatch.setattr(ahead, "SPAN", 0.0)
    assert len(fit(trainer())) == 12
    assert not any(held)


@pytest.mark.parametrize("batch_size", [None, 8])
def test_a_divergence_is_told_as_if_each_row_were_read(backend, batch_size):
    told = []
    for callbacks in ([], [Looks()]):
        rises = pn.schedules.StepDecay(every=6, gamma=1e9)  # six quiet epochs, then far too fast
        options = {"loss": "mean_squared_error", "backend": backend, "schedule": rises}
        model = trainer([pn.Dense(3), pn.ReLU(), pn.Dense(1)], **options)
        with pytest.raises(pn.DivergedError) as caught:
            model.fit(X, Y * 1.0, epochs=60, batch_size=batch_size, callbacks=callbacks, verbose=False)
        rows = [re.sub("nan|inf", "not finite", str(row)) for row in without_seconds(model.history)]
        told.append((str(caught.value), rows, model.epoch, model.position, model.history.stopped, model))
    assert told[0][:5] == told[1][:5]
    assert 6 <= told[0][2] < 20
    same(told[0][5], told[1][5])


@pytest.mark.parametrize("keep", [0.0, 2.0])
def test_the_trainer_is_back_at_the_last_good_weights(keep, monkeypatch):
    monkeypatch.setattr("portanet.training.loop.KEEP", keep)
    rises = pn.schedules.StepDecay(every=6, gamma=1e30)
    model = trainer([pn.Dense(1)], loss="mean_squared_error", schedule=rises)
    with pytest.raises(pn.DivergedError, match="diverged in epoch") as caught:
        model.fit(X, Y * 1.0, epochs=60, batch_size=None, verbose=False)
    bad = int(str(caught.value).partition("in epoch ")[2].partition(" ")[0])
    assert (model.epoch, model.position, model.history["epoch"]) == (bad - 1, 0, list(range(1, bad + 1)))
    assert model.finite()


def test_a_stop_behind_an_epoch_that_diverged(monkeypatch):
    """Ctrl-C comes while rows wait, one of which is not finite: that is told, as it would have been before."""
    model = trainer([pn.Dense(1)], loss="mean_squared_error", schedule=pn.schedules.StepDecay(every=3, gamma=1e30))
    run = pn.Trainer._run_epoch

    def stopped(self, *args, **options):
        if self.epoch == 20:
            self.stop("enough")
        return run(self, *args, **options)

    monkeypatch.setattr(pn.Trainer, "_run_epoch", stopped)
    with pytest.raises(pn.DivergedError):
        model.fit(X, Y * 1.0, epochs=30, batch_size=None, verbose=False)
    assert model.epoch < 20


def test_a_stop_leaves_no_row_behind(monkeypatch):
    model = trainer()
    run = pn.Trainer._run_epoch

    def stopped(self, *args, **options):
        if self.epoch == 8:
            self.stop("enough")
        return run(self, *args, **options)

    monkeypatch.setattr(pn.Trainer, "_run_epoch", stopped)
    history = fit(model)
    assert history["epoch"] == list(range(1, 10))
    assert history.stopped == "enough"


@pytest.mark.parametrize("dead", [False, True])
def test_an_error_leaves_no_row_behind(dead, monkeypatch):
    model = trainer()
    run, result = pn.Trainer._run_epoch, Meter.result

    def fails(self, *args, **options):
        if self.epoch == 8:
            if dead:
                monkeypatch.setattr(Meter, "result", lambda self: 1 / 0)  # nothing can be read any longer
            message = "the device is gone"
            raise pn.BackendError(message)
        return run(self, *args, **options)

    monkeypatch.setattr(pn.Trainer, "_run_epoch", fails)
    with pytest.raises(pn.BackendError, match="the device is gone"):
        fit(model)
    monkeypatch.setattr(Meter, "result", result)
    assert model.history["epoch"] == list(range(1, 2 if dead else 9))
    assert model.history.stopped == "error"
