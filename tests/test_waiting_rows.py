"""Rows that may wait on the device: the same rows, in the same order, as where each is read after its epoch."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import portanet as pn
from portanet.engine.strategy import SingleProcess
from portanet.errors import DivergedError
from portanet.training import fit as fit_module
from tests.backends.at_hand import require
from tests.small import blobs, mlp, same, trainer

EPOCHS = 9


@pytest.fixture(autouse=True)
def _wait_for_long(monkeypatch):
    """Let rows wait until something asks for them, however slow the machine is."""
    monkeypatch.setattr(fit_module, "WAIT", math.inf)
    monkeypatch.setattr(fit_module, "KEEP", math.inf)


class Seen(pn.Callback):
    """Notes its rows, and how far the training was."""

    acts = False

    def __init__(self):
        self.rows, self.at = [], []

    def on_epoch_end(self, trainer, row):
        self.rows.append(row)
        self.at.append(trainer.epoch)


def rows(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def make(backend="numpy", **options):
    return trainer(mlp(dropout=0.2), backend=require(backend), metrics=["accuracy"], schedule="cosine", **options)


def fit(model, *hooks, **options):
    options = {"epochs": EPOCHS, "batch_size": 16, "verbose": False, **options}
    return model.fit(*blobs(), callbacks=list(hooks), **options)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_the_same_rows(backend, tmp_path, capsys):
    one_by_one, bare, shown = make(backend), make(backend), make(backend)
    seen, read = Seen(), Seen()
    fit(one_by_one, pn.Callback(), read)  # a callback that may act on its row
    fit(bare)
    fit(shown, seen, pn.JSONLLogger(tmp_path / "a.jsonl"), pn.CSVLogger(tmp_path / "a.csv"), verbose=True)
    assert read.at == list(range(1, EPOCHS + 1))
    assert seen.at == [EPOCHS] * EPOCHS  # they all waited
    for other in (bare, shown):
        same(one_by_one, other)
        assert rows(other.history) == rows(one_by_one.history)
    assert seen.rows == shown.history.rows
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == shown.history.rows
    assert [line.split(",")[0] for line in (tmp_path / "a.csv").read_text().splitlines()[1:]] == [*"123456789"]
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]
    assert [line.split("/")[0] for line in printed] == [f"epoch {i}" for i in range(1, EPOCHS + 1)]


@pytest.mark.parametrize(
    ("options", "hooks"),
    [
        ({"validation_fraction": 0.2}, []),
        ({"shuffle": np.arange}, []),
        ({}, [pn.TimeLimit(99)]),
        ({}, [pn.LearningRateSchedule(pn.Plateau("loss"))]),
    ],
)
def test_what_is_acted_on_is_read_at_once(options, hooks):
    seen = Seen()
    fit(make(), seen, *hooks, **options)
    assert seen.at == list(range(1, EPOCHS + 1))


def test_no_more_than_so_many_wait():
    seen, model = Seen(), make()
    fit(model, seen, epochs=fit_module.MOST * 2 + 3, batch_size=None)
    assert sorted(set(seen.at)) == [fit_module.MOST, fit_module.MOST * 2, fit_module.MOST * 2 + 3]
    assert [row["epoch"] for row in model.history] == list(range(1, fit_module.MOST * 2 + 4))


class Overflows(pn.Schedule):
    """A rate that lets the weights of one step overflow: the last of an epoch, so that no loss of it shows it."""

    def __init__(self, epoch, last):
        self.at = (epoch - 0.1, epoch) if last else (epoch - 0.7, epoch - 0.6)

    def factor(self, epoch, epochs):
        return math.inf if self.at[0] < epoch < self.at[1] else 1e-3


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("epoch", [1, 2, 5, EPOCHS])
@pytest.mark.parametrize("keeps", [False, True])
def test_a_divergence_in_a_row_that_waits(backend, last, epoch, keeps, monkeypatch, tmp_path):
    """The message, the rows and the weights are those of rows that were read one by one."""
    if keeps:
        monkeypatch.setattr(fit_module, "KEEP", 0.0)
    models, messages, seen = [], [], Seen()
    for hooks in ([pn.Callback()], [seen, pn.JSONLLogger(tmp_path / "a.jsonl")]):
        model = trainer(
            [pn.Dense(4), pn.ReLU(), pn.Dense(3)],
            backend=require(backend),
            schedule=Overflows(epoch, last),
            optimizer="sgd",
        )
        with np.errstate(all="ignore"), pytest.raises(DivergedError) as told:
            fit(model, *hooks)
        models.append(model)
        messages.append(str(told.value))
    read, waited = models
    assert messages[0] == messages[1]
    assert f"training diverged in epoch {epoch}" in messages[0]
    assert ("there are weights that are not finite" in messages[0]) == last
    assert (waited.epoch, waited.position) == (read.epoch, read.position) == (epoch - 1, 0)
    assert waited.finite()
    same(read, waited)
    assert repr(rows(waited.history)) == repr(rows(read.history))  # NaN is not equal to itself
    assert [row["epoch"] for row in waited.history] == list(range(1, epoch + 1))
    assert [row["epoch"] for row in seen.rows] == list(range(1, epoch))
    if epoch > 1:
        assert len((tmp_path / "a.jsonl").read_text().splitlines()) == epoch - 1
    whole = trainer(
        [pn.Dense(4), pn.ReLU(), pn.Dense(3)],
        backend=require(backend),
        schedule=pn.StepDecay(99),
        optimizer=pn.SGD(lr=waited.optimizer.lr * 1e-3),
    )
    fit(whole, epochs=epoch - 1) if epoch > 1 else whole.init((5,))
    for name, array in whole.snapshot()["params"].items():
        np.testing.assert_allclose(waited.snapshot()["params"][name], array, rtol=1e-12)


def test_the_weights_that_are_named_are_those_after_the_epoch():
    """Not those of epochs later, which had overflowed by then."""
    messages, seen = [], Seen()
    x, y = blobs()
    for hooks in ([pn.Callback()], [seen]):
        model = trainer([pn.Dense(3)], optimizer=pn.SGD(30.0), loss="mean_squared_error", dtype="float32")
        with np.errstate(all="ignore"), pytest.raises(DivergedError) as told:
            model.fit(x, np.eye(3)[y], epochs=60, batch_size=None, callbacks=hooks, verbose=False)
        messages.append(str(told.value))
    assert seen.at[0] > len(seen.at) + 1  # later epochs had been trained when the first was read
    assert "the first weights that are not finite" not in messages[0]
    assert messages[0] == messages[1]


class Breaks(pn.Callback):
    acts = False

    def __init__(self, epoch, error=RuntimeError):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) == (self.epoch, 3):
            raise self.error


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, pn.errors.OutOfMemoryError])
def test_an_error_loses_no_finished_row(backend, error, tmp_path):
    whole, model, seen = make(backend), make(backend), Seen()
    fit(whole)
    with pytest.raises(error):
        fit(model, Breaks(6, error), seen, pn.JSONLLogger(tmp_path / "a.jsonl"))
    assert rows(model.history) == rows(whole.history)[:5]
    assert seen.rows == model.history.rows
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == model.history.rows
    assert (model.epoch, model.position, model.history.stopped) == (5, 3, "error")
    # One that is called after every batch lets JAX take its steps one by one, which rounds otherwise.
    for row, expected in zip(rows(fit(model, epochs=4)), rows(whole.history), strict=True):
        assert row == pytest.approx(expected, rel=1e-9)


def test_an_error_of_a_logger_loses_no_finished_row():
    class Fails(pn.Callback):
        acts = False

        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 3:
                raise OSError

    model, seen = make(), Seen()
    with pytest.raises(OSError):  # noqa: PT011  # raised above
        fit(model, Fails(), seen)
    assert [row["epoch"] for row in model.history] == list(range(1, EPOCHS + 1))
    assert [row["epoch"] for row in seen.rows] == [1, 2, *range(4, EPOCHS + 1)]


class StopsBetween(SingleProcess):
    """A process whose signal comes between two epochs, after it was decided that a row may wait."""

    def __init__(self, at):
        self.at, self.trainer = at, None

    def gather(self, value):
        if value == "" and self.trainer is not None and self.trainer.epoch == self.at:
            self.trainer.stop("interrupted")
            return ["interrupted"]
        return super().gather(value)


def test_a_signal_between_two_epochs_loses_no_row(tmp_path):
    strategy, seen = StopsBetween(4), Seen()
    model = make(strategy=strategy)
    strategy.trainer = model
    fit(model, seen, pn.JSONLLogger(tmp_path / "a.jsonl"))
    assert (model.epoch, model.position, model.history.stopped) == (4, 0, "interrupted")
    assert [row["epoch"] for row in model.history] == [1, 2, 3, 4]
    assert seen.rows == model.history.rows
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 4


def test_a_stop_within_an_epoch_reads_what_waited():
    class Stop(pn.Callback):
        acts = False

        def on_batch_end(self, trainer, batch, batches):
            if (trainer.epoch, batch) == (4, 2):
                trainer.stop("asked")

    model, seen, whole = make(), Seen(), make()
    fit(model, Stop(), seen)
    assert (model.epoch, model.position, model.history.stopped) == (4, 2, "asked")
    assert [row["epoch"] for row in seen.rows] == [1, 2, 3, 4]
    fit(model, epochs=5)
    fit(whole)
    same(model, whole)
    assert rows(model.history) == rows(whole.history)


# What the replay of a training that diverged begins with.


class Learns(pn.Schedule):
    """A rate that falls with the rows that it has seen; the last of these epochs diverges."""

    def __init__(self, end):
        self.end, self.seen = end, 0

    def factor(self, epoch, epochs):
        return math.inf if epoch > self.end else 1 / (1 + self.seen)

    def observe(self, row):
        self.seen += 1

    def state(self):
        return {"seen": self.seen}

    def load_state(self, state):
        self.seen = state["seen"]


@pytest.mark.parametrize("before", [0, 2])
def test_a_schedule_that_learns_is_replayed_from_what_it_knew(before):
    """The state before the epoch that diverged is that of a training which ends there."""
    model, whole = (trainer([pn.Dense(3)], schedule=Learns(end)) for end in (5, 99))
    if before:
        fit(model, epochs=before)
    with np.errstate(all="ignore"), pytest.raises(DivergedError):
        fit(model, epochs=9)
    fit(whole, epochs=5)
    assert model.epoch == 5
    same(model, whole)
    assert whole.history["lr"] == pytest.approx([0.1 / i for i in range(1, 6)])


@pytest.mark.parametrize("where", ["batch", "epoch"])
def test_what_a_callback_has_changed_is_not_undone(where):
    """A training whose callback changes weights goes back to weights that it had."""

    class Changes(pn.Callback):
        def __init__(self, poison):
            self.poison = poison

        def on_batch_end(self, trainer, batch, batches):
            if where == "batch" and batch == 2:
                trainer.params = {name: 0.9 * p for name, p in trainer.params.items()}
            if self.poison and (trainer.epoch, batch) == (5, 4):
                trainer.params = {name: p * np.nan for name, p in trainer.params.items()}

        def on_epoch_end(self, trainer, row):
            if where == "epoch":
                trainer.params = {name: 0.9 * p for name, p in trainer.params.items()}

    model, whole = make(), make()
    with pytest.raises(DivergedError):
        fit(model, Changes(poison=True))
    fit(whole, Changes(poison=False), epochs=5, total_epochs=EPOCHS)
    assert (model.epoch, model.position) == (5, 0)
    same(model, whole)


def test_a_callback_that_poisons_an_epochs_end():
    class Poison(pn.Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 4:
                trainer.params = {name: p * np.nan for name, p in trainer.params.items()}

    model, whole = make(), make()
    with pytest.raises(DivergedError):
        fit(model, Poison())
    fit(whole, epochs=4, total_epochs=EPOCHS)
    assert (model.epoch, model.finite()) == (4, True)
    same(model, whole)


def test_a_schedule_of_one_fit_is_not_saved_with_the_next(tmp_path):
    """A checkpoint within the first epoch of a fit holds what its own schedule has learned."""

    class Stop(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            trainer.stop("asked")

    model = make()
    fit(model, pn.LearningRateSchedule(pn.Plateau("loss")), epochs=2)
    fit(model, Stop(), pn.TrainingCheckpoint(tmp_path / "a.safetensors"), total_epochs=20)
    second = make()
    second.resume(tmp_path / "a.safetensors")
    fit(second, epochs=2, total_epochs=20)
    fit(model, epochs=2, total_epochs=20)
    same(model, second)
