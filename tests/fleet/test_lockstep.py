"""Fits in lockstep: an error ends all that wait, and what one fit changes on its batches is not the others'."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import portanet as pn
from portanet.fleet.lockstep import Lockstep, Scheduler
from portanet.fleet.stack import Stacks
from tests.small import blobs, mlp, near, trainer

K = 3


def together(tasks):
    """Run tasks in the threads of a scheduler; return it, and what each returned or raised."""
    scheduler = Scheduler(len(tasks))
    with ThreadPoolExecutor(len(tasks)) as pool:
        for _ in tasks:
            scheduler.announce()
        futures = [pool.submit(scheduler.run, task) for task in tasks]
        scheduler.open()
        found = [future.exception(60) or future.result() for future in futures]
    return scheduler, found


def make(seed, net=None, **options):
    return trainer(net, seed=seed, strategy=Lockstep(), metrics=["accuracy"], **options)


def fitted(model, **options):
    model.fit(*blobs(), **{"epochs": 3, "batch_size": 16, "verbose": False, **options})
    return model


def lone(model, **options):
    own = pn.Trainer(
        model.net, model.loss, model.optimizer, model.metrics, backend="numpy", dtype="float64", seed=model.seed
    )
    return fitted(own, **options)


def test_each_is_what_it_would_be_alone():
    scheduler, found = together([lambda i=i: fitted(make(i)) for i in range(K)])
    assert (scheduler.fleets, scheduler.alone) == ([K], {})
    for model in found:
        near(model, lone(model), rtol=1e-12)
        assert model.history["loss"] == pytest.approx(lone(model).history["loss"], rel=1e-12)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_they_are_put_together_ends_all(monkeypatch, error):
    """Nobody waits for an answer that never comes."""

    def fails(*args):
        raise error

    monkeypatch.setattr(Stacks, "run", fails)
    models = [make(i) for i in range(K)]
    _, found = together([lambda m=m: fitted(m) for m in models])
    assert [type(each) for each in found] == [error] * K
    assert [(m.epoch, m.position, m.history.stopped) for m in models] == [(0, 0, "error")] * K
    monkeypatch.undo()
    for model in models:
        near(fitted(model), lone(model), rtol=1e-12)


def test_one_diverges_and_the_others_go_on():
    x, y = blobs()
    options = {"loss": "mean_squared_error", "strategy": Lockstep()}
    regression = [trainer(mlp(1), optimizer=pn.SGD(lr=rate), **options) for rate in (0.1, 1e200, 0.2)]
    with np.errstate(all="ignore"):
        _, found = together([lambda m=m: m.fit(x, y, epochs=3, batch_size=16, verbose=False) for m in regression])
    assert isinstance(found[1], pn.DivergedError)
    assert [m.epoch for m in regression] == [3, 0, 3]
    assert regression[1].finite()


def test_a_batch_size_of_one_fit_is_not_anothers():
    """Fits to the same samples share them; "auto" and a joined last batch are each fit's own."""
    norm = [pn.Dense(8), pn.BatchNorm(), pn.Tanh(), pn.Dense(3)]
    cases = [
        (make(0), {"batch_size": None}),
        (make(1), {"batch_size": "auto"}),
        (make(2), {"batch_size": 17}),
        (make(3, norm), {"batch_size": 17, "join_last": True}),  # 120 = 7 times 17 and 1
        (make(4), {"batch_size": 17}),
    ]
    _, found = together([lambda c=c: fitted(c[0], **c[1]) for c in cases])
    for model, (_, options) in zip(found, cases, strict=True):
        near(model, lone(model, **options), rtol=1e-12)
        assert int(model.opt_state["t"]) == int(lone(model, **options).opt_state["t"])


def test_callbacks_and_schedules_of_each():
    class Halves(pn.Callback):
        every_batch = False

        def on_epoch_end(self, trainer, row):
            trainer.params = {name: 0.5 * p for name, p in trainer.params.items()}
            trainer.rate_factor *= 0.5

    _, found = together([lambda i=i: fitted(make(i), callbacks=[Halves()] if i else []) for i in range(K)])
    for i, model in enumerate(found):
        near(model, lone(model, callbacks=[Halves()] if i else []), rtol=1e-12)


def test_threads_end():
    before = threading.active_count()
    together([lambda i=i: fitted(make(i)) for i in range(K)])
    assert threading.active_count() == before
