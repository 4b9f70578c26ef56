"""Estimators whose training ends within an epoch: weights, optimizer's state and place are those of the best epoch."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import portanet as pn
from portanet.sklearn import MLPClassifier, MLPRegressor
from tests.small import blobs

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Training interrupted by user"
)


@pytest.fixture(autouse=True)
def _pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Kept(pn.Callback):
    """Keeps the state after each epoch, and ends the training within one."""

    def __init__(self, how, epoch=9, batch=3):
        self.how, self.at, self.states = how, (epoch, batch), []

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) != self.at:
            return
        if self.how == "interrupt":
            signal.raise_signal(signal.SIGINT)
        elif self.how == "stop":
            trainer.stop("asked")

    def on_epoch_end(self, trainer, row):
        self.states.append(trainer.copy_state())


@pytest.mark.parametrize("kind", [MLPClassifier, pytest.param(MLPRegressor, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["interrupt", "stop", "none"])
def test_the_best_state(kind, how):
    x, y = blobs()
    kept = Kept(how)
    model = kind(
        hidden_layer_sizes=(5,), early_stopping=True, n_iter_no_change=30, max_iter=12, batch_size=16, callbacks=[kept],
        learning_rate_init=0.3, random_state=1, backend="numpy", batch_norm=True,
    )  # fmt: skip
    model.fit(x, y)
    scores = model.validation_scores_
    best = int(np.argmax(scores))
    assert len(scores) == len(kept.states) == (12 if how == "none" else 8)
    assert best + 1 < len(scores)
    trainer, state = model._trainer, kept.states[best]
    assert (trainer.epoch, trainer.position) == (len(scores), 0)
    now = trainer.copy_state()
    for own, other in ((now.params, state.params), (now.buffers, state.buffers)):
        for name, array in own.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert now.opt_state["t"] == state.opt_state["t"]
    for slot in now.opt_state.keys() - {"t"}:
        for name, array in now.opt_state[slot].items():
            np.testing.assert_array_equal(array, state.opt_state[slot][name])
    np.testing.assert_array_equal(model.coefs_[0], state.params["0.weight"])


def test_weights_of_an_earlier_fit_that_stay_the_best():
    """With warm_start the best score counts for all fits; the optimizer's state is then that of the last one."""
    x, y = blobs()
    model = MLPClassifier(
        hidden_layer_sizes=(5,), early_stopping=True, max_iter=3, batch_size=16, warm_start=True, random_state=1,
        backend="numpy",
    )  # fmt: skip
    model.fit(x, y)
    weights, score = [a.copy() for a in model.coefs_], model.best_validation_score_
    model.set_params(solver="sgd", learning_rate_init=50.0)  # another optimizer, which makes it worse
    model.fit(x, y)
    assert model.best_validation_score_ == score
    for own, before in zip(model.coefs_, weights, strict=True):
        np.testing.assert_array_equal(own, before)
    assert model._trainer.opt_state.keys() == model._trainer.optimizer.init(model._trainer.params).keys()
    model.fit(x, y)
    assert np.isfinite(model.loss_)


def test_without_early_stopping_the_whole_steps_stay():
    x, y = blobs()
    kept = Kept("interrupt", epoch=3)
    model = MLPClassifier(hidden_layer_sizes=(5,), max_iter=9, batch_size=16, callbacks=[kept], backend="numpy")
    model.fit(x, y)
    assert (model.n_iter_, len(model.loss_curve_)) == (2, 2)
    assert (model._trainer.epoch, model._trainer.position) == (2, 3)
    assert not np.array_equal(model.coefs_[0], kept.states[-1].params["0.weight"])
