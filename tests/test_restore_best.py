"""EarlyStopping(restore_best): weights, buffers, optimizer's state and place belong together."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import portanet as pn
from portanet.callbacks import stopping as stopping_module
from portanet.files.checkpoint import read_checkpoint, write_checkpoint
from tests.backends.at_hand import require
from tests.small import Scripted, blobs, trainer

BEST, LAST, BATCH = 2, 3, 2  # the best epoch; the number of whole ones; the batch of the next in which it stops


class Kept(pn.Callback):
    """Keeps copies of the whole state after each epoch."""

    def __init__(self):
        self.states = []

    def on_epoch_end(self, trainer, row):
        self.states.append(trainer.copy_state())


class StopWithin(pn.Callback):
    """Stops, interrupts or breaks the training in one of its batches."""

    def __init__(self, how, at=(LAST, BATCH)):
        self.how, self.at = how, at

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch, batch) != self.at:
            return
        if self.how == "stop":
            trainer.stop("asked")
        elif self.how == "interrupt":
            signal.raise_signal(signal.SIGINT)
        else:
            raise RuntimeError


@pytest.fixture
def _pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def make(backend="numpy", **options):
    net = [pn.Dense(6, bias=False), pn.BatchNorm(), pn.Tanh(), pn.Dropout(0.2), pn.Dense(3)]
    # The rates say which epoch is the best: the column lr is monitored.
    options = {"schedule": Scripted([1, 5, 2, 1, 1, 1, 1]), "optimizer": pn.Adam(lr=0.01), **options}
    return trainer(net, backend=require(backend), **options)


def fit(model, epochs, *hooks, **options):
    x, y = blobs()
    model.fit(x, y, epochs=epochs, batch_size=20, callbacks=list(hooks), verbose=False, **options)


def early(**options):
    return pn.EarlyStopping("lr", mode="max", patience=9, **options)


def same_state(model, state, *, optimizer=True):
    """Assert that a trainer has these weights, buffers and optimizer's state, bit for bit."""
    now = model.copy_state()
    for own, other in ((now.params, state.params), (now.buffers, state.buffers)):
        assert own.keys() == other.keys()
        for name, array in own.items():
            np.testing.assert_array_equal(array, np.asarray(other[name]), err_msg=name)
    if optimizer:
        assert now.opt_state["t"] == int(state.opt_state["t"])
        assert now.opt_state.keys() == state.opt_state.keys()
        for slot in now.opt_state.keys() - {"t"}:
            for name, array in now.opt_state[slot].items():
                np.testing.assert_array_equal(array, np.asarray(state.opt_state[slot][name]), err_msg=f"{slot} {name}")


def test_without_a_patience_all_epochs_are_trained_and_the_best_is_kept():
    model, kept = make(), Kept()
    fit(model, 7, pn.EarlyStopping("lr", None, mode="max"), kept)
    assert (len(kept.states), model.history.stopped, model.epoch) == (7, "epochs", 7)
    same_state(model, kept.states[BEST - 1])


@pytest.mark.usefixtures("_pythons_own_handler")
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("how", ["stop", "interrupt", "error", "time limit"])
def test_stopped_within_an_epoch(backend, how, monkeypatch):
    kept, model = Kept(), make(backend)
    hooks = [kept, early(), StopWithin(how)]
    if how == "time limit":
        steps = iter([0.0, *[1.0] * (6 * LAST + BATCH - 1), 99.0])
        monkeypatch.setattr(stopping_module, "time", type("Clock", (), {"monotonic": lambda: next(steps)}))
        hooks = [kept, early(), pn.TimeLimit(30)]
    expected = {"interrupt": KeyboardInterrupt, "error": RuntimeError}.get(how)
    if expected is None:
        fit(model, 7, *hooks)
    else:
        with pytest.raises(expected):
            fit(model, 7, *hooks)
    assert (model.epoch, model.position, len(model.history)) == (LAST, 0, LAST)
    same_state(model, kept.states[BEST - 1])
    assert not np.array_equal(kept.states[BEST - 1].params["0.weight"], kept.states[LAST - 1].params["0.weight"])


def test_what_is_trained_next_is_an_epoch_of_its_own_from_the_best_weights():
    kept, model = Kept(), make()
    fit(model, 7, kept, early(), StopWithin("stop"))
    fit(model, 1)
    other = make()
    other.init((5,))
    other.restore_state(kept.states[BEST - 1])
    other.epoch = LAST
    fit(other, 1)
    same_state(model, other.copy_state())
    assert [row["epoch"] for row in model.history] == [1, 2, 3, 4]


def test_the_best_epoch_is_the_last_whole_one():
    kept, model = Kept(), make(schedule=Scripted([1, 2, 3, 1, 1, 1, 1]))
    fit(model, 7, kept, early(), StopWithin("stop"))
    assert (model.epoch, model.position) == (LAST, 0)
    same_state(model, kept.states[LAST - 1])


def test_without_a_best_epoch_the_steps_are_kept():
    model = make()

    class First(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if batch == BATCH:
                trainer.stop("asked")

    fit(model, 7, early(), First())
    assert (model.epoch, model.position, model.opt_state["t"]) == (0, BATCH, BATCH)
    whole = make()
    fit(model, 2)  # the rest of the first, and the second
    fit(whole, 2)
    same_state(model, whole.copy_state())


def test_not_restored_where_nobody_asked_for_it():
    model = make()
    fit(model, 7, early(restore_best=False), StopWithin("stop"))
    assert (model.epoch, model.position) == (LAST, BATCH)
    assert model.opt_state["t"] == 6 * LAST + BATCH


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("again", ["to the end", "within the next epoch"])
def test_resumed_from_a_checkpoint(backend, old, again, tmp_path):
    """Resumed within an epoch, and ended: back at the best weights of before; those of older files lack the state."""
    path, kept = tmp_path / "training.safetensors", Kept()
    first = make(backend)
    fit(first, 6, kept, early(), StopWithin("stop"), pn.TrainingCheckpoint(path))
    if old:
        about, state = read_checkpoint(path)
        (noted,) = (each["state"] for each in state["callbacks"] if each["type"] == "EarlyStopping")
        del noted["weights"]["optimizer"]
        shape = state.pop("input_shape")
        write_checkpoint(path, {**about, "input_shape": list(shape)}, state, first.backend)
    second, after = make(backend), Kept()
    left = second.resume(path)
    assert (second.epoch, second.position, left) == (LAST, BATCH, 3)
    if again == "to the end":
        fit(second, left, early(), after)
    else:
        stop = StopWithin("stop", (4, 3))
        fit(second, left, early(), after, stop, pn.TrainingCheckpoint(path))
    assert second.position == 0
    same_state(second, kept.states[BEST - 1], optimizer=not old)
    # The optimizer's state of the best epoch is not in an older file: the last one stays, as it did.
    steps = {"to the end": 6 * 6, "within the next epoch": 6 * 4 + 3}[again] if old else 6 * BEST
    assert int(second.opt_state["t"]) == steps
    if again != "to the end":  # and once more, from what the resumed one saved
        third = make(backend)
        fit(third, third.resume(path), early())
        same_state(third, kept.states[BEST - 1], optimizer=not old)
    x, y = blobs()
    second.fit(x, y, epochs=1, batch_size=20, verbose=False)  # arrays are its own: nothing was donated twice
    assert np.isfinite(second.history[-1]["loss"])


def test_after_a_lower_rate_went_back_to_other_weights():
    """The best epoch is the last whole one, but LowerRate has put weights of before it into its place."""
    kept = Kept()
    model = make(schedule=Scripted([1, 1, 5, 1, 1]), optimizer=pn.Adam(lr=0.01))

    class Poison(pn.Callback):
        def on_epoch_end(self, trainer, row):
            if trainer.epoch == 3:
                row["loss"] = 1e9  # not good by LowerRate's measure, and the best by the other

        def on_batch_end(self, trainer, batch, batches):
            if trainer.epoch == 3:
                trainer.params = {name: p * np.nan for name, p in trainer.params.items()}

    with pytest.raises(pn.DivergedError):
        fit(model, 5, Poison(), kept, early(), pn.LowerRate(times=1))
    assert (model.epoch, model.position) == (3, 0)
    same_state(model, kept.states[2])
    assert model.opt_state["t"] == 18


class Saves(pn.Callback):
    """Keeps what a hook that ends after the others finds."""

    ends_last = True

    def on_fit_end(self, trainer):
        self.found = trainer.copy_state()


@pytest.mark.parametrize("first", [True, False])
def test_a_callback_that_ends_last_finds_the_best_weights(first):
    kept, saves, model = Kept(), Saves(), make()
    hooks = [saves, early()] if first else [early(), saves]
    fit(model, 5, kept, *hooks)
    same_state(model, kept.states[BEST - 1])
    np.testing.assert_array_equal(saves.found.params["0.weight"], kept.states[BEST - 1].params["0.weight"])
    assert pn.MLflow.ends_last
