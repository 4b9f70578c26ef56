"""The arguments that scikit-learn's estimators lack."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

import portanet as pn
from portanet.sklearn import MLPClassifier, MLPRegressor
from tests.small import Recorder, blobs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = blobs(n=120)
FAST = {"hidden_layer_sizes": (6, 4), "max_iter": 10, "random_state": 0, "batch_size": 30}


def classifier(**options):
    return MLPClassifier(**{**FAST, **options})


def same_weights(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


def test_dtype():
    found = classifier(dtype="float32").fit(X, Y)
    assert {a.dtype.name for a in found.coefs_} == {"float32"}
    assert found.predict_proba(X).dtype == np.float32


def test_class_weights_are_weights_of_samples():
    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    by_sample = classifier().fit(X, Y, np.array([weights[y] for y in Y]))
    assert same_weights(classifier(class_weight=weights).fit(X, Y), by_sample)
    balanced = classifier(class_weight="balanced").fit(X, Y)
    assert same_weights(balanced, classifier().fit(X, Y, (len(Y) / (3 * np.bincount(Y)))[Y]))
    assert not same_weights(balanced, by_sample)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])


def test_dropout_trains_otherwise_and_predicts_with_all_units():
    plain, dropped = classifier().fit(X, Y), classifier(dropout=[0.5, 0.0]).fit(X, Y)
    assert not same_weights(plain, dropped)
    assert same_weights(dropped, classifier(dropout=[0.5, 0.0]).fit(X, Y))
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    hidden = np.maximum(np.maximum(X @ dropped.coefs_[0] + dropped.intercepts_[0], 0) @ dropped.coefs_[1], -np.inf)
    hidden = np.maximum(hidden + dropped.intercepts_[1], 0)
    np.testing.assert_allclose(dropped.transform(X), hidden, rtol=1e-12)
    with pytest.raises(ValueError, match="one for each of the 2 hidden layers, got 3"):
        classifier(dropout=[0.1, 0.2, 0.3]).fit(X, Y)
    with pytest.raises(ValueError, match="dropout and batch_norm need solver 'adam' or 'sgd'"):
        classifier(dropout=0.1, solver="lbfgs").fit(X, Y)


def test_batch_norm_predicts_by_running_statistics_and_travels():
    found = classifier(batch_norm=True, max_iter=30, learning_rate_init=0.02).fit(X, Y)
    assert found.score(X, Y) > 0.7
    alone = np.concatenate([found.predict_proba(row[None]) for row in X[:5]])
    np.testing.assert_allclose(alone, found.predict_proba(X)[:5], rtol=1e-12)  # no sample depends on its batch
    loaded = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(loaded.predict_proba(X), found.predict_proba(X))
    assert same_weights(loaded.partial_fit(X, Y), found.partial_fit(X, Y))
    np.testing.assert_array_equal(loaded.predict_proba(X), found.predict_proba(X))


@pytest.mark.usefixtures("forget")
def test_an_activation_per_layer_and_ones_own():
    found = classifier(activation=["tanh", "gelu"]).fit(X, Y)
    first = np.tanh(X @ found.coefs_[0] + found.intercepts_[0])
    np.testing.assert_allclose(found.transform(X, 0), first, rtol=1e-12)
    np.testing.assert_allclose(found.transform(X, layer=-2), first, rtol=1e-12)
    square = pn.custom_activation("half_square", lambda x: 0.5 * x * x, lambda x: x)
    for given in (square, "half_square"):
        own = classifier(activation=["identity", given]).fit(X, Y)
        z = (X @ own.coefs_[0] + own.intercepts_[0]) @ own.coefs_[1] + own.intercepts_[1]
        np.testing.assert_allclose(own.transform(X), 0.5 * z * z, rtol=1e-9)
    with pytest.raises(ValueError, match="unknown activation 'rellu'; did you mean 'relu'"):
        classifier(activation="rellu").fit(X, Y)
    with pytest.raises(ValueError, match="expected a layer from -2 to 1, got 2"):
        found.transform(X, 2)


def test_losses():
    y = X[:, 0] + 10.0 * (np.arange(len(X)) % 10 == 0)  # one in ten is far off
    options = {**FAST, "max_iter": 300, "learning_rate_init": 0.01, "tol": 0.0}
    error = {}
    for loss in ("squared_error", "huber", "mean_absolute_error", pn.Huber(delta=0.1)):
        predicted = MLPRegressor(loss, **options).fit(X, y).predict(X)
        error[str(loss)] = np.median(np.abs(predicted - X[:, 0]))
    assert max(list(error.values())[1:]) < 0.7 * error["squared_error"], error  # the others look past it
    smooth = classifier(loss=pn.SoftmaxCrossEntropy(label_smoothing=0.3), max_iter=100).fit(X, Y)
    assert smooth.predict_proba(X).max() < classifier(max_iter=100).fit(X, Y).predict_proba(X).max()
    squared = classifier(loss="mean_squared_error").fit(X, Y)  # contains no softmax: it is put in front
    np.testing.assert_allclose(squared.predict_proba(X).sum(axis=1), 1.0)
    with pytest.raises(ValueError, match="BinaryCrossEntropy does not fit multiclass labels; use SoftmaxCrossEntropy"):
        classifier(loss="binary_cross_entropy").fit(X, Y)


def test_optimizer_and_schedule():
    by_name = classifier(optimizer="adamw", learning_rate_init=0.01).fit(X, Y)
    assert same_weights(by_name, classifier(optimizer=pn.AdamW(lr=0.01)).fit(X, Y))
    assert not same_weights(by_name, classifier(optimizer="lion", learning_rate_init=0.01).fit(X, Y))
    rates = []

    class Rates(pn.Callback):
        def on_epoch_end(self, trainer, row):
            rates.append(row["lr"])

    classifier(schedule="cosine", callbacks=[Rates()]).fit(X, Y)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * rates[0]
    with pytest.raises(ValueError, match="partial_fit does not support a schedule"):
        classifier(schedule="cosine").partial_fit(X, Y, classes=[0, 1, 2])


def test_optimizer_takes_the_place_of_lbfgs():
    assert classifier(solver="lbfgs", optimizer="adam").fit(X, Y).n_iter_ == 10


def test_own_validation_samples():
    held = blobs(n=60, seed=1)
    watched = classifier().fit(X, Y, X_val=held[0], y_val=held[1])
    assert same_weights(watched, classifier().fit(X, Y))  # they are only scored
    assert len(watched.validation_scores_) == 10
    assert watched.validation_scores_[-1] == watched.score(*held)
    stopped = classifier(early_stopping=True, max_iter=300, learning_rate_init=0.05)
    stopped.fit(X, Y, X_val=held[0], y_val=held[1])
    assert stopped.n_iter_ < 300
    assert stopped.score(*held) == stopped.best_validation_score_ == max(stopped.validation_scores_)
    number = MLPRegressor(**FAST).fit(X, X[:, 0], X_val=held[0], y_val=held[0][:, 0])
    assert number.validation_scores_[-1] == pytest.approx(number.score(held[0], held[0][:, 0]))
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        classifier().fit(X, Y, X_val=held[0])


def test_callbacks_are_called():
    recorder = Recorder()
    classifier(callbacks=[recorder]).fit(X, Y)
    assert [call[0] for call in recorder.calls].count("epoch") == 10
    stopped = classifier(callbacks=[pn.TimeLimit(0.0)]).fit(X, Y)
    assert stopped.n_iter_ == 0  # it ended within the first epoch


class Told:
    """A callback of scikit-learn's protocol that keeps what it is told, and ends the fit behind epoch `last`."""

    def __init__(self, last=None):
        self.last, self.tasks, self.scores = last, [], []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.tasks.append(f"{context.task_name} ends")
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id + 1 == self.last

    def teardown(self, estimator, context):
        self.tasks.append("teardown")


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"tol": 1.0, "n_iter_no_change": 2}], ids=str)
def test_callbacks_of_scikit_learns_protocol(options):
    pytest.importorskip("sklearn", minversion="1.9", reason="callbacks are scikit-learn 1.9's")
    told = Told()
    found = classifier(**options).set_callbacks(told).fit(X, Y)
    epochs = 0 if "solver" in options else found.n_iter_
    each = ["epoch begins", "epoch ends"] * epochs
    assert told.tasks == ["setup", "fit begins", *each, "fit ends", "teardown"]
    assert told.scores[-1] == found.score(X, Y)
    if not options:
        assert told.scores[2] == classifier(max_iter=3).fit(X, Y).score(X, Y)  # the weights of then
        assert classifier().set_callbacks(Told(last=4)).fit(X, Y).n_iter_ == 4
        assert same_weights(found, classifier().fit(X, Y))


@pytest.mark.parametrize(
    "options",
    [{}, {"dropout": 0.3}, {"batch_norm": True}, {"solver": "sgd", "learning_rate": "invscaling"}],
    ids=str,
)
def test_an_exact_warm_start_is_one_training(options):
    options = {"tol": 0.0, **options}
    whole = classifier(max_iter=20, **options).fit(X, Y)
    halves = classifier(warm_start="exact", **options).fit(X, Y)
    halves = pickle.loads(pickle.dumps(halves)).fit(X, Y)  # on another machine, say
    assert same_weights(halves, whole)
    assert halves.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(halves.predict_proba(X), whole.predict_proba(X))
    assert not same_weights(classifier(warm_start=True, **options).fit(X, Y).fit(X, Y), whole)


def test_copies_train_apart():
    first = classifier().fit(X, Y)
    second = copy.deepcopy(first)
    before = [a.copy() for a in first.coefs_]
    second.partial_fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(first.coefs_, before, strict=True))
    assert same_weights(first.partial_fit(X, Y), second)


def test_weights_that_are_set_are_used():
    found = classifier().fit(X, Y)
    found.coefs_[-1] = np.zeros_like(found.coefs_[-1])
    found.intercepts_[-1] = np.zeros_like(found.intercepts_[-1])
    np.testing.assert_allclose(found.predict_proba(X), 1 / 3)
