"""Trainers copied and pickled in the middle of an epoch; what a checkpoint keeps of schedules and rates."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import portanet as pn
from tests.backends.at_hand import require
from tests.small import blobs, mlp, same, trainer

MAKE = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda t: pickle.loads(pickle.dumps(t))}


def make(backend="numpy", **options):
    net = [pn.Dense(6, bias=False), pn.BatchNorm(), pn.Tanh(), pn.Dropout(0.2), pn.Dense(3)]
    plateau = pn.WarmUp(2, pn.Plateau("loss", patience=1, gamma=0.5, min_delta=0.1))
    options = {"schedule": plateau, "optimizer": pn.AdamW(lr=0.05), "metrics": ["accuracy"], **options}
    return trainer(net, backend=require(backend), **options)


def fit(model, epochs, *hooks, **options):
    return model.fit(*blobs(), epochs=epochs, batch_size=16, callbacks=list(hooks), verbose=False, **options)


def rows(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


class StopAt(pn.Callback):
    def __init__(self, epoch=3, batch=3):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) == self.at:
            trainer.stop("asked")


class Copies(pn.Callback):
    """Copies the trainer in a batch, or after an epoch, while it trains on."""

    def __init__(self, how, at):
        self.how, self.at = how, at

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) == self.at:
            self.copied = MAKE[self.how](trainer)

    def on_epoch_end(self, trainer, row):
        if (trainer.epoch, None) == self.at:
            self.copied = MAKE[self.how](trainer)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("how", MAKE)
def test_a_training_that_was_stopped_within_an_epoch(how, backend):
    whole, model = make(backend), make(backend)
    fit(whole, 5, pn.Callback())
    fit(model, 5, StopAt())
    other = MAKE[how](model)
    assert (other.epoch, other.position, other.history.stopped) == (2, 3, "asked")
    assert rows(other.history) == rows(model.history)
    assert other.meter.result() == model.meter.result()
    assert other.meter.seconds == model.meter.seconds
    assert other.schedule.state() == model.schedule.state()
    for trained in (model, other):  # each by itself: they share no array
        before = [model.snapshot(), other.snapshot()]
        fit(trained, 3)
        untouched, expected = (other, before[1]) if trained is model else (model, model.snapshot())
        for name, array in expected["params"].items():
            np.testing.assert_array_equal(untouched.snapshot()["params"][name], array)
    same(model, other)
    assert rows(model.history) == rows(other.history)
    rtol, atol = (1e-9, 1e-11) if backend == "jax" else (0.0, 0.0)  # JAX takes steps by blocks
    for name, array in whole.snapshot()["params"].items():
        np.testing.assert_allclose(other.snapshot()["params"][name], array, rtol=rtol, atol=atol)


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", MAKE)
@pytest.mark.parametrize("at", [(2, 3), (1, 1), (2, None)])
def test_a_copy_within_a_fit(how, at, backend):
    copies, model, whole = Copies(how, at), make(backend), make(backend)
    fit(model, 4, copies, pn.EarlyStopping("loss", patience=9), pn.TimeLimit(1e6))
    other = copies.copied
    place = (at[0], 0) if at[1] is None else (at[0] - 1, at[1])
    assert (other.epoch, other.position) == place
    assert (len(other.history), other.callbacks) == (place[0], ())
    fit(other, 4 - place[0], pn.TimeLimit(1e6))
    fit(whole, 4, pn.TimeLimit(1e6))
    same(whole, other)
    assert rows(whole.history) == rows(other.history)


@pytest.mark.parametrize("how", MAKE)
def test_a_copy_of_a_training_that_is_resumed(how, tmp_path):
    """What the checkpoint holds for callbacks goes along, and each takes it up by itself."""
    path = tmp_path / "a.safetensors"
    hooks = lambda: [pn.EarlyStopping("loss", patience=3, min_delta=0.05), pn.LowerRate()]  # noqa: E731
    whole, first, model = make(), make(), make()
    fit(whole, 6, *hooks())
    fit(first, 6, StopAt(), *hooks(), pn.TrainingCheckpoint(path))
    left = model.resume(path)
    other = MAKE[how](model)
    assert other.resumed
    for trained in (model, other):
        fit(trained, left, *hooks())
        same(whole, trained)
        assert rows(whole.history) == rows(trained.history)
        assert not trained.resumed


def test_a_copy_remembers_which_fit_was_stopped():
    """Another fit begins an epoch of its own, in the copy too."""
    model = make()
    fit(model, 5, StopAt())
    other = copy.copy(model)
    for trained in (model, other):
        trained.fit(*blobs(seed=1), epochs=1, batch_size=16, verbose=False)
        assert (trained.epoch, trained.position, len(trained.history)) == (3, 0, 3)
    same(model, other)


# What a checkpoint keeps.


@pytest.mark.parametrize("at", [(3, 3), (4, 1), (2, 8)])
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_plateau_within_a_warm_up_has_learned_is_resumed(at, nested, tmp_path):
    def schedule():
        found = pn.WarmUp(2, pn.Plateau("loss", patience=1, gamma=0.5, min_delta=0.2))
        return pn.WarmUp(1, found) if nested else found

    def plateau(model):
        return model.schedule.then.then if nested else model.schedule.then

    path = tmp_path / "a.safetensors"
    whole, first, second = (make(schedule=schedule()) for _ in range(3))
    fit(whole, 6)
    fit(first, 6, StopAt(*at), pn.TrainingCheckpoint(path))
    left = second.resume(path)
    fit(second, left)
    same(whole, second)
    assert rows(whole.history) == rows(second.history)
    assert plateau(second).current == plateau(whole).current < 1
    assert plateau(second).best == plateau(whole).best


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("at", [(2, 3), (2, 8)])
def test_a_factor_of_the_rate_is_resumed(backend, at, tmp_path):
    path = tmp_path / "a.safetensors"
    whole, first, second = (make(backend) for _ in range(3))
    for model in (whole, first):
        model.init((5,))
        model.rate_factor = 0.25
    fit(whole, 4, pn.TimeLimit(1e6))
    fit(first, 4, StopAt(*at), pn.TrainingCheckpoint(path))
    left = second.resume(path)
    assert second.rate_factor == 0.25
    fit(second, left, pn.TimeLimit(1e6))
    same(whole, second)
    assert second.rate_factor == 0.25
    assert rows(whole.history) == rows(second.history)


@pytest.mark.parametrize("at", [(4, 2), (5, 4)])
def test_a_rate_that_was_lowered_is_resumed_without_the_callback(at, tmp_path):
    """The factor belongs to the training, not to LowerRate."""

    class Poison(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if (trainer.epoch, batch) == (2, 3) and trainer.rate_factor == 1:
                trainer.params = {name: p * np.nan for name, p in trainer.params.items()}

    path, model = tmp_path / "a.safetensors", make()
    fit(model, 6, Poison(), pn.LowerRate(), StopAt(*at))
    assert model.rate_factor == 0.5
    model.save_checkpoint(path)  # when the fit is over: it holds no callback
    second = make()
    left = second.resume(path)
    assert second.rate_factor == 0.5
    fit(second, left)
    fit(model, left)
    same(model, second)


def test_initialised_again_nothing_is_left_of_it():
    model, fresh = make(), make()
    fit(model, 3, StopAt())
    model.rate_factor = 0.1
    model.init((5,))
    assert (model.epoch, model.position, model.rate_factor, len(model.history)) == (0, 0, 1.0, 0)
    fit(model, 3)
    fit(fresh, 3)
    same(model, fresh)
    assert rows(model.history) == rows(fresh.history)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_restore_copies_and_leaves_the_rest(backend):
    model = make(backend)
    fit(model, 1)
    kept, state = model.snapshot(), model.copy_state()
    fit(model, 1)
    later = model.copy_state()
    model.restore(kept)
    now = model.copy_state()
    for name, array in kept["params"].items():
        np.testing.assert_array_equal(now.params[name], array)
    np.testing.assert_array_equal(now.buffers["1.mean"], state.buffers["1.mean"])
    assert (now.opt_state["t"], now.epoch) == (later.opt_state["t"], 2)
    slot = next(key for key in later.opt_state if key != "t")
    np.testing.assert_array_equal(now.opt_state[slot]["0.weight"], later.opt_state[slot]["0.weight"])
    fit(model, 1)
    np.testing.assert_array_equal(kept["params"]["0.weight"], state.params["0.weight"])


def test_a_callback_may_restore_on_every_batch_of_a_lone_trainer(backend):
    """What it puts back is trained on, on every library."""

    class Back(pn.Callback):
        def on_fit_begin(self, trainer, end):
            self.kept = trainer.snapshot()

        def on_batch_end(self, trainer, batch, batches):
            trainer.restore(self.kept)

    model = trainer(mlp(), backend=backend)
    model.init((5,))
    before = model.snapshot()["params"]
    fit(model, 2, Back())
    for name, array in before.items():
        np.testing.assert_array_equal(model.snapshot()["params"][name], array)
    assert int(model.opt_state["t"]) == 16
    assert len(set(model.history["loss"])) == 1 or model.history["loss"][0] == pytest.approx(model.history["loss"][1])


@pytest.mark.parametrize("every", [True, False])
def test_what_a_callback_changes_on_jax(every):
    """Assigned between blocks of steps, or after each step."""

    class Halves(pn.Callback):
        every_batch = every

        def on_batch_end(self, trainer, batch, batches):
            self.calls = (*getattr(self, "calls", ()), batch)
            if batch == 16:
                trainer.params = {name: 0.5 * p for name, p in trainer.params.items()}
                trainer.rate_factor = 0.5

    results = []
    for name in ("numpy", "jax"):
        model, hook = trainer(mlp(), backend=require(name)), Halves()
        model.fit(*blobs(), epochs=2, batch_size=4, callbacks=[hook], verbose=False)
        results.append((model, hook))
    (host, _), (model, hook) = results
    assert len(hook.calls) == (60 if every else 2 * 2)  # 30 steps: a block of 16, and one of the 14 that are left
    for name, array in host.snapshot()["params"].items():
        np.testing.assert_allclose(model.snapshot()["params"][name], array, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(model.history["lr"], host.history["lr"])
