"""A training that was stopped and resumed is the training that never stopped, bit for bit on one backend."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import portanet as pn
from portanet.files import checkpoint
from portanet.random import generator
from tests.backends.at_hand import require

BACKENDS = ["numpy", "torch", "jax"]


class StopAt(pn.Callback):
    """Stops behind a batch of an epoch, as a signal would."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) == self.at:
            trainer.stop("interrupted")


class Steps(pn.Callback):
    """Notes the numbers of the batches."""

    def __init__(self):
        self.batches = []

    def on_batch_end(self, trainer, batch, batches):
        self.batches.append(batch)


def data(n=130):
    x = generator(0, "resume").normal(size=(n, 6, 6))
    return x, (x[:, :3].sum(axis=(1, 2)) > 0).astype("int64")


def make(backend="numpy", **options):
    net = [pn.Augment(shift=1, rotate=20, flip=True), pn.Reshape((6, 6, 1)), pn.Conv2D(3), pn.BatchNorm(), pn.ReLU()]
    net += [pn.Dropout(0.3), pn.Flatten(), pn.Dense(2)]
    settings = {"optimizer": pn.AdamW(lr=0.02), "metrics": ["accuracy"], "seed": 5, **options}
    return pn.Trainer(net, "softmax_cross_entropy", backend=require(backend), **settings)


def fit(trainer, epochs, *callbacks, batch_size=16, **options):
    x, y = data()
    settings = {"validation_fraction": 0.2, "verbose": False, **options}
    return trainer.fit(x, y, epochs=epochs, batch_size=batch_size, callbacks=list(callbacks), **settings)


def same(a, b):
    for part, own in a.snapshot().items():
        for name, expected in own.items():
            np.testing.assert_array_equal(b.snapshot()[part][name], expected)
    for slot, own in a.opt_state.items():
        if slot != "t":
            for name, expected in own.items():
                np.testing.assert_array_equal(np.asarray(b.opt_state[slot][name]), np.asarray(expected))
    assert int(a.opt_state["t"]) == int(b.opt_state["t"])
    assert without_time(a.history) == without_time(b.history)


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


SCHEDULES = {"cosine": "cosine", "plateau": pn.Plateau(patience=1, gamma=0.5), "constant": None}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("epoch", "batch"), [(1, 3), (3, 1), (2, 7)])  # within, at the begin, at the end of an epoch
def test_stopped_and_resumed(backend, epoch, batch, tmp_path):
    def callbacks():
        return pn.EarlyStopping("val_loss", patience=2), pn.TrainingCheckpoint(tmp_path / "training.safetensors")

    whole = make(backend, schedule=SCHEDULES["plateau"])
    fit(whole, 5, *callbacks())
    first = make(backend, schedule=SCHEDULES["plateau"])
    fit(first, 5, StopAt(epoch, batch), *callbacks())
    assert first.history.stopped == "interrupted"
    place = (epoch, 0) if batch == 7 else (epoch - 1, batch)
    # The best weights were put back, where there were any: what was done of the epoch does not belong to them.
    assert (first.epoch, first.position) == (place[0], 0 if place[0] else place[1])
    second = make(backend, schedule=SCHEDULES["plateau"])
    left = second.resume(tmp_path / "training.safetensors")
    assert left == 5 - first.epoch
    assert (second.epoch, second.position) == place
    fit(second, left, *callbacks())
    same(whole, second)
    assert second.history.stopped == whole.history.stopped


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("batch_size", "shuffle"), [(1, True), (None, True), (7, False)])
def test_at_any_batch(schedule, batch_size, shuffle, tmp_path):
    fraction = 0.1 if schedule == "plateau" else 0.0
    options = {"batch_size": batch_size, "shuffle": shuffle, "validation_fraction": fraction}
    whole = make(schedule=SCHEDULES[schedule])
    fit(whole, 3, **options)
    trainer, path = make(schedule=SCHEDULES[schedule]), tmp_path / "a.safetensors"
    fit(trainer, 3, StopAt(2, 1), pn.TrainingCheckpoint(path), **options)
    for stop in itertools.count(2):  # again and again
        trainer = make(schedule=SCHEDULES[schedule])
        left = trainer.resume(path)
        if not left:
            break
        fit(trainer, left, StopAt(3, stop), pn.TrainingCheckpoint(path), **options)
        if stop > 3:
            break
    if trainer.epoch < 3:
        trainer = make(schedule=SCHEDULES[schedule])
        fit(trainer, trainer.resume(path), **options)
    same(whole, trainer)


@pytest.mark.parametrize("resumed", [True, False])
def test_an_order_that_a_function_drew_begins_its_epoch_anew_and_says_so(resumed, tmp_path, caplog):
    path = tmp_path / "a.safetensors"
    trainer = make()
    fit(trainer, 3, StopAt(2, 4), pn.TrainingCheckpoint(path), shuffle=np.arange)
    assert (trainer.epoch, trainer.position, caplog.records) == (1, 4, [])
    if resumed:
        trainer = make()
        trainer.resume(path)
    seen = Steps()
    fit(trainer, 2, seen, shuffle=np.arange)
    assert seen.batches == [*range(1, 8)] * 2
    assert "restarting epoch 2 (4 steps were done)" in caplog.records[0].getMessage()
    fit(trainer, 1, shuffle=np.arange)
    assert len(caplog.records) == 1


def test_another_fit_begins_its_own_epoch_in_silence(caplog):
    trainer = make()
    fit(trainer, 3, StopAt(1, 4), shuffle=np.arange)
    seen = Steps()
    fit(trainer, 1, seen, shuffle=np.arange, batch_size=52)
    assert (seen.batches, caplog.records) == ([1, 2], [])


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_another_backend(backend, tmp_path):
    path = tmp_path / "a.safetensors"
    whole = make("numpy", dtype="float64")
    fit(whole, 4)
    fit(make("numpy", dtype="float64"), 4, StopAt(2, 4), pn.TrainingCheckpoint(path))
    other = make(backend, dtype="float64")
    fit(other, other.resume(path))
    for name, expected in whole.snapshot()["params"].items():
        np.testing.assert_allclose(other.snapshot()["params"][name], expected, rtol=1e-7, atol=1e-9)


def test_the_same_trainer_goes_on_within_the_epoch():
    whole, trainer = make(), make()
    fit(whole, 3)
    fit(trainer, 3, StopAt(2, 3))
    assert (trainer.epoch, trainer.position, len(trainer.history)) == (1, 3, 1)
    fit(trainer, 2)
    same(whole, trainer)


def test_another_fit_begins_an_epoch_of_its_own():
    trainer = make()
    fit(trainer, 3, StopAt(2, 3))
    fit(trainer, 1, batch_size=40)
    assert (trainer.epoch, trainer.position) == (2, 0)
    assert int(trainer.opt_state["t"]) == 7 + 3 + 3


def test_checkpoints_by_steps(tmp_path, monkeypatch):
    places = []
    keep = pn.Trainer.save_checkpoint

    def save(trainer, path):
        places.append((trainer.epoch, trainer.position))
        keep(trainer, path)

    monkeypatch.setattr(pn.Trainer, "save_checkpoint", save)
    fit(make(), 2, pn.TrainingCheckpoint(tmp_path / "a.safetensors", steps=3))
    assert places == [(0, 3), (0, 6), (1, 2), (1, 5), (2, 0)]
    places.clear()
    fit(make(), 2, pn.TrainingCheckpoint(tmp_path / "a.safetensors", minutes=1e-9))
    assert places == [(0, i) for i in range(1, 7)] + [(1, i) for i in range(7)] + [(2, 0), (2, 0)]
    places.clear()
    fit(make(), 2, pn.TrainingCheckpoint(tmp_path / "a.safetensors"))
    assert places == [(1, 0), (2, 0), (2, 0)]


def test_one_that_was_finished_early_ends_at_once(tmp_path):
    def callbacks():
        return pn.EarlyStopping("loss", patience=1, min_delta=1e9), pn.TrainingCheckpoint(tmp_path / "a.safetensors")

    trainer = make()
    fit(trainer, 9, *callbacks())
    assert trainer.epoch == 2
    again = make()
    fit(again, again.resume(tmp_path / "a.safetensors"), *callbacks())
    assert again.epoch == 2
    same(trainer, again)  # the best epoch's weights were put back


def test_a_fit_behind_one_that_was_finished_early_is_resumed(tmp_path):
    trainer = make()
    fit(trainer, 9, pn.EarlyStopping("loss", patience=1, min_delta=1e9))
    fit(trainer, 1, pn.TrainingCheckpoint(tmp_path / "a.safetensors"))
    again = make()
    again.resume(tmp_path / "a.safetensors")
    fit(again, 2)
    assert again.epoch == 5


def test_a_divergence_leaves_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "a.safetensors"
    fit(make(optimizer=pn.SGD(lr=0.1)), 1, pn.TrainingCheckpoint(path))
    before = path.read_bytes()
    trainer = make(optimizer=pn.SGD(lr=0.1))
    trainer.resume(path)
    trainer.params["2.weight"][...] = np.nan
    with pytest.raises(pn.DivergedError):
        fit(trainer, 2, StopAt(2, 2), pn.TrainingCheckpoint(path, steps=1))
    assert path.read_bytes() == before


def test_a_history_of_any_length_is_resumed(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    monkeypatch.setattr(checkpoint, "HEADER", 16 << 10)
    trainer = make()
    fit(trainer, 1)
    trainer.history.rows += [{"epoch": epoch, "loss": 1 / epoch, "lr": 0.1} for epoch in range(2, 5000)]
    trainer.history.rows[-1] |= {"val_r2": np.nan, "high": np.inf, "low": -np.inf, "count": np.int64(3)}
    expected = [dict(row) for row in trainer.history.rows]
    trainer.history.rows[-1]["note"] = "of a callback's, no number"
    trainer.save_checkpoint(path)
    again = make()
    again.resume(path)
    assert repr(again.history.rows) == repr(expected).replace("np.int64(3)", "3")
