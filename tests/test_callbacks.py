"""Callbacks: what each does at its moment, and that training is right before and behind it; the history beside them."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import numpy as np
import pytest

import portanet as pn
from portanet.callbacks import stopping as stopping_module
from portanet.errors import ConfigError, DivergedError
from portanet.training.history import History
from tests.small import Recorder, Scripted, blobs, mlp, trainer


def test_the_hooks_and_their_order():
    x, y = blobs(n=10)
    recorder = Recorder()
    model = trainer()
    model.fit(x, y, epochs=1, batch_size=5, verbose=False)
    model.fit(x, y, epochs=2, batch_size=4, callbacks=[recorder], verbose=False)
    batches = [("batch", i, 3) for i in (1, 2, 3)]
    expected = [("begin", 1, 3), *batches, ("epoch", 2, 2), *batches, ("epoch", 3, 3), ("end", 3)]
    assert recorder.calls == expected


def test_a_hook_that_is_not_overridden_is_not_called_for_each_batch(monkeypatch):
    x, y = blobs(n=10)
    calls = []
    monkeypatch.setattr(pn.Callback, "on_batch_end", lambda *args: calls.append(args))
    trainer().fit(x, y, epochs=1, batch_size=1, callbacks=[pn.Callback(), pn.EarlyStopping("loss")], verbose=False)
    assert calls == []


def test_the_end_hook_runs_when_training_breaks():
    x, y = blobs()

    class Broken(pn.Callback):
        def on_epoch_end(self, trainer, row):
            raise RuntimeError

    recorder = Recorder()
    with pytest.raises(RuntimeError):
        trainer().fit(x, y, epochs=3, callbacks=[recorder, Broken()], verbose=False)
    assert recorder.calls[-1] == ("end", 1)


def test_early_stopping_restores_the_best_weights():
    x, y = blobs()
    recorder, stopping = Recorder(), pn.EarlyStopping("lr", mode="max", patience=3)
    model = trainer(schedule=Scripted([1, 3, 5, 4, 5, 2, 1, 1]))  # the equal 5 in epoch 5 is no improvement
    history = model.fit(x, y, epochs=8, callbacks=[recorder, stopping], verbose=False)
    assert (model.epoch, stopping.best_epoch) == (6, 3)
    assert stopping.best == pytest.approx(0.5)
    assert history.stopped == "no better lr for 3 epochs (best in epoch 3)"
    for part, arrays in model.snapshot().items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, recorder.weights[2][part][name])
    assert not np.array_equal(recorder.weights[2]["params"]["0.weight"], recorder.weights[5]["params"]["0.weight"])


@pytest.mark.parametrize(
    ("options", "values", "epochs", "kept"),
    [
        ({"patience": 1}, [1, 2, 2, 3], 3, 2),
        ({"patience": 2}, [1, 2, 2, 3], 4, 4),
        ({"patience": 2, "min_delta": 0.15}, [1, 2, 2, 4], 3, 1),  # the rate is 0.1 times these
        ({"patience": 1, "restore_best": False}, [2, 1, 1, 1], 2, 2),
        ({"patience": 9}, [1, 3, 2, 1], 4, 2),  # also where the epochs ran out
    ],
)
def test_early_stopping(options, values, epochs, kept):
    x, y = blobs()
    recorder = Recorder()
    model = trainer(schedule=Scripted(values))
    model.fit(x, y, epochs=4, callbacks=[recorder, pn.EarlyStopping("lr", mode="max", **options)], verbose=False)
    assert model.epoch == epochs
    weight = model.snapshot()["params"]["2.weight"]
    assert [np.array_equal(w["params"]["2.weight"], weight) for w in recorder.weights].index(True) == kept - 1


def test_early_stopping_starts_anew_with_each_fit():
    x, y = blobs()
    stopping = pn.EarlyStopping("lr", mode="max", patience=1)
    model = trainer(schedule=Scripted([5, 1, 2, 3]))
    model.fit(x, y, epochs=2, callbacks=[stopping], verbose=False)
    model.fit(x, y, epochs=2, callbacks=[stopping], verbose=False)
    assert (stopping.best_epoch, model.history.stopped) == (4, "epochs")


def test_early_stopping_keeps_the_last_good_weights_where_training_diverges():
    x, y = blobs()
    recorder = Recorder()
    model = trainer(schedule=Scripted([1, 1, math.inf]))
    with pytest.raises(DivergedError):
        model.fit(x, y, epochs=3, batch_size=30, callbacks=[recorder, pn.EarlyStopping("loss")], verbose=False)
    np.testing.assert_array_equal(model.snapshot()["params"]["0.weight"], recorder.weights[1]["params"]["0.weight"])


def test_early_stopping_is_not_stuck_at_nan():
    stopping, model = pn.EarlyStopping("val_f1_score", patience=2, restore_best=False), trainer(metrics=["f1_score"])
    for model.epoch, value in enumerate([math.nan, 0.1, 0.3, 0.2], start=1):
        stopping.on_epoch_end(model, {"val_f1_score": value})
    assert (stopping.best, stopping.best_epoch) == (0.3, 3)


class RootMeanSquare(pn.Metric):
    """A metric of the user's, of which nobody knows whether it is to fall."""

    name = "rmse"

    def batch(self, prediction, target, weight, loss):
        return ((prediction - target[:, None]) ** 2).mean()

    def merge(self, values, sizes):
        return float((values * sizes).sum() / sizes.sum()) ** 0.5


class Falling(RootMeanSquare):
    greater_is_better = False


@pytest.mark.parametrize(("metric", "mode"), [(Falling, "auto"), (RootMeanSquare, "min")])
def test_the_best_weights_of_a_metric_of_the_users_are_kept(tmp_path, metric, mode):
    # The rates let the error fall, and then rise: what is put back and saved is from the epoch of the smallest error.
    x, _ = blobs()
    y, path = x[:, 0] * 2, tmp_path / "best.safetensors"
    recorder, stopping = Recorder(), pn.EarlyStopping("val_rmse", patience=9, mode=mode)
    hooks = [recorder, pn.Checkpoint(path, "val_rmse", mode=mode), stopping]
    scripted = Scripted([1, 1, 1, -2, -2, -2])
    model = trainer(mlp(1), loss="mean_squared_error", metrics=[metric()], schedule=scripted)
    rows = model.fit(x, y, epochs=6, validation_fraction=0.2, callbacks=hooks, verbose=False)
    errors = rows["val_rmse"]
    best = int(np.argmin(errors))
    assert 0 < best < 5
    assert errors[best] < min(errors[0], errors[-1])
    assert (stopping.best_epoch, stopping.best) == (best + 1, errors[best])
    saved = pn.load(path, custom={"rmse": metric()})
    assert saved.epoch == best + 1
    for name, array in recorder.weights[best]["params"].items():
        np.testing.assert_array_equal(model.snapshot()["params"][name], array)
        np.testing.assert_array_equal(saved.snapshot()["params"][name], array)


@pytest.mark.parametrize(
    ("hooks", "options"),
    [
        ([pn.EarlyStopping("val_rmse")], {}),
        ([pn.Checkpoint("x", "val_rmse")], {}),
        ([], {"schedule": pn.Plateau("val_rmse")}),
        ([pn.LearningRateSchedule(pn.WarmUp(1, pn.Plateau("val_rmse")))], {}),
    ],
)
def test_a_direction_that_nobody_knows_is_refused_before_the_first_step(hooks, options):
    x, _ = blobs()
    recorder, model = Recorder(), trainer(mlp(1), loss="mean_squared_error", metrics=[RootMeanSquare()], **options)
    with pytest.raises(ConfigError, match=r"metric 'rmse' does not say .* give mode='min' or mode='max'"):
        model.fit(x, x[:, 0], epochs=2, validation_fraction=0.2, callbacks=[recorder, *hooks], verbose=False)
    assert model.epoch == 0
    assert [call for call in recorder.calls if call[0] in ("batch", "epoch")] == []


def test_a_monitor_that_is_not_there():
    x, y = blobs()
    with pytest.raises(ConfigError, match=r"EarlyStopping: .*give validation data to fit\(\)"):
        trainer().fit(x, y, epochs=1, callbacks=[pn.EarlyStopping()], verbose=False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pn.EarlyStopping(patience=0), "EarlyStopping: patience must be a whole number of 1 or more, got 0"),
        (lambda: pn.Checkpoint("x", every=0), "Checkpoint: every must be a whole number of 1 or more, got 0"),
        (lambda: pn.LearningRateSchedule("fast"), "unknown schedule 'fast'"),
        (
            lambda: pn.EarlyStopping(mode="maximum"),
            "EarlyStopping: mode must be 'auto' or 'min' or 'max', got 'maximum'",
        ),
        (lambda: pn.Checkpoint("x", "loss", mode=1), "Checkpoint: mode must be 'auto' or 'min' or 'max', got 1"),
        (lambda: pn.Plateau(mode="up"), "Plateau: mode must be 'auto' or 'min' or 'max', got 'up'"),
    ],
)
def test_refused(make, said):
    with pytest.raises(ConfigError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("broken", [False, True])
def test_learning_rate_schedule(broken):
    x, y = blobs()
    model = trainer(schedule=pn.StepDecay(1, 0.5))
    model.init((5,))
    own = model.schedule

    class Broken(pn.Callback):
        def on_epoch_end(self, trainer, row):
            if broken:
                raise RuntimeError

    callbacks = [pn.LearningRateSchedule(pn.StepDecay(1, 0.1)), Broken()]
    try:
        model.fit(x, y, epochs=2, callbacks=callbacks, verbose=False)
    except RuntimeError:
        assert broken
    assert model.schedule is own
    model.fit(x, y, epochs=1, verbose=False)
    expected = [0.1, 0.05] if broken else [0.1, 0.01, 0.025]
    assert model.history["lr"] == pytest.approx(expected)


def test_time_limit_stops_within_an_epoch(monkeypatch):
    x, y = blobs(n=100)
    now = iter([0.0, 10.0, 20.0, 31.0])
    clock = SimpleNamespace(monotonic=lambda: next(now), perf_counter=time.perf_counter)
    monkeypatch.setattr(stopping_module, "time", clock)
    recorder = Recorder()
    model = trainer()
    history = model.fit(x, y, epochs=5, batch_size=10, callbacks=[pn.TimeLimit(30), recorder], verbose=False)
    assert history.stopped == "time limit of 30 s"
    assert [call[1] for call in recorder.calls if call[0] == "batch"] == [1, 2, 3]
    assert (len(history), model.epoch, model.position) == (0, 0, 3)


def test_stop_from_another_place():
    x, y = blobs()
    model = trainer()

    class Enough(pn.Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 2:
                trainer.stop("enough")

    assert model.fit(x, y, epochs=9, callbacks=[Enough()], verbose=False).stopped == "enough"
    assert model.fit(x, y, epochs=1, verbose=False).stopped == "epochs"  # the word is not kept for the next fit
    assert model.epoch == 3


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"], indirect=True)
def test_goes_on_after_an_exception_in_a_callback(backend):
    # On JAX the step is given its arrays away: what a callback leaves behind must be the new ones.
    x, y = blobs()

    class Once(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if batch == 2:
                raise KeyError(batch)

    model = trainer(mlp(), backend=backend)
    with pytest.raises(KeyError, match="2"):
        model.fit(x, y, epochs=1, batch_size=40, callbacks=[Once()], verbose=False)
    assert np.isfinite(model.predict(x)).all()
    assert math.isfinite(model.fit(x, y, epochs=1, verbose=False)[-1]["loss"])


def test_history():
    history = History()
    assert (len(history), history["loss"], repr(history)) == (0, [], "<History of 0 epochs: nothing yet>")
    history.rows += [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_loss": 1.23456}]
    assert history["loss"] == [2.0, 1.0]
    assert history["val_loss"] == [1.23456]  # of the epochs that have it
    assert history[-1]["epoch"] == 2
    assert [row["epoch"] for row in history] == [1, 2]
    assert repr(history) == "<History of 2 epochs: epoch 2, loss 1, val_loss 1.235>"
    with pytest.raises(KeyError, match="unknown column of the history 'val_los'; did you mean 'val_loss'"):
        history["val_los"]
