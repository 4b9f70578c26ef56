"""fit(total_epochs=): parts of one training are that training; where it is not given, a warning says what happens."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from tests.backends.at_hand import require
from tests.small import blobs, mlp, same, trainer

SCHEDULES = {
    "cosine": pn.Cosine(),
    "one-cycle": pn.OneCycle(),
    "warm-up": pn.WarmUp(2, pn.Cosine()),
    "warm-up alone": pn.WarmUp(2.5),
    "plateau": pn.Plateau("loss", patience=1, gamma=0.5),
    "plateau in a warm-up": pn.WarmUp(1.5, pn.Plateau("loss", patience=1, gamma=0.5)),
}
DEPENDENT = {"cosine", "one-cycle", "warm-up"}


def make(schedule, backend="numpy", lr=0.1):
    return trainer(mlp(dropout=0.2), schedule=schedule, backend=require(backend), optimizer=pn.SGD(lr=lr, momentum=0.9))


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def fit(model, **options):
    return model.fit(*blobs(), **{"batch_size": 20, "verbose": False, **options})


@pytest.mark.parametrize("name", SCHEDULES)
def test_five_fits_are_one(name, caplog):
    whole, parts = (make(SCHEDULES[name], lr=2.0 if "plateau" in name else 0.1) for _ in range(2))
    fit(whole, epochs=5)
    for _ in range(5):
        fit(parts, epochs=1, total_epochs=5)
    same(whole, parts)
    assert without_time(whole.history) == without_time(parts.history)
    assert [record.message for record in caplog.records] == []
    assert len(set(whole.history["lr"])) > 1


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_on_other_backends(backend):
    whole, parts = make(pn.Cosine(), backend), make(pn.Cosine(), backend)
    fit(whole, epochs=5)
    for epochs in (2, 0, 3):
        fit(parts, epochs=epochs, total_epochs=5)
    same(whole, parts)


def test_stopped_within_an_epoch_too():
    class Stop(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if (trainer.epoch, batch) == (2, 3):
                trainer.stop("asked")

    whole, parts = make(pn.Cosine()), make(pn.Cosine())
    fit(whole, epochs=5)
    fit(parts, epochs=4, total_epochs=5, callbacks=[Stop()])
    assert (parts.epoch, parts.position) == (2, 3)
    fit(parts, epochs=3, total_epochs=5)
    same(whole, parts)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warning_where_it_is_not_given(name, caplog):
    model = make(SCHEDULES[name])
    fit(model, epochs=1)
    assert caplog.records == []
    fit(model, epochs=2)
    if name not in DEPENDENT:
        assert caplog.records == []
        return
    (record,) = caplog.records
    kind = type(SCHEDULES[name]).__name__
    assert record.levelno == logging.WARNING
    assert f"the schedule {kind} has come to its end in epoch 1, and comes to it again in epoch 3" in record.message
    assert "total_epochs=" in record.message
    caplog.clear()
    fit(model, epochs=1, total_epochs=9)
    assert caplog.records == []


def test_no_warning_where_a_training_is_resumed(caplog, tmp_path):
    first, second = make(pn.Cosine()), make(pn.Cosine())
    fit(first, epochs=2, total_epochs=5, callbacks=[pn.TrainingCheckpoint(tmp_path / "a.safetensors")])
    second.resume(tmp_path / "a.safetensors")
    fit(second, epochs=3)
    whole = make(pn.Cosine())
    fit(whole, epochs=5)
    same(whole, second)
    assert caplog.records == []


@pytest.mark.parametrize("total", [0, 2, 4, -1, 2.5, "5", True])
def test_refused(total):
    model = make(pn.Cosine())
    fit(model, epochs=2, total_epochs=9)
    before = model.snapshot()["params"]["0.weight"]
    with pytest.raises(ConfigError, match="fit: total_epochs must be a whole number of 5 or more"):
        fit(model, epochs=3, total_epochs=total)
    assert (model.epoch, len(model.history), model.history.stopped) == (2, 2, "epochs")
    np.testing.assert_array_equal(model.snapshot()["params"]["0.weight"], before)


@pytest.mark.parametrize("name", ["cosine", "one-cycle", "warm-up"])
def test_fleets(name, caplog):
    def fleet():
        return pn.Fleet(mlp(), 3, backend="numpy", dtype="float64", schedule=SCHEDULES[name])

    whole, parts = fleet(), fleet()
    whole.fit(*blobs(), epochs=5, batch_size=20)
    for _ in range(5):
        parts.fit(*blobs(), epochs=1, batch_size=20, total_epochs=5)
    for a, b in zip(whole, parts, strict=True):
        same(a, b)
        assert without_time(a.history) == without_time(b.history)
    assert caplog.records == []
    parts.fit(*blobs(), epochs=1, batch_size=20)
    assert len(caplog.records) == 1  # one for all members
    with pytest.raises(ConfigError, match="fit: total_epochs must be a whole number of 8 or more"):
        parts.fit(*blobs(), epochs=2, total_epochs=7)
    assert {(member.epoch, member.callbacks) for member in parts} == {(6, ())}
